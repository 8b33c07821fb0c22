"""The look-up of refused sign-ins by the reference that a person saw, for admins."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.audit import refusals
from service.audit.models import RefusedSignIn as RefusedSignInRow
from service.database import Row
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.graphql.enums import SignInErrorCode, SignInMethod
from service.graphql.users import User
from service.paging import Slice
from service.refusal_texts import REFUSAL_TEXTS


@strawberry.type(
    description=(
        "A refused sign-in of the last 30 days. A network has at most its newest 1,000 refusals of persons who proved "
        "who they are, and as many of others."
    )
)
class RefusedSignIn:
    row: strawberry.Private[RefusedSignInRow]
    reference: str = strawberry.field(description="The reference that the person saw.")
    created_at: datetime = strawberry.field(description="When the sign-in was refused.")
    method: SignInMethod = strawberry.field(description="The sign-in method.")
    code: SignInErrorCode = strawberry.field(description="The reason, for programs.")
    message: str = strawberry.field(description="The text for the person: what happened and what to do next.")
    explanation: str = strawberry.field(description="What the reason means, for developers.")
    cause: str | None = strawberry.field(
        description="More detail than the person was told, such as by how many seconds a code had expired. May be null."
    )
    is_proven: bool = strawberry.field(
        description=(
            "Whether the person had proved who they are, by a code with a valid signature or a right email code. If "
            "false, `userId`, `email` and `secretId` are null."
        )
    )
    user_id: strawberry.ID | None = strawberry.field(
        description="The ID that the code named, or the ID of the user. Null if neither is known."
    )
    email: str | None = strawberry.field(description="The email that the sign-in named. Null if it named none.")
    secret_id: strawberry.ID | None = strawberry.field(
        description="The ID of the secret that signed the code. Null for sign-in by email."
    )
    ip_address: str | None = strawberry.field(description="The client address. Null if unknown.")

    @strawberry.field(description="The user with this `userId` as it is now. Null if there is none.")
    async def user(self, info: Info) -> User | None:
        found = await info.context.find_user(self.row.user_id) if self.row.user_id else None
        return User.of(found) if found else None

    @classmethod
    def of(cls, row: RefusedSignInRow) -> "RefusedSignIn":
        """Return the GraphQL type of a refusal."""
        code = SignInErrorCode(row.code)
        return cls(
            row=row,
            reference=row.reference,
            created_at=row.created_at,
            method=SignInMethod(row.method),
            code=code,
            message=REFUSAL_TEXTS[code].message,
            explanation=REFUSAL_TEXTS[code].for_programs,
            cause=row.cause,
            is_proven=row.is_proven,
            user_id=strawberry.ID(row.user_id) if row.user_id else None,
            email=row.email,
            secret_id=strawberry.ID(row.secret_id) if row.secret_id else None,
            ip_address=row.ip_address,
        )

    @classmethod
    def of_row(cls, values: Row) -> "RefusedSignIn":
        """Return the GraphQL type of a row of the table."""
        return cls.of(RefusedSignInRow._init_from_db(**dict(values)))


@strawberry.input(description="Selects refusals. All given conditions must hold.")
class RefusalFilter:
    code: SignInErrorCode | None = strawberry.field(default=None, description="Refusals for this reason.")
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Refusals of this user.")
    ip_address: str | None = strawberry.field(default=None, description="Refusals from this IP address.")
    after: datetime | None = strawberry.field(default=None, description="Refusals after this time.")
    before: datetime | None = strawberry.field(default=None, description="Refusals before this time.")


@strawberry.type
class RefusalQueries:
    @strawberry.field(
        description=(
            "The refused sign-in with this reference, for a genuine code or any other. Null if there was no such refusal in the "
            "last 30 days. For admins and API keys."
        )
    )
    async def refusal(
        self,
        info: Info,
        reference: Annotated[str, strawberry.argument(description="The reference, in upper or lower case.")],
    ) -> RefusedSignIn | None:
        info.context.caller.require_reader()
        await info.context.instance.pending_events.write()
        found = await refusals.find_refusal(reference)
        return RefusedSignIn.of(found) if found else None

    @strawberry.field(
        description="The refused sign-ins of the last 30 days, newest first, in pages. For admins and API keys."
    )
    async def refusals(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="The number of refusals: 0 to 200. Default 50.")
        ] = None,
        after: Annotated[str | None, strawberry.argument(description="Return what follows this cursor.")] = None,
        filter: Annotated[
            RefusalFilter | None, strawberry.argument(description="Selects refusals. Default: all refusals.")
        ] = None,
    ) -> Connection[RefusedSignIn] | None:
        info.context.caller.require_reader()
        await info.context.instance.pending_events.write()
        wanted = refusals.RefusalFilter(**vars(filter)) if filter else refusals.RefusalFilter()
        listed = refusals.list_refusals(wanted)
        page = await listed.page(Slice(first=first, after=after))
        return Connection(page=page, node_of=RefusedSignIn.of_row, counter=listed.count)
