"""Users: what administrators see of them, and do to them."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

from service.accounts import administration, directory
from service.accounts.lookup import find_by_id
from service.accounts.models import User as UserRow
from service.email_login.invitations import invite, invite_again
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.graphql.enums import UserOrder, UserOrigin, UserRole, UserStatus
from service.graphql.users import User
from service.paging import Slice
from service.sessions.administration import end_user_sessions

_ID = Annotated[strawberry.ID, strawberry.argument(description="A user's `id` (not its external id).")]
_FIRST = Annotated[int | None, strawberry.argument(description="How many from the start, 200 at most; 50 unless said.")]
_AFTER = Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")]
_LAST = Annotated[
    int | None, strawberry.argument(description="How many from the end, 200 at most; not together with `first`.")
]
_BEFORE = Annotated[str | None, strawberry.argument(description="End before this cursor.")]
_ORDER = Annotated[UserOrder, strawberry.argument(description="In which order; cursors are good for one order.")]


@strawberry.input(description="Which users: all conditions that are given hold.")
class UserFilter:
    origin: UserOrigin | None = strawberry.field(default=None, description="How they came to be.")
    status: UserStatus | None = strawberry.field(default=None, description="Whether they are active.")
    role: UserRole | None = strawberry.field(default=None, description="What they may do.")
    email: str | None = strawberry.field(default=None, description="Exactly this address, normalised first.")
    external_id: str | None = strawberry.field(default=None, description="Exactly this external id.")
    search: str | None = strawberry.field(
        default=None,
        description="Anywhere in id, external id or email, whatever the case; under 3 characters: from their start. At most 255 characters: BAD_USER_INPUT.",
    )
    created_after: datetime | None = strawberry.field(default=None, description="Created later than this.")
    created_before: datetime | None = strawberry.field(default=None, description="Created earlier than this.")

    def as_wanted(self) -> directory.UserFilter:
        """The filter as the directory takes it."""
        return directory.UserFilter(
            origin=self.origin,
            status=self.status,
            role=self.role,
            email=self.email,
            external_id=self.external_id,
            search=self.search,
            created_after=self.created_after,
            created_before=self.created_before,
        )


_FILTER = Annotated[UserFilter | None, strawberry.argument(description="Which users; left out: all.")]


@strawberry.type(description="A user that is no more.")
class DeletedUser:
    id: strawberry.ID = strawberry.field(description="The id that it had, which is free again.")


@strawberry.type
class AccountQueries:
    @strawberry.field(description="The users, in pages. For admins and API keys.")
    async def users(
        self,
        info: Info,
        first: _FIRST = None,
        after: _AFTER = None,
        last: _LAST = None,
        before: _BEFORE = None,
        filter: _FILTER = None,
        order_by: _ORDER = UserOrder.CREATED_AT_DESC,
    ) -> Connection[User] | None:
        info.context.caller.require_reader()
        wanted = filter.as_wanted() if filter else directory.UserFilter()
        listing = directory.list_users(wanted, order_by)
        page = await listing.page(Slice(first, after, last, before))
        return Connection(page=page, node_of=User.of_row, counter=partial(directory.count_users, wanted, listing))

    @strawberry.field(description="The user with this id; null where there is none. For admins and API keys.")
    async def user(self, info: Info, id: _ID) -> User | None:
        info.context.caller.require_reader()
        return _shown(await find_by_id(id))


@strawberry.type
class AccountMutations:
    @strawberry.mutation(
        description="Make a user who may sign in by this email, and mail an invitation: a link that signs in once, within 24 hours. Takes a"
        " seat at once: SEAT_LIMIT_REACHED. CONFLICT where the email is in use, BAD_USER_INPUT where it is none."
        " Inviting an admin takes an admin in person: FORBIDDEN for API keys."
    )
    async def invite_user(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The address.")],
        role: Annotated[UserRole, strawberry.argument(description="What the user will be.")] = UserRole.MEMBER,
    ) -> User | None:
        caller = info.context.caller
        by = caller.require_admin()
        if role is UserRole.ADMIN:
            by = caller.require_admin_in_person()
        return User.of(await invite(email, role, by, info.context.instance.email_login))

    @strawberry.mutation(
        description="Mail another link to somebody who was invited and has not come yet; the link before is void. CONFLICT for anybody else,"
        " and for a member while email login is off; FORBIDDEN for an admin's by an API key; NOT_FOUND."
    )
    async def send_invitation(self, info: Info, id: _ID) -> User | None:
        caller = info.context.caller
        by, dependencies = caller.require_admin(), info.context.instance.email_login
        return User.of(await invite_again(id, by, dependencies, in_person=caller.session is not None))

    @strawberry.mutation(
        description="Set the email or the external id; null clears it, left out leaves it. CONFLICT where another user has it, and for"
        " an admin's email that is to be cleared. An API key changes no admin's email: FORBIDDEN. NOT_FOUND, BAD_USER_INPUT."
    )
    async def update_user(
        self,
        info: Info,
        id: _ID,
        email: Annotated[
            strawberry.Maybe[str | None], strawberry.argument(description="The new address, or null for none.")
        ] = None,
        external_id: Annotated[
            strawberry.Maybe[str | None], strawberry.argument(description="The new external id, or null for none.")
        ] = None,
    ) -> User | None:
        caller = info.context.caller
        user = await administration.update_user(
            id,
            caller.require_admin(),
            email=_given(email),
            external_id=_given(external_id),
            in_person=caller.session is not None,
        )
        return User.of(user)

    @strawberry.mutation(
        description="End a user's sessions, free its seat, and keep it out until it is reactivated. CONFLICT for the last active admin; NOT_FOUND."
    )
    async def deactivate_user(self, info: Info, id: _ID) -> User | None:
        by = info.context.caller.require_admin()
        return User.of(await administration.deactivate_user(id, by))

    @strawberry.mutation(
        description="Let a deactivated user in again, on a seat: SEAT_LIMIT_REACHED where none is free. NOT_FOUND."
    )
    async def reactivate_user(self, info: Info, id: _ID) -> User | None:
        by = info.context.caller.require_admin()
        return User.of(await administration.reactivate_user(id, by))

    @strawberry.mutation(
        description="Forget a user. Frees its seat and its ids, so a code that is still good makes it anew: to keep somebody out, deactivate."
        " CONFLICT for the last active admin."
    )
    async def delete_user(self, info: Info, id: _ID) -> DeletedUser | None:
        by = info.context.caller.require_admin()
        return DeletedUser(id=strawberry.ID(await administration.delete_user(id, by)))

    @strawberry.mutation(
        description="End every session of a user, for the next request everywhere. How many were live."
    )
    async def end_user_sessions(self, info: Info, id: _ID) -> int | None:
        by = info.context.caller.require_admin()
        return await end_user_sessions(id, by)

    @strawberry.mutation(
        description="Make a user an admin or a member. For an admin in person: FORBIDDEN for API keys. CONFLICT for the last active admin, and for a user without an email, which an admin signs in by; NOT_FOUND."
    )
    async def set_user_role(
        self, info: Info, id: _ID, role: Annotated[UserRole, strawberry.argument(description="What the user shall be.")]
    ) -> User | None:
        by = info.context.caller.require_admin_in_person()
        return User.of(await administration.set_role(id, role, by))


def _shown(row: UserRow | None) -> User | None:
    return User.of(row) if row else None


def _given(argument: strawberry.Maybe[str | None]) -> str | administration.Unchanged | None:
    return administration.UNCHANGED if argument is None else argument.value
