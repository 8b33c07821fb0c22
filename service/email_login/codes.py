"""Codes of 6 digits: made, tried and used up, each for the one request that asked for it (contract §3).

Whoever asked holds the request's id, 128 random bits; without it nobody can try a code, use up its tries or void it. What
an address has otherwise asked for does not matter: requests know nothing of each other.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.clock import now
from service.database import Row, Statement, as_time, fetch_one, write
from service.encryption import Cipher

DIGITS = 6
LIFETIME = timedelta(minutes=10)
MAX_TRIES = 5
ID_BYTES = 16

_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)
_BETWEEN_DIGITS = re.compile(r"[\s\u200b-\u200d\u2060\ufeff.-]+")

_ADD = Statement(
    "INSERT INTO email_codes (id, email, code_hash, tries, created_at, expires_at) VALUES ($1, $2, $3, 0, $4, $5)"
)
_FIND = Statement("SELECT email, code_hash, created_at, expires_at FROM email_codes WHERE id = $1")
_TRY = Statement(
    "UPDATE email_codes SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND used_at IS NULL AND expires_at > $3"
)
_USE_UP = Statement("UPDATE email_codes SET used_at = $1 WHERE id = $2 AND used_at IS NULL")
_PURGE = Statement("DELETE FROM email_codes WHERE id IN (SELECT id FROM email_codes WHERE expires_at < $1 LIMIT $2)")


@dataclass(frozen=True, slots=True)
class NewCode:
    """A request, and the digits that only the mail may carry."""

    id: str
    digits: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What whoever holds a request's id may know of it: what they asked for, never whether somebody is there."""

    email: str
    created_at: datetime
    expires_at: datetime


async def make_code(email: str, cipher: Cipher) -> NewCode:
    """A new request for this normalised address, whoever that is. One insert."""
    moment = now()
    made = NewCode(
        id=secrets.token_urlsafe(ID_BYTES),
        digits=f"{secrets.randbelow(10**DIGITS):0{DIGITS}}",
        expires_at=moment + LIFETIME,
    )
    await write(_ADD, made.id, email, cipher.keyed_hash(_hashed(made.id, made.digits)), moment, made.expires_at)
    return made


async def try_code(request_id: str, typed: str, cipher: Cipher) -> str | None:
    """The address, where this is the request's code and it may still be used; else None, which says nothing of why.

    The try is counted first, by one conditional update that is a transaction of its own: so many tries at once never get
    more than `MAX_TRIES` of them, and a sign-in that is rolled back gives none back. Not to be called in a transaction.
    """
    if not _ID.fullmatch(request_id) or not await write(_TRY, request_id, MAX_TRIES, now()):
        return None
    row = await _find(request_id)
    if row is None or not cipher.fits(_hashed(request_id, _read_digits(typed)), row["code_hash"]):
        return None
    return str(row["email"])


async def use_up(request_id: str) -> bool:
    """Let the code not be used again; false where somebody else just used it. In the transaction of the sign-in."""
    return await write(_USE_UP, now(), request_id) > 0


async def find_request(request_id: str) -> KnownRequest | None:
    """The request with this id; None where there is none, or none any more."""
    row = await _find(request_id) if _ID.fullmatch(request_id) else None
    if row is None:
        return None
    return KnownRequest(row["email"], as_time(row["created_at"]), as_time(row["expires_at"]))


async def purge_codes(batch: int) -> int:
    """Forget so many requests at most that have expired; how many there were."""
    return await write(_PURGE, now(), batch)


async def _find(request_id: str) -> Row | None:
    return await fetch_one(_FIND, request_id)


def _hashed(request_id: str, digits: str) -> str:
    """Two requests with the same digits have different hashes."""
    return f"email code\n{request_id}\n{digits}"


def _read_digits(typed: str) -> str:
    """The digits, however they were grouped where they were copied; nothing where they are no code."""
    digits = "".join(_as_ascii_digit(character) for character in _BETWEEN_DIGITS.sub("", typed))
    return digits if _CODE.fullmatch(digits) else ""


def _as_ascii_digit(character: str) -> str:
    """The digit of another script (full-width, Arabic, Devanagari …) as an ASCII digit; else the character itself."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
