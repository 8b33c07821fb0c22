"""The changes that admins and the operator make to users.

Each takes the seat lock first, so that roles, emails, IDs and seats do not change between a check and a write.

SQL by hand: beyond the ORM. The models of sessions and known clients belong to layers above, which this module must
not import.
"""

from datetime import datetime

from tortoise.expressions import Q

from service.accounts.access import end_lapsed_access, set_status
from service.accounts.changes import Profile, record_update
from service.accounts.code_cutoffs import SubjectHashes, apply_cutoff, cutoff_from, keep_cutoff
from service.accounts.groups import leave_all_groups
from service.accounts.identifiers import SERVICE_ID_PREFIX, is_service_made, parse_email, parse_user_id
from service.accounts.lookup import find_by_email, find_by_id_claim, lock_to_change
from service.accounts.models import IDENTIFIER_COLUMNS, User, UserOrigin, UserRole, UserStatus
from service.accounts.new_users import add_user
from service.accounts.seats import count_user, lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, changes_of, record
from service.clock import now
from service.database import Statement, transaction, write
from service.errors import BadUserInput, Conflict
from service.ids import new_id

# Statements in place of the ORM: there are no such models in this layer, which the layers of sessions are built on.
_DELETE_SESSIONS = Statement("DELETE FROM sessions WHERE user_serial = $1")
_DELETE_KNOWN_CLIENTS = Statement("DELETE FROM known_clients WHERE user_serial = $1")


class Unchanged:
    """The default of an argument that was not given: the field keeps its value, while None clears it."""


UNCHANGED = Unchanged()


async def add_invited_user(email: str, role: UserRole, by: Actor) -> User:
    """Add a user who may sign in by this email, on a seat. Raises `SeatLimitReached`, `Conflict`, `BadUserInput`.

    Call it in a transaction that has not written yet, because the seat lock comes first.
    """
    email = parse_email(email)
    await lock_seats()
    if await find_by_email(email):
        raise Conflict("A user with this email exists already.")
    user = User(
        id=new_id(SERVICE_ID_PREFIX),
        email=email,
        origin=UserOrigin.INVITATION,
        role=role,
        created_at=now(),
    )
    await add_user(user, Action.USER_INVITED, by)
    return user


async def update_user(
    user_id: str,
    by: Actor,
    *,
    email: str | Unchanged | None = UNCHANGED,
    external_id: str | Unchanged | None = UNCHANGED,
    access_until: datetime | Unchanged | None = UNCHANGED,
    hashes: SubjectHashes | None = None,
) -> User:
    """Set or clear the email and the external ID. Another email ends the sessions of the user.

    The email that is set is verified. Setting the email that the user has claimed verifies it. With `hashes`, codes of
    the new external ID that were revoked when its last user was deleted stay revoked.

    From `access_until` on the user is treated as deactivated. Raises `Conflict` if another user has the value, and for
    the last active admin whose access would end; `SeatLimitReached` if access that has ended is to continue and no seat is
    free; `BadUserInput`, `NotFound`, and `Forbidden` for an admin.
    """
    if isinstance(email, str):
        email = parse_email(email)
    if isinstance(external_id, str):
        external_id = parse_external_id(external_id)
    async with transaction():
        await lock_seats()
        user = await lock_to_change(user_id, by)
        before = Profile.of(user)
        if not isinstance(email, Unchanged) and email != user.shown_email:
            await _set_email(user, email)
            user.session_epoch += 1
        elif isinstance(email, str) and not user.email_verified:
            await _set_email(user, email)
        if not isinstance(external_id, Unchanged) and external_id != user.external_id:
            await _set_external_id(user, external_id)
            if hashes is not None:
                await apply_cutoff(user, hashes)
        if not isinstance(access_until, Unchanged) and access_until != user.access_until:
            await set_access_until(user, access_until, by)
        if Profile.of(user) != before:
            await user.save(update_fields=("session_epoch", "codes_valid_from", *IDENTIFIER_COLUMNS))
            await record_update(user, before, by)
    return user


async def set_role(user_id: str, role: UserRole, by: Actor) -> User:
    """Make an admin or a member, and end the sessions of the user.

    Raises `Conflict` for the last active admin and for an admin without a verified email, `NotFound`.
    """
    async with transaction():
        await lock_seats()
        user = await lock_to_change(user_id, by)
        if user.role is not role:
            if role is UserRole.ADMIN and not user.email_verified:
                raise Conflict("An admin needs a verified email to sign in. Set the email of this user first.")
            await keep_an_admin(user)
            await change_role(user, role, by)
    return user


async def change_role(user: User, role: UserRole, by: Actor) -> None:
    """Set another role of a user that is locked, and end its sessions: they never get rights that they did not open with."""
    changes = changes_of({"role": user.role}, {"role": role})
    user.role = role
    user.session_epoch += 1
    await user.save(update_fields=["role", "session_epoch"])
    await record(Action.USER_ROLE_SET, by, user_id=user.id, detail={"role": role, "changes": changes})


