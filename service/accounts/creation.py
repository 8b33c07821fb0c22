"""Creates users before their first sign-in, as a code would create them (contract §3)."""

from datetime import datetime

from service.accounts.access import end_lapsed_access
from service.accounts.administration import UNCHANGED, Unchanged, parse_external_id, set_access_until
from service.accounts.changes import Profile, record_update
from service.accounts.code_cutoffs import SubjectHashes, apply_cutoff
from service.accounts.identifiers import parse_email
from service.accounts.lookup import find_by_email, find_by_id_claim, lock_to_change
from service.accounts.metadata import check_metadata, dump_metadata, is_same_metadata
from service.accounts.models import User, UserOrigin
from service.accounts.new_users import add_user
from service.accounts.seats import lock_seats
from service.audit.actions import Action
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.errors import BadUserInput, Conflict
from service.text import JsonObject


async def create_user(
    external_id: str,
    by: Actor,
    hashes: SubjectHashes,
    *,
    email: str | None = None,
    metadata: object = None,
    access_until: datetime | Unchanged | None = UNCHANGED,
) -> User:
    """Create a user with this external ID, which is also its ID, on a seat. The email counts as verified.

    A user who has the ID already is returned, if email and metadata are None or equal the user's. Raises `Conflict` if
    they differ or if another user has the email, `SeatLimitReached`, `BadUserInput`, and `Forbidden` if the access of an
    admin would change and the actor may not change admins.
    """
    external_id = parse_external_id(external_id)
    email = None if email is None else parse_email(email)
    checked = None if metadata is None else parse_metadata(metadata)
    async with transaction():
        await lock_seats()
        known = await find_by_id_claim(external_id)
        if known is None:
            return await _create(external_id, email, checked, access_until, by, hashes)
        if email not in (None, known.shown_email) or (
            checked is not None and not is_same_metadata(known.metadata, checked)
        ):
            raise Conflict("A user with this ID exists already, with another email or other metadata.")
        if not isinstance(access_until, Unchanged) and access_until != known.access_until:
            known = await lock_to_change(known.id, by)
            before = Profile.of(known)
            await set_access_until(known, access_until, by)
            await record_update(known, before, by)
    return known


async def _create(
    external_id: str,
    email: str | None,
    metadata: JsonObject | None,
    access_until: datetime | Unchanged | None,
    by: Actor,
    hashes: SubjectHashes,
) -> User:
    if email is not None and await find_by_email(email):
        raise Conflict("Another user has this email.")
    user = User(
        id=external_id,
        external_id=external_id,
        email=email,
        metadata=dump_metadata(metadata or {}),
        origin=UserOrigin.EXTERNAL_JWT,
        access_until=None if isinstance(access_until, Unchanged) else access_until,
        created_at=now(),
    )
    await apply_cutoff(user, hashes)
    await add_user(user, Action.USER_CREATED, by)
    await end_lapsed_access(user)
    return user


def parse_metadata(value: object) -> JsonObject:
    """Return the metadata of an argument. Raises `BadUserInput` unless it is an object that can be stored."""
    if not isinstance(value, dict):
        raise BadUserInput("`metadata` must be an object.")
    try:
        check_metadata(value)
    except ValueError as problem:
        raise BadUserInput(f"`metadata` {problem}.") from None
    return value
