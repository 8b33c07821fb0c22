"""Email codes of 6 digits: created, tried and used up, each for one request (contract §3).

Only the client that made the request has its ID (128 random bits). Without the ID, a code cannot be tried, its tries
cannot be used up, and it cannot be made void. Requests for the same address do not affect each other.

SQL by hand: atomic. A try is counted, and a code is used up, by one conditional update.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.clock import now
from service.database import Statement, purge_expired, write
from service.email_login.models import EmailCode
from service.encryption import Cipher

DIGITS = 6
LIFETIME = timedelta(minutes=10)
MAX_TRIES = 5
ID_BYTES = 16

_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)
_BETWEEN_DIGITS = re.compile(r"[\s\u200b-\u200d\u2060\ufeff.-]+")

_TRY = Statement(
    "UPDATE email_codes SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND used_at IS NULL AND expires_at > $3"
)
_USE_UP = Statement("UPDATE email_codes SET used_at = $1 WHERE id = $2 AND used_at IS NULL")


@dataclass(frozen=True, slots=True)
class NewCode:
    """A request for a code, and the digits, which only the mail may contain."""

    id: str
    digits: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What a holder of the request's ID may know: what was requested, never whether a user with this email exists."""

    email: str
    created_at: datetime
    expires_at: datetime


async def make_code(email: str, cipher: Cipher) -> NewCode:
    """Add a request for this normalised address, known or not, in the caller's transaction."""
    moment = now()
    made = NewCode(
        id=secrets.token_urlsafe(ID_BYTES),
        digits=f"{secrets.randbelow(10**DIGITS):0{DIGITS}}",
        expires_at=moment + LIFETIME,
    )
    await EmailCode.create(
        id=made.id,
        email=email,
        code_hash=cipher.keyed_hash(_hashed(made.id, made.digits)),
        created_at=moment,
        expires_at=made.expires_at,
    )
    return made


async def count_try(request_id: str) -> bool:
    """Count a try of the code. Returns false if the code has no tries left, was used or has expired.

    One conditional update, so that simultaneous tries cannot exceed `MAX_TRIES`. It is committed before the code is
    looked at, so that a sign-in that is rolled back does not give its try back.
    """
    return await write(_TRY, request_id, MAX_TRIES, now()) > 0


async def is_right(request_id: str, typed: str, cipher: Cipher) -> bool:
    """Return whether `typed` is the code of the request. Call it after `count_try` has allowed the try."""
    request = await EmailCode.get_or_none(id=request_id)
    return request is not None and cipher.fits(_hashed(request_id, _read_digits(typed)), request.code_hash)


async def use_up(request_id: str) -> bool:
    """Mark the code as used. Returns false if another request used it first. Call it in the sign-in's transaction."""
    return await write(_USE_UP, now(), request_id) > 0


async def find_request(request_id: str) -> KnownRequest | None:
    """Return the request with this ID, or None if it is unknown or purged."""
    request = await EmailCode.get_or_none(id=request_id) if _ID.fullmatch(request_id) else None
    return KnownRequest(request.email, request.created_at, request.expires_at) if request else None


async def purge_codes(batch: int) -> int:
    """Delete at most `batch` expired requests, and return how many were deleted."""
    return await purge_expired("email_codes", "id", "expires_at", batch)


async def delete_codes_for(emails: Iterable[str]) -> None:
    """Delete the requests for these addresses, in the caller's transaction."""
    await EmailCode.filter(email__in=list(emails)).delete()


async def delete_all_codes() -> None:
    """Delete every request, in the caller's transaction. No code that was sent works any more."""
    await EmailCode.all().delete()


def _hashed(request_id: str, digits: str) -> str:
    """Return the text to hash. It contains the request's ID, so that equal digits have different hashes."""
    return f"email code\n{request_id}\n{digits}"


def _read_digits(typed: str) -> str:
    """Return the digits without spaces, periods and hyphens between them. An empty text if they are not a code."""
    digits = "".join(_as_ascii_digit(character) for character in _BETWEEN_DIGITS.sub("", typed))
    return digits if _CODE.fullmatch(digits) else ""


def _as_ascii_digit(character: str) -> str:
    """Return a digit of any script (full-width, Arabic, Devanagari …) as an ASCII digit, else the same character."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
