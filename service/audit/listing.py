"""Lists audit events for admins: newest first, filtered, in pages."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from service.audit.actions import Action
from service.audit.log import BY_PEOPLE
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


async def time_of_last_event(*, besides: Action) -> datetime | None:
    """Return when the last event of another action than `besides` happened, or None if there is no such event."""
    event = await AuditEvent.exclude(action=besides).order_by("-created_at", "-id").first()
    return event.created_at if event else None


async def changes_between(after: datetime, until: datetime) -> list[AuditEvent]:
    """Return what admins, API keys and commands did in this time, oldest first. Refusals and sign-ins are left out."""
    events = AuditEvent.filter(BY_PEOPLE, created_at__gt=after, created_at__lte=until, fold_key__isnull=True)
    return await events.exclude(action=Action.BACKUP_RESTORED).order_by("created_at", "id")


def detail_of(event: AuditEvent) -> dict[str, object]:
    """Return the event's detail, with `count` if the event is one of those that are counted per hour."""
    detail: dict[str, object] = json.loads(event.detail)
    return detail | {"count": event.count} if event.fold_key else detail
