"""Limits how many email codes may be requested within an hour. The counts survive a restart and a rollback.

- Per address and network: 5. The limit that an ordinary user reaches. A sender in another network cannot use it up.
- Per address, from all networks: 15. Limits the mails to one mailbox, and guesses at its codes to 75 tries an hour,
  each with a chance of one in a million.
- Per network: 300. Limits how many mailboxes one network can send mail to, and how many rows it can add.

An address is counted whether or not a user has it, so the limit does not reveal which addresses have users.

SQL by hand: atomic. A request is counted by one conditional upsert.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.clock import now
from service.database import Statement, purge_expired, write
from service.email_login.models import CodeAllowance
from service.encryption import Cipher
from service.errors import SignInRefused
from service.ip_addresses import network_of
from service.refusal_texts import SignInErrorCode

WINDOW = timedelta(hours=1)
OF_ADDRESS_FROM_NETWORK = 5
OF_ADDRESS = 15
FROM_NETWORK = 300

_OVER = "email_code_allowances.ends_at <= $3"
_TAKE = Statement(
    "INSERT INTO email_code_allowances (id, used, ends_at) VALUES ($1, 1, $2) ON CONFLICT (id) DO UPDATE SET"
    f" used = CASE WHEN {_OVER} THEN 1 ELSE email_code_allowances.used + 1 END,"
    f" ends_at = CASE WHEN {_OVER} THEN excluded.ends_at ELSE email_code_allowances.ends_at END"
    f" WHERE {_OVER} OR email_code_allowances.used < $4"
)


@dataclass(frozen=True, slots=True)
class _Bound:
    id: str
    """A keyed hash of what is counted: without the key, no list of addresses tells which of them are in the table."""
    most: int


async def take_allowance(email: str, ip_address: str | None, cipher: Cipher) -> datetime:
    """Count a request for a code. Returns from when the next request is allowed. Raises `SignInRefused` over a limit.

    Each count is one conditional statement in its own transaction, so it is exact for simultaneous requests.
    """
    free_from = now()
    for bound in _bounds(email, ip_address, cipher):
        free_from = max(free_from, await _take(bound))
    return free_from


async def purge_allowances(batch: int) -> int:
    """Delete at most `batch` counts whose hour is over, and return how many were deleted."""
    return await purge_expired("email_code_allowances", "id", "ends_at", batch)


def _bounds(email: str, ip_address: str | None, cipher: Cipher) -> list[_Bound]:
    network = network_of(ip_address) if ip_address else ""
    counted = [(f"address from network\n{email}\n{network}", OF_ADDRESS_FROM_NETWORK)]
    if network:
        counted.append((f"network\n{network}", FROM_NETWORK))
    counted.append((f"address\n{email}", OF_ADDRESS))
    return [_Bound(cipher.keyed_hash(f"email code allowance\n{what}"), most) for what, most in counted]


async def _take(bound: _Bound) -> datetime:
    moment = now()
    taken = await write(_TAKE, bound.id, moment + WINDOW, moment, bound.most)
    count = await CodeAllowance.get_or_none(id=bound.id)
    ends_at = count.ends_at if count else moment  # a purge may have deleted the row since
    if not taken:
        raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=_seconds_until(ends_at))
    return ends_at if count and count.used >= bound.most else moment


def _seconds_until(moment: datetime) -> int:
    return max(1, math.ceil((moment - now()).total_seconds()))
