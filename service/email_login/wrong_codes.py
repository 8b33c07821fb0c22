"""Limits wrong email codes in a row, for each address (contract §3, NIST SP 800-63B, section 5.2.2).

After `FREE` wrong codes in a row the next one has to wait, longer each time. After `MOST_OF_OTHERS` wrong codes by
clients that are not known, or `MOST_OF_KNOWN` by one known client, or `MOST` altogether, email codes are refused
for these clients, until a right code, an invitation, a one-time link or an admin resets the count. The wrong codes of
one source never make another source wait.

An address is counted whether or not a user has it, so the waits do not reveal which addresses have users. The counts
start again if the first encryption key is replaced, because they are found by a keyed hash of the address.

SQL by hand: atomic. One upsert locks the counts of an address, one adds a wrong code, and one statement bounds the table.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from service.accounts.lookup import lock_to_change
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import Statement, purge_expired, transaction, write
from service.email_login.codes import count_try
from service.email_login.known_clients import Source, SourceKind, account_of
from service.email_login.models import WrongCodes
from service.encryption import Cipher
from service.errors import SignInRefused
from service.refusal_texts import SignInErrorCode

FREE = 15  # the tries of three codes: a person who mistypes does not wait
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 1440))  # the last one repeats
MOST_OF_OTHERS = 50
MOST_OF_KNOWN = 25
MOST = 100
KEPT = timedelta(days=400)  # after the last wrong code
MAX_ROWS = 500_000  # about 100 MB; then the counts that are longest without a wrong code are dropped

_LOCKED = "Waiting does not help. Ask an administrator to unlock this address, or use an invitation."
_RETRY_WHEN_LOCKED = 86_400  # seconds, for programs: an admin may have unlocked the address by then

_LOCK = Statement(
    "INSERT INTO wrong_codes (id, account, in_a_row, wait_until, expires_at) VALUES ($1, $1, 0, $2, $3)"
    " ON CONFLICT (id) DO UPDATE SET account = excluded.account"
)
_ADD = Statement(
    "INSERT INTO wrong_codes (id, account, in_a_row, wait_until, expires_at) VALUES ($1, $2, 1, $3, $4)"
    " ON CONFLICT (id) DO UPDATE SET in_a_row = wrong_codes.in_a_row + 1, wait_until = $3, expires_at = $4"
)
_RESET = Statement("DELETE FROM wrong_codes WHERE account = $1")
_DROP_BEYOND = Statement(
    "DELETE FROM wrong_codes WHERE id IN (SELECT id FROM wrong_codes ORDER BY expires_at DESC LIMIT $1 OFFSET $2)"
)


async def take_guess(request_id: str, email: str, sources: Sequence[Source], cipher: Cipher) -> None:
    """Count a guess at the code of this request as wrong, before the code is looked at. A right code resets the count.

    Raises `SignInRefused`: TOO_MANY_ATTEMPTS if every source has to wait, and then nothing is counted and the request
    keeps its tries; INVALID_EMAIL_CODE if the request has no tries left or is over. The lock of the address makes the
    count exact for simultaneous guesses. Do not call it inside a transaction.
    """
    account = account_of(email, cipher)
    async with transaction():
        await write(_LOCK, account, now(), now() + KEPT)
        moment = now()  # after the lock, for which this guess may have waited
        counts = await WrongCodes.filter(account=account)
        source = _free_source(sources, counts, moment)
        if not await count_try(request_id):
            raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
        in_a_row = 1 + next((count.in_a_row for count in counts if count.id == source.id), 0)
        await write(_ADD, source.id, account, moment + _wait_after(in_a_row), moment + KEPT)


async def require_hope(email: str, sources: Sequence[Source], cipher: Cipher, within: timedelta) -> None:
    """Raise `SignInRefused` if every source has to wait for longer than `within`, so that a new code would be useless."""
    counts = await WrongCodes.filter(account=account_of(email, cipher))
    _free_source(sources, counts, now() + within)


async def reset_wrong_codes(email: str, cipher: Cipher) -> bool:
    """Forget the wrong codes of an address, for every source. Return whether there were any."""
    return await write(_RESET, account_of(email, cipher)) > 0


async def unlock_email_sign_in(user_id: str, by: Actor, cipher: Cipher) -> User:
    """Forget the wrong codes for the user's address, so that email codes are accepted again at once.

    Raises `NotFound`, and `Forbidden` for an admin, if the actor may not change admins.
    """
    async with transaction():
        user = await lock_to_change(user_id, by)
        if user.email is not None and await reset_wrong_codes(user.email, cipher):
            await record(Action.USER_EMAIL_SIGN_IN_UNLOCKED, by, user_id=user.id)
    return user


async def purge_wrong_codes(batch: int) -> int:
    """Delete at most `batch` counts that are old or beyond `MAX_ROWS`, and return how many were deleted."""
    return await purge_expired("wrong_codes", "id", "expires_at", batch) or await write(_DROP_BEYOND, batch, MAX_ROWS)


def _free_source(sources: Sequence[Source], counts: Sequence[WrongCodes], moment: datetime) -> Source:
    """Return the first source that does not have to wait at `moment`. Raises `SignInRefused` with the shortest wait."""
    by_id = {count.id: count for count in counts}
    all_locked = sum(count.in_a_row for count in counts) >= MOST
    waits = []
    for source in sources:
        count = by_id.get(source.id)
        if all_locked or (count is not None and count.in_a_row >= _most(source)):
            continue
        if count is None or count.in_a_row < FREE or count.wait_until <= moment:
            return source
        waits.append(count.wait_until - now())
    if not waits:
        raise SignInRefused(
            SignInErrorCode.TOO_MANY_ATTEMPTS, remedy=_LOCKED, cause="locked", retry_after=_RETRY_WHEN_LOCKED
        )
    raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=max(1, math.ceil(min(waits).total_seconds())))


def _most(source: Source) -> int:
    return MOST_OF_OTHERS if source.kind is SourceKind.OTHER else MOST_OF_KNOWN


def _wait_after(in_a_row: int) -> timedelta:
    """Return how long the next guess has to wait after this many wrong ones in a row."""
    return timedelta() if in_a_row < FREE else WAITS[min(in_a_row - FREE, len(WAITS) - 1)]
