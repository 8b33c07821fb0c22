"""Lists audit events for admins: newest first, filtered, in pages."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from service.audit.actions import CHANGE_NOTHING, Action
from service.audit.log import BY_PEOPLE, Actor, record
from service.audit.models import AuditEvent
from service.database import transaction
from service.errors import BadUserInput
from service.ip_addresses import IPV6_NETWORK, network_of, parse_address
from service.paging import MAX_PAGE_SIZE, Conditions, Listing, Order, Slice

_NEWEST_FIRST = Order("created-", "created_at", descending=True, is_time=True, id_descending=True)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list. A field that is None does not filter."""

    action: str | None = None
    user_id: str | None = None
    secret_id: str | None = None
    actor: str | None = None
    ip_address: str | None = None
    """An address in any form, or a network as `network_of` writes it."""
    reference: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def list_events(wanted: AuditFilter) -> Listing:
    """Return the events that match the filter. Raises `BadUserInput` if the address is not one."""
    conditions = Conditions()
    for column in ("action", "user_id", "secret_id", "actor"):
        if (value := getattr(wanted, column)) is not None:
            conditions.add(f"{column} = {{}}", value)
    if wanted.reference is not None:
        conditions.add("reference = {}", wanted.reference.strip().upper())
    if wanted.ip_address is not None:
        _add_address(conditions, wanted.ip_address.strip())
    if wanted.after is not None:
        conditions.add("created_at > {}", wanted.after.astimezone(UTC))
    if wanted.before is not None:
        conditions.add("created_at < {}", wanted.before.astimezone(UTC))
    return Listing("audit_events", _NEWEST_FIRST, conditions)


async def all_events(wanted: AuditFilter) -> AsyncIterator[AuditEvent]:
    """Yield the events that match the filter, newest first, page by page, so that any number needs little memory."""
    listing, after = list_events(wanted), None
    while True:
        page = await listing.page(Slice(first=MAX_PAGE_SIZE, after=after))
        for row in page.rows:
            yield AuditEvent._init_from_db(**dict(row))
        if not page.has_more:
            return
        after = listing.cursor(page.rows[-1])


async def time_of_last_event(*, besides: Action) -> datetime | None:
    """Return when the last event of another action than `besides` happened, or None if there is no such event."""
    event = await AuditEvent.exclude(action=besides).order_by("-created_at", "-id").first()
    return event.created_at if event else None


async def changes_between(after: datetime, until: datetime) -> list[AuditEvent]:
    """Return what admins, API keys and commands did in this time, oldest first. Refusals and sign-ins are left out."""
    events = AuditEvent.filter(BY_PEOPLE, created_at__gt=after, created_at__lte=until, fold_key__isnull=True)
    return await events.exclude(action__in=(Action.BACKUP_RESTORED, *CHANGE_NOTHING)).order_by("created_at", "id")


async def record_export(file_format: str, wanted: Mapping[str, object], by: Actor) -> None:
    """Record that the events that match these filters are read into a file. Call it before the first is written."""
    async with transaction():
        await record(Action.AUDIT_EXPORTED, by, detail={"format": file_format, "filter": dict(wanted)})


def _add_address(conditions: Conditions, text: str) -> None:
    """Add the condition for an address, or for an IPv6 /64. The network is the column with the index."""
    host, slash, bits = text.partition("/")
    address = parse_address(host)
    if address is None or (slash and bits != str(IPV6_NETWORK)) or (slash and ":" not in address):
        raise BadUserInput(f"`ipAddress` must be an IP address, or an IPv6 network of {IPV6_NETWORK} bits.")
    conditions.add("network = {}", network_of(address))
    if not slash:
        conditions.add("ip_address = {}", address)


def detail_of(event: AuditEvent) -> dict[str, object]:
    """Return the event's detail, with `count` if the event is one of those that are counted per hour."""
    detail: dict[str, object] = json.loads(event.detail)
    return detail | {"count": event.count} if event.fold_key else detail
