"""Users and their sessions as the schema has them."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.accounts import models
from service.accounts.lookup import user_from_row
from service.accounts.metadata import load_metadata
from service.database import Row
from service.errors import Forbidden, Unauthenticated
from service.graphql.connections import Connection
from service.graphql.context import Context, Info
from service.graphql.enums import SignInMethod, UserOrigin, UserRole, UserStatus
from service.paging import Slice
from service.sessions.lifecycle import LiveSession, session_from_row
from service.sessions.listing import list_sessions

_SESSIONS_SHOWN = 20


@strawberry.type(description="A person with a place here.")
class User:
    row: strawberry.Private[models.User]
    id: strawberry.ID = strawberry.field(
        description="The user ID. For a user created by a code, the `user.id` of that code; else `usr_…`."
    )
    external_id: str | None = strawberry.field(
        description="The `user.id` that your own system knows this user by, where it has one."
    )
    email: str | None = strawberry.field(
        description="The address in its normal form: lower case, domain in A-form. No two users share one."
    )
    origin: UserOrigin = strawberry.field(description="How the user came to be.")
    role: UserRole = strawberry.field(description="MEMBER or ADMIN.")
    status: UserStatus = strawberry.field(description="ACTIVE or DEACTIVATED.")
    created_at: datetime = strawberry.field(description="When the user came to be.")
    last_seen_at: datetime | None = strawberry.field(
        description="When the user was last here, to the hour; null: never."
    )

    @strawberry.field(description="Whatever else the `user` object of a code carried; {} where nothing.")
    def metadata(self) -> JSON:
        return JSON(load_metadata(self.row.metadata))

    @strawberry.field(description="Live sessions, newest first. For the user itself and for admins: else FORBIDDEN.")
    async def sessions(
        self,
        info: Info,
        first: Annotated[int | None, strawberry.argument(description="How many, 200 at most.")] = _SESSIONS_SHOWN,
        after: Annotated[str | None, strawberry.argument(description="Go on behind this cursor.")] = None,
    ) -> Connection["Session"]:
        context = info.context
        _require_self_or_reader(context, self.row)
        wanted = Slice(first=_SESSIONS_SHOWN if first is None else first, after=after)
        page = await (
            list_sessions(self.row).page(wanted) if after is not None else context.first_sessions(self.row, wanted.size)
        )
        return Connection(
            page=page,
            node_of=partial(_session_of, context, self.row),
            counter=partial(context.count_sessions, self.row),
        )

    @classmethod
    def of(cls, row: models.User) -> "User":
        """The user as the schema shows it."""
        return cls(
            row=row,
            id=strawberry.ID(row.id),
            external_id=row.external_id,
            email=row.email,
            origin=row.origin,
            role=row.role,
            status=row.status,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
        )

    @classmethod
    def of_row(cls, row: Row) -> "User":
        """The same from a row of the table."""
        return cls.of(user_from_row(row))


@strawberry.type(description="A sign-in that lasts.")
class Session:
    live: strawberry.Private[LiveSession]
    id: strawberry.ID = strawberry.field(description="The session's id; not its token, which nobody can read again.")
    method: SignInMethod = strawberry.field(description="How the person signed in.")
    created_at: datetime = strawberry.field(description="When it opened.")
    expires_at: datetime = strawberry.field(description="When it ends; fixed when it opened.")
    last_seen_at: datetime = strawberry.field(description="When it was last used, to 5 minutes.")
    ip_address: str | None = strawberry.field(description="The address that it was opened from.")
    user_agent: str | None = strawberry.field(
        description="The browser or program that opened it, as it names itself; 256 characters at most."
    )
    current: bool = strawberry.field(description="Whether it is the session that asks.")
    admin_rights: bool = strawberry.field(
        description="Whether it may administer: an ADMIN who signed in by email, and not on the members' cookie."
    )

    @strawberry.field(description="Whose session it is.")
    def user(self) -> User:
        return User.of(self.live.user)

    @classmethod
    def of(cls, live: LiveSession, *, current: bool) -> "Session":
        """The session as the schema shows it."""
        return cls(
            live=live,
            id=strawberry.ID(live.id),
            method=live.method,
            created_at=live.created_at,
            expires_at=live.expires_at,
            last_seen_at=live.last_seen_at,
            ip_address=live.ip_address,
            user_agent=live.user_agent,
            current=current,
            admin_rights=live.has_admin_rights,
        )


def _session_of(context: Context, user: models.User, row: Row) -> Session:
    current = any(session.id == row["session_id"] for session in context.own_sessions)
    return Session.of(session_from_row(row, user), current=current)


def _require_self_or_reader(context: Context, user: models.User) -> None:
    own = context.own_sessions
    if context.caller.may_read_everything or any(session.user.serial == user.serial for session in own):
        return
    if not own:
        raise Unauthenticated("Sign in first: sessions are shown to the user itself and to admins.")
    raise Forbidden("Sessions are shown to the user itself and to admins.")
