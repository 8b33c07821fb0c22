"""Mutations that say who may come in: creating, inviting, activating and deactivating users, also many at once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.accounts import administration
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.creation import create_user
from service.accounts.models import User as UserRow
from service.accounts.models import UserRole
from service.audit.log import Actor
from service.email_login.invitations import invite
from service.errors import BadUserInput, RequestRefused
from service.graphql.context import Info
from service.graphql.server.node_count import ListLength
from service.graphql.users import User, UserId, given

MAX_AT_ONCE = 200
_RESULTS = ListLength(MAX_AT_ONCE, entries_per_node=10).metadata  # few per node, so that users can have their sessions

_IDS = Annotated[
    list[strawberry.ID], strawberry.argument(description="At most 200 users, each by `id` or else by external ID.")
]


@strawberry.type(description="What became of one user of a list.")
class UserResult:
    id: strawberry.ID = strawberry.field(description="The ID as it was sent.")
    user: User | None = strawberry.field(description="The user after the change. Null if there was an error.")
    error: str | None = strawberry.field(
        description="Why this user was not changed: an error code, a colon and a message. Null if there was no error."
    )


@strawberry.type(description="What became of one address of a list.")
class InvitationResult:
    email: str = strawberry.field(description="The address as it was sent.")
    user: User | None = strawberry.field(description="The invited user. Null if there was an error.")
    error: str | None = strawberry.field(
        description="Why this address was not invited: an error code, a colon and a message. Null if there was no error."
    )


@strawberry.type
class AccessMutations:
    @strawberry.mutation(
        description=(
            "Creates a user before the first sign-in, on a seat. Codes with this `user.id` sign it in. Repeated: if email and "
            "metadata are left out or equal the user's as they are now, answers that user and sets `accessUntil` if it is "
            "given. Errors: CONFLICT if the user is another one than described, or if another user has the email; "
            "SEAT_LIMIT_REACHED; FORBIDDEN if `accessUntil` of an admin would change and the caller is an API key; "
            "BAD_USER_INPUT."
        )
    )
    async def create_user(
        self,
        info: Info,
        external_id: Annotated[
            str,
            strawberry.argument(
                description="The ID in your own system, as `user.id` of codes. It becomes the user's `id`."
            ),
        ],
        email: Annotated[
            str | None, strawberry.argument(description="The email address. It counts as verified.")
        ] = None,
        metadata: Annotated[
            JSON | None, strawberry.argument(description="An object of at most 8 levels, as from a code.")
        ] = None,
        access_until: Annotated[
            strawberry.Maybe[datetime | None],
            strawberry.argument(description="From this time on the user is treated as DEACTIVATED. Null: no end."),
        ] = None,
    ) -> User | None:
        by, hashes = info.context.caller.require_manager(), info.context.instance.subject_hashes
        user = await create_user(
            external_id, by, hashes, email=email, metadata=metadata, access_until=given(access_until)
        )
        return User.of(user)

    @strawberry.mutation(
        description=(
            "Invites users as `inviteUser` does, at most 200. One result for each address, in order: the others are "
            "invited even if one cannot be. Only an admin in person may invite admins. Errors: BAD_USER_INPUT for more "
            "than 200 addresses, FORBIDDEN for an API key that invites admins."
        ),
        metadata=_RESULTS,
    )
    async def invite_users(
        self,
        info: Info,
        emails: Annotated[list[str], strawberry.argument(description="The addresses, at most 200.")],
        role: Annotated[UserRole, strawberry.argument(description="The role of the new users.")] = UserRole.MEMBER,
    ) -> list[InvitationResult] | None:
        caller, dependencies = info.context.caller, info.context.instance.email_login
        by = caller.require_manager()
        if role is UserRole.ADMIN:
            caller.require_admin_in_person()
            by = caller.require_fresh_proof()
        _require_few("emails", emails)
        results = []
        for email in emails:
            user, error = await _try(invite(email, role, by, dependencies))
            results.append(InvitationResult(email=email, user=user, error=error))
        return results

    @strawberry.mutation(
        description=(
            "Deactivates a user: ends its sessions, frees its seat, and refuses its sign-ins until it is "
            "reactivated. Errors: CONFLICT for the last active admin; FORBIDDEN if the user is an admin and the "
            "caller is an API key; NOT_FOUND."
        )
    )
    async def deactivate_user(self, info: Info, id: UserId) -> User | None:
        by = info.context.caller.require_manager()
        return User.of(await administration.deactivate_user(id, by))

    @strawberry.mutation(
        description=(
            "Reactivates a user, who takes a seat. Its `accessUntil` becomes null. Errors: "
            "SEAT_LIMIT_REACHED if no seat is free; FORBIDDEN if the "
            "user is an admin and the caller is an API key; NOT_FOUND."
        )
    )
    async def reactivate_user(self, info: Info, id: UserId) -> User | None:
        by = info.context.caller.require_manager()
        return User.of(await administration.reactivate_user(id, by))

    @strawberry.mutation(
        description=(
            "Deactivates users as `deactivateUser` does, at most 200. One result for each ID, in order. Errors: BAD_USER_INPUT "
            "for more than 200 IDs."
        ),
        metadata=_RESULTS,
    )
    async def deactivate_users(self, info: Info, ids: _IDS) -> list[UserResult] | None:
        return await _change_each(ids, administration.deactivate_user, info.context.caller.require_manager())

    @strawberry.mutation(
        description=(
            "Reactivates users as `reactivateUser` does, at most 200. One result for each ID, in order. Errors: BAD_USER_INPUT "
            "for more than 200 IDs."
        ),
        metadata=_RESULTS,
    )
    async def reactivate_users(self, info: Info, ids: _IDS) -> list[UserResult] | None:
        return await _change_each(ids, administration.reactivate_user, info.context.caller.require_manager())

    @strawberry.mutation(
        description=(
            "Refuses the codes of a user that were issued before now, in every process at once: they are CODE_EXPIRED. "
            "For a link that leaked. A code that is issued in this second or later works. A code without `iat` is refused "
            "from now on. Errors: FORBIDDEN if the user is an admin and the caller is an API key; NOT_FOUND."
        )
    )
    async def revoke_user_codes(
        self,
        info: Info,
        id: UserId,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether the sessions that codes of the user opened end too.")
        ] = True,
    ) -> User | None:
        by = info.context.caller.require_manager()
        return User.of(await revoke_user_codes(id, by, end_sessions=end_sessions))


async def _change_each(
    ids: list[strawberry.ID], change: Callable[[str, Actor], Awaitable[UserRow]], by: Actor
) -> list[UserResult]:
    _require_few("ids", ids)
    results = []
    for user_id in ids:
        user, error = await _try(change(user_id, by))
        results.append(UserResult(id=user_id, user=user, error=error))
    return results


async def _try(change: Awaitable[UserRow]) -> tuple[User | None, str | None]:
    """Return the changed user, or why it was not changed. Each change has a transaction of its own."""
    try:
        return User.of(await change), None
    except RequestRefused as refused:
        return None, f"{refused.code}: {refused.message}"


def _require_few(name: str, values: list[strawberry.ID] | list[str]) -> None:
    if len(values) > MAX_AT_ONCE:
        raise BadUserInput(f"`{name}` has {len(values)} entries. At most {MAX_AT_ONCE} are accepted at a time.")
