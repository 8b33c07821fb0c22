"""Finds one user by ID, external ID or verified email.

SQL by hand: every request (finding a user), and atomic (locking a user).
"""

from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.audit.log import Actor
from service.database import Row, Statement, as_time, fetch_one
from service.errors import NotFound

# One statement for both kinds of ID. A match of `external_id` takes precedence over a match of `id` (contract §1).
_BY_ID_CLAIM = Statement(
    "SELECT * FROM users WHERE serial = COALESCE("
    "(SELECT serial FROM users WHERE external_id = $1), (SELECT serial FROM users WHERE id = $1))"
)
# Never by `email`: an address that is only claimed finds no user (contract §1).
_BY_EMAIL = Statement("SELECT * FROM users WHERE verified_email = $1")
_BY_ID = Statement("SELECT * FROM users WHERE id = $1")
_BY_ID_LOCKED = Statement("SELECT * FROM users WHERE id = $1 FOR UPDATE")

# Plain dicts: about ten times faster than `UserOrigin(value)` on this hot path.
_ORIGINS = {member.value: member for member in UserOrigin}
_ROLES = {member.value: member for member in UserRole}
_STATUSES = {member.value: member for member in UserStatus}


async def find_by_id_claim(user_id: str) -> User | None:
    """Return the user with this external ID, else the user with this ID, else None."""
    return _user_or_none(await fetch_one(_BY_ID_CLAIM, user_id))


async def find_by_email(email: str) -> User | None:
    """Return the user whose verified email this is, in normal form, or None. A claimed email finds no user."""
    return _user_or_none(await fetch_one(_BY_EMAIL, email))


async def find_by_id(user_id: str) -> User | None:
    """Return the user with this ID, or None. Does not search external IDs."""
    return _user_or_none(await fetch_one(_BY_ID, user_id))


async def lock_by_id(user_id: str) -> User:
    """Lock the user until the transaction ends, and return it. Raises `NotFound`.

    Prevents this race: two admins change one user at the same time, and the second overwrites the change of the first.
    """
    user = _user_or_none(await fetch_one(_BY_ID_LOCKED, user_id))
    if user is None:
        raise NotFound("There is no user with this id.")
    return user


async def lock_to_change(user_id: str, by: Actor) -> User:
    """Return the user, locked like `lock_by_id`. Raises `Forbidden` for an admin, if the actor may not change admins."""
    user = await lock_by_id(user_id)
    if user.role is UserRole.ADMIN:
        by.require_may_change_admins()
    return user


def user_from_row(row: Row) -> User:
    """Build a user from a row with every column. Equal to Tortoise's `_init_from_db`, in less than half the time."""
    user = User.__new__(User)
    user.__dict__.update(
        _partial=False,
        _saved_in_db=True,
        _custom_generated_pk=False,
        _await_when_save={},
        serial=row["serial"],
        id=row["id"],
        external_id=row["external_id"],
        email=row["email"],
        verified_email=row["verified_email"],
        metadata=row["metadata"],
        origin=_ORIGINS[row["origin"]],
        role=_ROLES[row["role"]],
        status=_STATUSES[row["status"]],
        session_epoch=row["session_epoch"],
        email_epoch=row["email_epoch"],
        search_text=row["search_text"],
        created_at=as_time(row["created_at"]),
        last_seen_at=None if row["last_seen_at"] is None else as_time(row["last_seen_at"]),
    )
    return user


def _user_or_none(row: Row | None) -> User | None:
    return None if row is None else user_from_row(row)