async def deactivate_user(user_id: str, by: Actor) -> User:
    """End the user's sessions and free the seat. `reactivate_user` undoes it.

    Raises `NotFound`, or `Conflict` for the last active admin.
    """
    async with transaction():
        await lock_seats()
        user = await lock_to_change(user_id, by)
        if user.status is UserStatus.ACTIVE or user.access_ended:
            await keep_an_admin(user)
            await set_status(user, UserStatus.DEACTIVATED)
            await record(Action.USER_DEACTIVATED, by, user_id=user.id)
    return user


async def reactivate_user(user_id: str, by: Actor) -> User:
    """Activate a deactivated user, who takes a seat. Access that has ended, or would end, has no end any more.

    Raises `NotFound`, or `SeatLimitReached` if no seat is free.
    """
    async with transaction():
        await lock_seats()
        user = await lock_to_change(user_id, by)
        if user.current_status is UserStatus.DEACTIVATED:
            await activate(user, by)
    return user


async def activate(user: User, by: Actor) -> None:
    """Activate a user that is locked and deactivated, on a seat, with access that has no end. Raises `SeatLimitReached`."""
    await end_lapsed_access(user)
    await set_status(user, UserStatus.ACTIVE)
    user.access_until = None
    await user.save(update_fields=["access_until"])
    await record(Action.USER_REACTIVATED, by, user_id=user.id)


async def delete_user(user_id: str, by: Actor, hashes: SubjectHashes, *, revoke_codes: bool = False) -> str:
    """Delete the user, and return the ID.

    The seat and the IDs become free: a code that is still valid creates the user again. With `revoke_codes`, only a code
    that is issued from now on does. Codes that were revoked before stay revoked in any case. Raises `NotFound`, or
    `Conflict` for the last active admin.
    """
    async with transaction():
        user = await remove_user(user_id, by, hashes, revoke_codes=revoke_codes)
        detail = {"externalId": user.external_id, "origin": user.origin, "revokeCodes": revoke_codes}
        await record(Action.USER_DELETED, by, user_id=user.id, detail=detail)
    return user.id


async def remove_user(user_id: str, by: Actor, hashes: SubjectHashes, *, revoke_codes: bool) -> User:
    """Delete the user as `delete_user` does, in the caller's transaction, which records it. Raises as `delete_user`."""
    await lock_seats()
    user = await lock_to_change(user_id, by)
    await keep_an_admin(user)
    await leave_all_groups(user)
    await user.delete()
    await forget_devices(user.serial)
    await count_user(user.origin, user.status, -1)
    cutoff = cutoff_from(user.codes_valid_from) if revoke_codes else user.codes_valid_from
    if cutoff is not None:
        await keep_cutoff(user, cutoff, hashes)
    return user


async def forget_devices(serial: int) -> None:
    """Delete the sessions and the known clients of the user with this serial."""
    await write(_DELETE_SESSIONS, serial)
    await write(_DELETE_KNOWN_CLIENTS, serial)


async def _set_email(user: User, email: str | None) -> None:
    if email is None and user.role is UserRole.ADMIN:
        raise Conflict("An admin needs an email to sign in. Make this user a member first.")
    if email is not None and await find_by_email(email):
        raise Conflict("Another user has this email.")
    user.set_identifiers(email=email, email_verified=email is not None, external_id=user.external_id)


async def _set_external_id(user: User, external_id: str | None) -> None:
    holder = await find_by_id_claim(external_id) if external_id is not None else None
    if holder is not None and holder.serial != user.serial:
        raise Conflict("Another user has this ID.")
    user.set_identifiers(email=user.shown_email, email_verified=user.email_verified, external_id=external_id)


async def set_access_until(user: User, until: datetime | None, by: Actor) -> None:
    """Set the end of the access of a user that is locked. A user whose access has ended takes a seat if it continues.

    A user whom an admin deactivated stays deactivated. Raises `Conflict` for the last active admin, `SeatLimitReached`.
    """
    await end_lapsed_access(user)
    if until is not None:
        await keep_an_admin(user)
    user.access_until = until
    await user.save(update_fields=["access_until"])
    if user.access_ended and (until is None or until > now()):
        await set_status(user, UserStatus.ACTIVE)
        await record(Action.USER_REACTIVATED, by, user_id=user.id)
    await end_lapsed_access(user)


async def keep_an_admin(user: User) -> None:
    """Raise `Conflict` if this user is the last active admin who can sign in by email.

    An admin whose access has an end counts only for another such admin: one whose access has no end always remains.
    """
    if user.role is not UserRole.ADMIN or user.current_status is not UserStatus.ACTIVE:
        return
    counts = Q(access_until__isnull=True)
    if user.access_until is not None:
        counts |= Q(access_until__gt=now())
    admins = User.filter(counts, role=UserRole.ADMIN, status=UserStatus.ACTIVE, email__isnull=False)
    if not await admins.exclude(serial=user.serial).exists():
        raise Conflict("This is the last active admin. Make another user an admin first.")


def parse_external_id(text: str) -> str:
    """Return the external ID of an argument. Raises `BadUserInput`, also for the form that this service makes."""
    try:
        external_id = parse_user_id(text)
    except ValueError as problem:
        raise BadUserInput(f"`externalId` {problem}.") from None
    if is_service_made(external_id):
        raise BadUserInput(f"`externalId` begins with {SERVICE_ID_PREFIX}, which is reserved for IDs of this service.")
    return external_id
