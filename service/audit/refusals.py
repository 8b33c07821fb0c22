"""Refused sign-ins, so that the reference that a person reads out can be looked up.

Any stranger can be refused, so the table is bounded: the newest `KEPT_OF_NETWORK` of each network, separately for persons
who proved who they are, `KEPT` in all, and none older than 30 days.

SQL by hand: atomic. One statement chooses and deletes what is beyond a bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.audit.models import RefusedSignIn
from service.clock import now
from service.database import ManyRows, Statement, purge_expired, write
from service.errors import BadUserInput, parse_reference
from service.ip_addresses import network_of, parse_address
from service.logs import redact
from service.paging import Conditions, Listing, Order

KEPT_FOR = timedelta(days=30)
KEPT_OF_NETWORK = 1_000
KEPT = 100_000

_COLUMNS = {"code": 32, "cause": 500, "user_id": 255, "email": 320, "secret_id": 36}  # the longest text of each
_NEWEST_FIRST = Order(
    "refused-", "created_at", descending=True, is_time=True, id_column="reference", id_descending=True
)
_ROWS = ManyRows(
    "refused_sign_ins",
    "reference, method, code, cause, is_proven, user_id, email, secret_id, ip_address, network, created_at",
    "ON CONFLICT (reference) DO NOTHING",
)
_NETWORK = "network = $1 AND is_proven = $2"
_TRIM_NETWORK = Statement(
    f"DELETE FROM refused_sign_ins WHERE {_NETWORK} AND created_at <="
    f" (SELECT created_at FROM refused_sign_ins WHERE {_NETWORK} ORDER BY created_at DESC LIMIT 1 OFFSET {KEPT_OF_NETWORK})"
)
_TRIM = Statement(
    "DELETE FROM refused_sign_ins WHERE reference IN"
    f" (SELECT reference FROM refused_sign_ins ORDER BY created_at DESC, reference DESC LIMIT $1 OFFSET {KEPT})"
)


@dataclass(frozen=True, slots=True)
class SeenRefusal:
    """A refused sign-in. `is_proven`: the person had proved who they are, by a genuine code or a right email code."""

    reference: str
    method: str
    code: str
    cause: str | None
    ip_address: str | None
    is_proven: bool = False
    user_id: str | None = None
    email: str | None = None
    secret_id: str | None = None
    created_at: datetime = field(default_factory=now)

    @property
    def network(self) -> str:
        """The network whose refusals are bounded together."""
        return network_of(self.ip_address)


@dataclass(frozen=True, slots=True)
class RefusalFilter:
    """Which refusals to list. A field that is None does not filter."""

    code: str | None = None
    user_id: str | None = None
    ip_address: str | None = None
    after: datetime | None = None
    before: datetime | None = None


async def find_refusal(reference: str) -> RefusedSignIn | None:
    """Return the refusal with this reference, in any case and with any white space around it. None if it is not known."""
    # Tortoise raises an error for a text that is longer than the column, PostgreSQL for a NUL.
    stored = parse_reference(reference)
    return await RefusedSignIn.get_or_none(reference=stored, created_at__gt=now() - KEPT_FOR) if stored else None


def list_refusals(wanted: RefusalFilter) -> Listing:
    """Return the refusals that match the filter, newest first. Raises `BadUserInput` if the address is not one."""
    conditions = Conditions()
    conditions.add(
        "created_at > {}", max(wanted.after.astimezone(UTC) if wanted.after else now() - KEPT_FOR, now() - KEPT_FOR)
    )
    if wanted.before is not None:
        conditions.add("created_at < {}", wanted.before.astimezone(UTC))
    for column in ("code", "user_id"):
        if (value := getattr(wanted, column)) is not None:
            conditions.add(f"{column} = {{}}", value)
    if wanted.ip_address is not None:
        address = parse_address(wanted.ip_address.strip())
        if address is None:
            raise BadUserInput("`ipAddress` must be an IP address.")
        conditions.add("network = {} AND ip_address = {}", network_of(address), address)
    return Listing("refused_sign_ins", _NEWEST_FIRST, conditions)


async def write_refusals(refusals: Iterable[SeenRefusal]) -> None:
    """Store the refusals, and delete older ones of their networks beyond the bound. Call it in a transaction."""
    stored = list(refusals)
    await _ROWS.write([_row(refusal) for refusal in stored])
    for network, is_proven in sorted({(refusal.network, refusal.is_proven) for refusal in stored}):
        await write(_TRIM_NETWORK, network, is_proven)


async def purge_refusals(days: int, batch: int) -> int:
    """Delete at most `batch` refusals that are older or too many, and return how many were deleted."""
    expired = await purge_expired("refused_sign_ins", "reference", "created_at", batch, kept_for=timedelta(days=days))
    return expired if expired == batch else expired + await write(_TRIM, batch - expired)


def _row(refusal: SeenRefusal) -> tuple[object, ...]:
    texts = {name: _stored(getattr(refusal, name), length) for name, length in _COLUMNS.items()}
    return (
        refusal.reference,
        refusal.method,
        texts["code"],
        texts["cause"],
        refusal.is_proven,
        texts["user_id"],
        texts["email"],
        texts["secret_id"],
        refusal.ip_address,
        refusal.network,
        refusal.created_at,
    )


def _stored(text: str | None, length: int) -> str | None:
    """Return the text as the column can hold it: shortened, without codes, and without what PostgreSQL refuses."""
    if text is None:
        return None
    return redact(text).replace("\0", "\ufffd").encode(errors="replace").decode()[:length]
