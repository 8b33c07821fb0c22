"""Refuses codes that were issued before a moment: those of one user, and those of a deleted user (contract §1).

The moment of a user is in the row of the user, which an exchange reads anyway. The moment of a deleted user is kept
under a keyed hash of the external ID, so that the database does not name deleted users.

SQL by hand: every request (a sign-in of a new user), and atomic (a later moment replaces an earlier one, never the
reverse, and the key is made once).
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from secrets import token_urlsafe

from service.accounts.identifiers import is_service_made
from service.accounts.lookup import lock_to_change
from service.accounts.models import SubjectKey, User
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import floor, now, to_the_second
from service.database import Statement, as_time, fetch_one, purge_expired, transaction, write
from service.encryption import Cipher

KEPT_FOR = timedelta(days=400)
_SECOND = timedelta(seconds=1)
_KEY_BYTES = 32
_ROW = 1  # the only row

_KEEP = Statement(
    "INSERT INTO code_cutoffs (subject_hash, codes_valid_from, expires_at) VALUES ($1, $2, $3)"
    " ON CONFLICT (subject_hash) DO UPDATE SET codes_valid_from = excluded.codes_valid_from,"
    " expires_at = excluded.expires_at WHERE code_cutoffs.codes_valid_from <= excluded.codes_valid_from"
)
_FIND = Statement("SELECT codes_valid_from FROM code_cutoffs WHERE subject_hash = $1 AND expires_at > $2")
_MAKE_KEY = Statement("INSERT INTO subject_keys (id, encrypted_key) VALUES (1, $1) ON CONFLICT DO NOTHING")


class SubjectHashes:
    """Hashes external IDs with a key of this instance (HMAC-SHA-256, RFC 2104)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def hash(self, external_id: str) -> str:
        """Return the hash, in hex."""
        return hmac.new(self._key, external_id.encode(), hashlib.sha256).hexdigest()


async def open_subject_hashes(cipher: Cipher) -> SubjectHashes:
    """Return the hashes of this instance. Makes the key if there is none; several processes may call this at once.

    Encrypts the key with the first encryption key, so that older ones can be removed. Raises if it cannot be read.
    """
    row = await SubjectKey.get_or_none(id=_ROW)
    if row is None:
        await write(_MAKE_KEY, cipher.encrypt(token_urlsafe(_KEY_BYTES)))
        row = await SubjectKey.get(id=_ROW)
    if (renewed := cipher.renewed(row.encrypted_key)) is not None:
        async with transaction():
            await SubjectKey.filter(id=_ROW).update(encrypted_key=renewed)
    return SubjectHashes(cipher.decrypt(row.encrypted_key).encode())


def cutoff_from(earlier: datetime | None) -> datetime:
    """Return the present moment, rounded down to the second; `earlier` if that is later, because a cut-off is never undone."""
    moment = floor(now(), _SECOND)
    return moment if earlier is None else max(moment, earlier)


def find_cutoff_problem(issued_at: float | None, valid_from: datetime | None, whose: str) -> str | None:
    """Say why a code issued at that time, in seconds since 1970, is refused. None if it is accepted.

    Grants no clock skew, because the holder of a leaked code would gain by it. A code of the same second is accepted.
    """
    if valid_from is None or (issued_at is not None and issued_at >= valid_from.timestamp()):
        return None
    found = "has no iat" if issued_at is None else "was issued earlier"
    return f"an admin made {whose} issued before {to_the_second(valid_from)} invalid, and this code {found}"


async def revoke_user_codes(user_id: str, by: Actor, *, end_sessions: bool = True) -> User:
    """Refuse the user's codes that were issued before now. With `end_sessions`, end the sessions that codes opened.

    Codes that are issued from now on work. Raises `NotFound`, and `Forbidden` for an admin if the actor may not change
    admins.
    """
    async with transaction():
        user = await lock_to_change(user_id, by)
        user.codes_valid_from = cutoff_from(user.codes_valid_from)
        user.code_epoch += end_sessions
        await user.save(update_fields=["codes_valid_from", "code_epoch"])
        await record(Action.USER_CODES_REVOKED, by, user_id=user.id, detail={"endSessions": end_sessions})
    return user


async def keep_cutoff(user: User, moment: datetime, hashes: SubjectHashes) -> None:
    """Keep the moment for a user that is deleted in the caller's transaction, for 400 days."""
    for subject in {user.id, user.external_id}:
        if subject is not None and not is_service_made(subject):  # no code can create a user with such an ID
            await write(_KEEP, hashes.hash(subject), moment, now() + KEPT_FOR)


async def find_cutoff(external_id: str, hashes: SubjectHashes) -> datetime | None:
    """Return the moment that was kept for this ID when its user was deleted, or None."""
    kept = await fetch_one(_FIND, hashes.hash(external_id), now())
    return as_time(kept["codes_valid_from"]) if kept else None


async def apply_cutoff(user: User, hashes: SubjectHashes) -> None:
    """Give a user with a new external ID the moment that was kept for that ID, unless its own is later."""
    kept = await find_cutoff(user.external_id, hashes) if user.external_id else None
    user.codes_valid_from = latest(user.codes_valid_from, kept)


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later moment. None is earlier than any."""
    return max((moment for moment in (one, other) if moment is not None), default=None)


async def purge_cutoffs(batch: int) -> int:
    """Delete at most `batch` moments that have been kept for 400 days, and return how many were deleted."""
    return await purge_expired("code_cutoffs", "subject_hash", "expires_at", batch)
