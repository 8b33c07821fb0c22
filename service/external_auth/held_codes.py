"""Holds a verified code for a minute, until a page of this service finishes the link login.

A code must not stay in the address of a page, and a form that another site sends carries no Lax cookie. So the code waits
here under a one-time ID. The row is encrypted with a key derived from that ID, and only a hash of the ID is stored: the
database alone gives away no code, and a change of the encryption keys does not concern these rows.
"""

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from cryptography.fernet import Fernet

from service.clock import now
from service.database import purge_expired, transaction
from service.external_auth.models import HeldCode
from service.tokens import hash_token, new_token

HELD_FOR = timedelta(minutes=1)

_PREFIX = "dch_"


@dataclass(frozen=True, slots=True, repr=False)  # a repr would show the code, which no log may hold
class HeldLink:
    """What a link or form asked for."""

    code: str
    return_to: str | None
    state: str | None


async def hold(link: HeldLink) -> str:
    """Store what a link asked for, and return the one-time ID. It holds for a minute."""
    held_id = new_token(_PREFIX)
    async with transaction():
        await HeldCode.create(
            id=hash_token(held_id),
            encrypted_link=_cipher_of(held_id).encrypt(json.dumps(asdict(link)).encode()).decode(),
            expires_at=now() + HELD_FOR,
        )
    return held_id


async def take(held_id: str) -> HeldLink | None:
    """Return what was stored under this ID, for one of several requests. None if it was taken, or after a minute."""
    key = hash_token(held_id)
    held = await HeldCode.get_or_none(id=key, expires_at__gt=now())
    if held is None:
        return None
    async with transaction():
        if not await HeldCode.filter(id=key).delete():
            return None
    return HeldLink(**json.loads(_cipher_of(held_id).decrypt(held.encrypted_link)))


async def purge_held_codes(batch: int) -> int:
    """Delete at most `batch` codes that were never taken, and return how many were deleted."""
    return await purge_expired("held_codes", "id", "expires_at", batch)


def _cipher_of(held_id: str) -> Fernet:
    """Return the cipher of this ID, whose 256 random bits need no stretching. The prefix separates key and row ID."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"held code\n{held_id}".encode()).digest()))
