"""The codes that must not work twice, under the policy that each code works once.

SQL by hand: atomic. One insert uses a code up.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from service.database import Statement, purge_expired, write
from service.errors import SignInRefused
from service.external_auth.codes import VerifiedClaims
from service.external_auth.policy import MAX_CLOCK_SKEW
from service.refusal_texts import SignInErrorCode

_USE_UP = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


async def use_up_code(claims: VerifiedClaims) -> None:
    """Store that the code is used, in the caller's transaction: a code that is refused later is not used up.

    Raises `SignInRefused` if it was used before. The row is kept for the longest clock skew that a policy can have,
    because the clock skew may be raised after this sign-in.
    """
    assert claims.jti is not None and claims.expires_at is not None, "the policy check asks for both"
    forgotten_at = as_date(claims.expires_at + MAX_CLOCK_SKEW)
    if not await write(_USE_UP, used_code_id(claims.secret_id, claims.jti), forgotten_at):
        raise SignInRefused(SignInErrorCode.CODE_ALREADY_USED)


def used_code_id(secret_id: str, jti: str) -> str:
    """Return the key of a used code: a `jti` is unique for one secret only."""
    return hashlib.sha256(f"{secret_id}\n{jti}".encode()).hexdigest()


async def purge_used_codes(days: int, batch: int) -> int:
    """Delete at most `batch` used codes that expired so many days ago, and return how many were deleted.

    A clock that jumps ahead by less, and is set right later, does not make a used code work again.
    """
    return await purge_expired("used_codes", "id", "expires_at", batch, kept_for=timedelta(days=days))


def as_date(seconds: float) -> datetime:
    """Return the date of any finite number of seconds since 1970, at most 1 January 9999."""
    return datetime.fromtimestamp(seconds, UTC) if seconds < _END_OF_TIME.timestamp() else _END_OF_TIME
