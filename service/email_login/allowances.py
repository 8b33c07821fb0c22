"""Limits how many email codes may be requested within an hour. The counts survive a restart and a rollback.

- Per address and network: 5. The limit that an ordinary user reaches. A sender in another network cannot use it up.
- Per address, from all networks: 15. Limits the mails to one mailbox.
- Per network: 300, and 3,000 per IPv6 /48. Limits how many mailboxes one network can send mail to, and how many rows it
  can add.

A client that is known for the address (`known_clients`) has only the first of these: 5 for its network and 5 for its
browser. So strangers cannot use up what it has. An address is counted whether or not a user has it, so the limit does
not reveal which addresses have users.

SQL by hand: atomic. A request is counted by one conditional upsert.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.clock import now
from service.database import Statement, purge_expired, write
from service.email_login.known_clients import Source, SourceKind
from service.email_login.models import CodeAllowance
from service.encryption import Cipher
from service.errors import SignInRefused
from service.ip_addresses import network_of, site_of
from service.refusal_texts import SignInErrorCode

WINDOW = timedelta(hours=1)
OF_ADDRESS_FROM_NETWORK = 5
OF_ADDRESS = 15
OF_ADDRESS_FROM_DEVICE = 5
FROM_NETWORK = 300
FROM_SITE = 3_000

_OVER = "email_code_allowances.ends_at <= $3"
_TAKE = Statement(
    "INSERT INTO email_code_allowances (id, used, ends_at) VALUES ($1, 1, $2) ON CONFLICT (id) DO UPDATE SET"
    f" used = CASE WHEN {_OVER} THEN 1 ELSE email_code_allowances.used + 1 END,"
    f" ends_at = CASE WHEN {_OVER} THEN excluded.ends_at ELSE email_code_allowances.ends_at END"
    f" WHERE {_OVER} OR email_code_allowances.used < $4"
)


@dataclass(frozen=True, slots=True)
class _Bound:
    name: str
    most: int

    def id(self, cipher: Cipher) -> str:
        """Return a keyed hash: without the key, no list of addresses tells which of them are in the table."""
        return cipher.keyed_hash(f"email code allowance\n{self.name}")


async def take_allowance(email: str, ip_address: str | None, sources: Sequence[Source], cipher: Cipher) -> datetime:
    """Count a request for a code. Returns from when the next request is allowed. Raises `SignInRefused` over a limit.

    Uses the first of the client's sources that has an allowance left. Each count is one conditional statement in its own
    transaction, so it is exact for simultaneous requests.
    """
    refusals = []
    for number, source in enumerate(sources, start=1):
        try:
            free_from = await _take_all(_bounds(source, email, ip_address), cipher)
        except SignInRefused as refusal:
            refusals.append(refusal)
        else:
            return free_from if number == len(sources) else now()
    raise min(refusals, key=lambda refusal: refusal.retry_after or 0)


async def take_alert(email: str, cipher: Cipher) -> bool:
    """Count an alert to this address. Returns whether it is the first one within an hour."""
    moment = now()
    bound = _Bound(f"alert\n{email}", 1)
    return await write(_TAKE, bound.id(cipher), moment + WINDOW, moment, bound.most) > 0


async def purge_allowances(batch: int) -> int:
    """Delete at most `batch` counts whose hour is over, and return how many were deleted."""
    return await purge_expired("email_code_allowances", "id", "ends_at", batch)


def _bounds(source: Source, email: str, ip_address: str | None) -> list[_Bound]:
    """Return the limits of a source. A network keeps its count when it becomes known."""
    network = network_of(ip_address)
    of_network = _Bound(f"address from network\n{email}\n{network}", OF_ADDRESS_FROM_NETWORK)
    if source.kind is SourceKind.DEVICE:
        return [_Bound(f"address from device\n{source.id}", OF_ADDRESS_FROM_DEVICE)]
    if source.kind is SourceKind.NETWORK:
        return [of_network]
    bounds = [of_network, _Bound(f"network\n{network}", FROM_NETWORK)]
    if site := site_of(network):
        bounds.append(_Bound(f"site\n{site}", FROM_SITE))
    return [*bounds, _Bound(f"address\n{email}", OF_ADDRESS)]


async def _take_all(bounds: Sequence[_Bound], cipher: Cipher) -> datetime:
    """Count a request in each of the limits, in this order, until one is reached."""
    free_from = now()
    for bound in bounds:
        free_from = max(free_from, await _take(bound, cipher))
    return free_from


async def _take(bound: _Bound, cipher: Cipher) -> datetime:
    moment = now()
    taken = await write(_TAKE, bound.id(cipher), moment + WINDOW, moment, bound.most)
    count = await CodeAllowance.get_or_none(id=bound.id(cipher))
    ends_at = count.ends_at if count else moment  # a purge may have deleted the row since
    if not taken:
        raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=_seconds_until(ends_at))
    return ends_at if count and count.used >= bound.most else moment


def _seconds_until(moment: datetime) -> int:
    return max(1, math.ceil((moment - now()).total_seconds()))
