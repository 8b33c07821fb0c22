"""Folds events that a page may repeat at every load: one event an hour, with a count (contract §3).

An upsert adds hourly events or raises their counts, also from several processes at once.
"""

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.audit.actions import Action
from service.audit.log import Actor
from service.audit.stream import stream_event
from service.clock import HOUR, floor, now
from service.database import ManyRows
from service.ids import new_id

Key = tuple[str | None, ...]

_ROWS = ManyRows(
    "audit_events",
    "id, action, actor, user_id, secret_id, detail, count, fold_key, ip_address, network, reference, created_at",
    "ON CONFLICT (fold_key) DO UPDATE SET count = audit_events.count + excluded.count",
)


@dataclass(frozen=True, slots=True)
class HourlyEvent:
    """An event that is folded by action, actor, person, reason, secret, network and hour.

    The folded event keeps the values of its first occurrence, so two secrets or two networks are never one event.
    """

    action: Action
    by: Actor
    person: str
    reason: str
    user_id: str | None = None
    secret_id: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    reference: str | None = None
    created_at: datetime = field(default_factory=now)
    occurrence: Hashable = None
    """Equal for all occurrences that only raise the count of this event within the hour. None if the caller cannot tell."""

    @property
    def signing_secret_id(self) -> str | None:
        """The ID of the secret that the event concerns, or that signed the actor's code."""
        return self.secret_id or self.by.secret_id

    @property
    def key(self) -> Key:
        """What is folded into one event has the same key."""
        hour = floor(self.created_at, HOUR).isoformat()
        by = self.by
        return self.action, by.name, self.person, self.reason, self.signing_secret_id, by.network, hour

    @property
    def fold_key(self) -> str:
        """The hash of the key, by which the database finds the event."""
        return hashlib.sha256(json.dumps(self.key).encode()).hexdigest()


async def record_hourly(
    action: Action,
    by: Actor,
    *,
    person: str,
    reason: str,
    user_id: str | None = None,
    secret_id: str | None = None,
    detail: Mapping[str, object] | None = None,
    reference: str | None = None,
) -> None:
    """Write or count an event that may occur at every page load, inside or outside a transaction.

    Call it only for a code whose signature is valid, or for a signed-in caller: otherwise any sender of requests could
    fill the table.
    """
    event = HourlyEvent(action, by, person, reason, user_id, secret_id, detail or {}, reference)
    await write_folded([(event, 1)])


async def write_folded(counted: Iterable[tuple[HourlyEvent, int]]) -> None:
    """Add these events with their counts. No two of them may have one key.

    In the order of their keys, so that two processes lock the rows that both count in the same order.
    """
    events = list(counted)
    await _ROWS.write(sorted((_row(event, count) for event, count in events), key=lambda row: str(row[7])))
    for event, count in events:
        stream_event(
            event.action,
            event.by.name,
            event.detail,
            event.created_at,
            fold=event.fold_key,
            count=count,
            userId=event.user_id,
            secretId=event.signing_secret_id,
            ipAddress=event.by.ip_address,
            reference=event.reference,
        )


def hour_of(moment: datetime) -> int:
    """Return the hour of a moment, as a number."""
    return int(moment.timestamp() // 3600)


def _row(event: HourlyEvent, count: int) -> tuple[object, ...]:
    return (
        new_id(),
        event.action,
        event.by.name,
        event.user_id,
        event.signing_secret_id,
        json.dumps(event.detail),
        count,
        event.fold_key,
        event.by.ip_address,
        event.by.network,
        event.reference,
        event.created_at,
    )
