"""Queries and mutations of users, for admins."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

from service.accounts import administration, directory
from service.accounts.lookup import find_by_external_id, find_by_id
from service.accounts.models import User as UserRow
from service.email_login.invitations import invite, invite_again
from service.erasing import erase_user
from service.errors import BadUserInput
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.graphql.enums import UserOrder, UserRole
from service.graphql.selection import selected_names
from service.graphql.user_filter import UserFilter
from service.graphql.users import User, UserId, given
from service.paging import Slice
from service.sessions.administration import end_user_sessions

_FIRST = Annotated[
    int | None, strawberry.argument(description="The number of users from the start: 0 to 200. Default 50.")
]
_AFTER = Annotated[str | None, strawberry.argument(description="Return what follows this cursor.")]
_LAST = Annotated[
    int | None,
    strawberry.argument(description="The number of users from the end: 0 to 200. Not together with `first`."),
]
_BEFORE = Annotated[str | None, strawberry.argument(description="Return what precedes this cursor.")]
_ORDER = Annotated[UserOrder, strawberry.argument(description="The order. A cursor is valid for one order.")]


_REVOKE_CODES = Annotated[
    bool,
    strawberry.argument(
        description=(
            "Whether codes that were issued before now cannot create the user again: they are CODE_EXPIRED. A "
            "keyed hash of the external ID is kept for this, for 400 days."
        )
    ),
]
_FILTER = Annotated[UserFilter | None, strawberry.argument(description="Selects users. Default: all users.")]


@strawberry.type(description="A user that was deleted.")
class DeletedUser:
    id: strawberry.ID = strawberry.field(description="The ID of the deleted user. It can be used again.")


@strawberry.type(description="A person who was erased.")
class ErasedUser:
    pseudonym: strawberry.ID = strawberry.field(
        description="What the audit log has in place of the ID. Nothing tells to whom it belongs."
    )


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
        names = selected_names(info)
        listing = directory.list_users(wanted, order_by, User.columns_of(names))
        page = await listing.page(Slice(first, after, last, before))
        return Connection(
            page=page, node_of=User.reader(names), counter=partial(directory.count_users, wanted, listing)
        )

    @strawberry.field(
        description=(
            "The user with this ID. Null if there is none. Takes exactly one of `id` and `externalId`. For admins and "
            "API keys. Errors: BAD_USER_INPUT for both or neither; CONFLICT if `id` is the ID of one user and the "
            "external ID of another."
        )
    )
    async def user(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The `id` of the user, or else its external ID.")
        ] = None,
        external_id: Annotated[
            str | None, strawberry.argument(description="The external ID of the user, and nothing else.")
        ] = None,
    ) -> User | None:
        info.context.caller.require_reader()
        if id is not None and external_id is None:
            return _shown(await find_by_id(id))
        if external_id is not None and id is None:
            return _shown(await find_by_external_id(external_id))
        raise BadUserInput("`user` needs exactly one of `id` and `externalId`.")


@strawberry.type
class AccountMutations:
    @strawberry.mutation(
        description=(
            "Creates a user who may sign in by this email and sends an invitation: a link that signs in once, "
            "within 24 hours. The user takes a seat at once. Only an admin in person may invite an admin. Errors:"
            " SEAT_LIMIT_REACHED, CONFLICT if the email is in use, BAD_USER_INPUT if it is not an address, "
            "FORBIDDEN for an API key that invites an admin."
        )
    )
    async def invite_user(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The email address.")],
        role: Annotated[UserRole, strawberry.argument(description="The role of the new user.")] = UserRole.MEMBER,
    ) -> User | None:
        caller = info.context.caller
        by = caller.require_manager()
        if role is UserRole.ADMIN:
            caller.require_admin_in_person()
            by = caller.require_fresh_proof()
        return User.of(await invite(email, role, by, info.context.instance.email_login))

    @strawberry.mutation(
        description=(
            "Sends a new invitation to a user who has a verified email and has not signed in yet. The previous link "
            "becomes invalid. Errors: CONFLICT for any other user, and for a member while email login is "
            "disabled; FORBIDDEN if an API key invites an admin; NOT_FOUND."
        )
    )
    async def send_invitation(self, info: Info, id: UserId) -> User | None:
        caller = info.context.caller
        by, dependencies = caller.require_manager(), info.context.instance.email_login
        return User.of(await invite_again(id, by, dependencies))

    @strawberry.mutation(
        description=(
            "Sets the email, which is then verified, the external ID or the end of the access. Null clears a value; an "
            "argument that is left out changes nothing. Another email ends the sessions of the user. Errors: CONFLICT if another "
            "user has the value, if the email of an admin would be cleared or if the access of the last active admin would end; "
            "SEAT_LIMIT_REACHED if access that has ended is to continue and no seat is free; FORBIDDEN if "
            "the user is an admin and the caller is an API "
            "key; NOT_FOUND; BAD_USER_INPUT."
        )
    )
    async def update_user(
        self,
        info: Info,
        id: UserId,
        email: Annotated[
            strawberry.Maybe[str | None], strawberry.argument(description="The new email address. Null clears it.")
        ] = None,
        external_id: Annotated[
            strawberry.Maybe[str | None], strawberry.argument(description="The new external ID. Null clears it.")
        ] = None,
        access_until: Annotated[
            strawberry.Maybe[datetime | None],
            strawberry.argument(
                description=(
                    "From this time on the user is treated as DEACTIVATED. A later time, or null for no end, gives a user "
                    "whose access has ended a seat again. A user whom an admin deactivated stays deactivated."
                )
            ),
        ] = None,
    ) -> User | None:
        caller = info.context.caller
        user = await administration.update_user(
            id,
            caller.require_manager(),
            email=given(email),
            external_id=given(external_id),
            access_until=given(access_until),
            hashes=info.context.instance.subject_hashes,
        )
        return User.of(user)

    @strawberry.mutation(
        description=(
            "Deletes a user and frees its seat and IDs. A code that is still valid creates the user again, except one "
            "that was revoked; to keep a user out, deactivate it. Errors: CONFLICT for the last active admin; FORBIDDEN if the user is an "
            "admin and the caller is an API key; NOT_FOUND."
        )
    )
    async def delete_user(self, info: Info, id: UserId, revoke_codes: _REVOKE_CODES = False) -> DeletedUser | None:
        by, hashes = info.context.caller.require_manager(), info.context.instance.subject_hashes
        deleted = await administration.delete_user(id, by, hashes, revoke_codes=revoke_codes)
        return DeletedUser(id=strawberry.ID(deleted))

    @strawberry.mutation(
        description=(
            "Deletes a user as `deleteUser` does, and everything else that names the person: refused sign-ins, email codes, "
            "mails that wait, and the names, addresses and values in the audit log. Its events stay, under a pseudonym. Also "
            "for a user who was deleted before. Errors: CONFLICT for the last active admin; FORBIDDEN if the user is an admin "
            "and the caller is an API key; NOT_FOUND if nothing names this ID."
        )
    )
    async def erase_user(self, info: Info, id: UserId, revoke_codes: _REVOKE_CODES = False) -> ErasedUser | None:
        by, instance = info.context.caller.require_admin(), info.context.instance
        pseudonym = await erase_user(
            id, by, instance.subject_hashes, instance.cipher, instance.pending_events, revoke_codes=revoke_codes
        )
        return ErasedUser(pseudonym=strawberry.ID(pseudonym))

    @strawberry.mutation(
        description=(
            "Ends all sessions of a user, from the next request on in every process. Returns how many were live. "
            "Errors: FORBIDDEN if the user is an admin and the caller is an API key; NOT_FOUND."
        )
    )
    async def end_user_sessions(self, info: Info, id: UserId) -> int | None:
        by = info.context.caller.require_manager()
        return await end_user_sessions(id, by)

    @strawberry.mutation(
        description=(
            "Makes a user an admin or a member, which ends the sessions of the user. For an admin in person. Errors: "
            "FORBIDDEN for API keys and for a sign-in that is older than 15 minutes (`freshProofNeeded`); CONFLICT for "
            "the last active admin, and for a user without a verified email, because "
            "admins sign in by email; NOT_FOUND."
        )
    )
    async def set_user_role(
        self, info: Info, id: UserId, role: Annotated[UserRole, strawberry.argument(description="The new role.")]
    ) -> User | None:
        info.context.caller.require_admin_in_person()
        by = info.context.caller.require_fresh_proof()
        return User.of(await administration.set_role(id, role, by))


def _shown(row: UserRow | None) -> User | None:
    return User.of(row) if row else None
