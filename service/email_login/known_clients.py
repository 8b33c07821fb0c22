"""Known clients: the networks and browsers from which an address was signed in by email before (contract §3).

What strangers do must not keep a person from signing in. So a known client has allowances of its own, which no other
client can use up: for requests of codes (`allowances`) and for wrong codes (`wrong_codes`). A known client has no other
right: it needs a code like every other. The browser is known by a random device cookie (OWASP, "Device Cookies").

A row is the keyed hash of address and client. The rows of an address are found only with its client's network or cookie,
by the same statement for every address.

SQL by hand: atomic. One upsert adds or renews a known client, and one statement drops those beyond the newest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from service.accounts.models import User
from service.clock import now
from service.database import Statement, purge_expired, write
from service.email_login.models import KnownClient
from service.encryption import Cipher
from service.ip_addresses import NO_ADDRESS, network_of
from service.sessions.lifecycle import Client
from service.tokens import new_token

MOST_OF_USER = 20  # known networks of one user, and as many known browsers
LIFETIME = timedelta(days=400)  # after the last sign-in; browsers keep no cookie for longer (RFC 6265bis, section 5.5)

_DEVICE_PREFIX = "dcd_"
_DEVICE = re.compile(r"dcd_[A-Za-z0-9_-]{43}", re.ASCII)

_REMEMBER = Statement(
    "INSERT INTO known_clients (id, user_serial, kind, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET"
    " user_serial = excluded.user_serial, expires_at = excluded.expires_at"
)
_DROP_OLDEST = Statement(
    "DELETE FROM known_clients WHERE user_serial = $1 AND kind = $2 AND id NOT IN ("
    "SELECT id FROM known_clients WHERE user_serial = $1 AND kind = $2 ORDER BY expires_at DESC LIMIT $3)"
)


class SourceKind(StrEnum):
    """Where requests and guesses for an address come from: a known browser, a known network, or any other client."""

    DEVICE = "DEVICE"
    NETWORK = "NETWORK"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Source:
    """A source of requests and guesses for one address. `id` is the keyed hash under which they are counted."""

    kind: SourceKind
    id: str


def new_device_token() -> str:
    """Return the value of a new device cookie: 256 random bits."""
    return new_token(_DEVICE_PREFIX)


def is_device_token(text: str) -> bool:
    """Return whether a cookie's value has the form of a device token."""
    return _DEVICE.fullmatch(text) is not None


async def find_sources(email: str, client: Client, device: str | None, cipher: Cipher) -> tuple[Source, ...]:
    """Return the sources that this client may use for the address: those that are known, else the one of all others."""
    texts = _texts(email, client, device)
    found = await _known_ids(texts.values(), cipher)
    known = [
        Source(kind, cipher.keyed_hash(text)) for kind, text in texts.items() if found & {*cipher.keyed_hashes(text)}
    ]
    return tuple(known) or (Source(SourceKind.OTHER, account_of(email, cipher)),)


def account_of(email: str, cipher: Cipher) -> str:
    """Return the keyed hash by which everything that is counted for an address is found."""
    return cipher.keyed_hash(f"email sign-in\n{email}")


async def remember_client(user: User, client: Client, device: str | None, cipher: Cipher) -> bool:
    """Make the network and the browser of a sign-in known for the user's address. The oldest beyond 20 are forgotten.

    Returns whether the network was not known before; false if the client has no usable address.
    """
    if user.email is None:
        return False
    texts = _texts(user.email, client, device)
    network = texts.get(SourceKind.NETWORK)
    is_new = network is not None and not await _known_ids([network], cipher)
    for kind, text in texts.items():
        await write(_REMEMBER, cipher.keyed_hash(text), user.serial, kind, now() + LIFETIME)
        await write(_DROP_OLDEST, user.serial, kind, MOST_OF_USER)
    return is_new


async def purge_known_clients(batch: int) -> int:
    """Delete at most `batch` clients that were not used for `LIFETIME`, and return how many were deleted."""
    return await purge_expired("known_clients", "id", "expires_at", batch)


async def _known_ids(texts: Iterable[str], cipher: Cipher) -> set[str]:
    """Return the IDs of the clients that are known, hashed with any of the encryption keys."""
    ids = [hashed for text in texts for hashed in cipher.keyed_hashes(text)]
    return {client.id for client in await KnownClient.filter(id__in=ids, expires_at__gt=now())}


def _texts(email: str, client: Client, device: str | None) -> dict[SourceKind, str]:
    """Return the texts to hash: of the browser, if it sent a device token, and of the network, if there is one."""
    network = network_of(client.ip_address)
    texts = {SourceKind.DEVICE: f"known device\n{email}\n{device}"} if device is not None else {}
    return texts if network == NO_ADDRESS else {**texts, SourceKind.NETWORK: f"known network\n{email}\n{network}"}
