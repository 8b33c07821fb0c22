"""Lists audit events for admins: newest first, filtered, in pages."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from service.audit.models import AuditEvent
from service.paging import Conditions, Listing, Order

_NEWEST_FIRST = Order("created-", "created_at", descending=True, is_time=True, id_descending=True)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list. A field that is None does not filter."""

    action: str | None = None
    user_id: str | None = None
    secret_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def list_events(wanted: AuditFilter) -> Listing:
    """Return the events that match the filter."""
    conditions = Conditions()
    for column in ("action", "user_id", "secret_id"):
        if (value := getattr(wanted, column)) is not None:
            conditions.add(f"{column} = {{}}", value)
    if wanted.after is not None:
        conditions.add("created_at > {}", wanted.after.astimezone(UTC))
    if wanted.before is not None:
        conditions.add("created_at < {}", wanted.before.astimezone(UTC))
    return Listing("audit_events", _NEWEST_FIRST, conditions)


def detail_of(event: AuditEvent) -> dict[str, object]:
    """Return the event's detail, with `count` if the event is one of those that are counted per hour."""
    detail: dict[str, object] = json.loads(event.detail)
    return detail | {"count": event.count} if event.fold_key else detail
