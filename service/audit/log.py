"""Writes the audit log: one event per action, and one event per hour for what a page repeats at every load.

SQL by hand: atomic. One upsert adds an hourly event or raises its count.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from service.audit.actions import Action
from service.audit.models import AuditEvent
from service.clock import HOUR, floor, now
from service.database import Statement, write
from service.ids import new_id

_BY_CODE = "code:"


@dataclass(frozen=True, slots=True)
class Actor:
    """The cause of an action, and its IP address.

    `name` is `user:ID`, `api-key:ID`, `code:SECRET_ID` (a holder of that secret), `email` (a reader of the mailbox),
    `setup` (a holder of the set-up link), `cli` or `system`.
    """

    name: str
    ip_address: str | None = None

    @property
    def secret_id(self) -> str | None:
        """The ID of the signing secret, if a code caused the action. Else None."""
        return self.name.removeprefix(_BY_CODE) if self.name.startswith(_BY_CODE) else None


SYSTEM = Actor("system")
COMMAND_LINE = Actor("cli")

_FOLD = Statement(
    "INSERT INTO audit_events (id, action, actor, user_id, secret_id, detail, count, fold_key, ip_address, reference, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10)"
    " ON CONFLICT (fold_key) DO UPDATE SET count = audit_events.count + 1"
)


async def record(
    action: Action,
    by: Actor,
    *,
    user_id: str | None = None,
    secret_id: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write an event. Call it in the transaction that makes the change, so that both are committed or neither."""
    await AuditEvent.create(
        id=new_id(),
        action=action,
        actor=by.name,
        user_id=user_id,
        secret_id=secret_id or by.secret_id,
        detail=json.dumps(detail or {}),
        ip_address=by.ip_address,
        created_at=now(),
    )


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
    """Write or count an event that may occur at every page load: one event per person, reason and hour (contract §3).

    The event keeps the reference and the IP address of its first occurrence. Call it only for a code whose signature is
    valid: otherwise any sender of requests could fill the table.
    """
    moment = now()
    fold = hashlib.sha256(json.dumps((action, person, reason, floor(moment, HOUR).isoformat())).encode()).hexdigest()
    await write(
        _FOLD,
        new_id(),
        action,
        by.name,
        user_id,
        secret_id or by.secret_id,
        json.dumps(detail or {}),
        fold,
        by.ip_address,
        reference,
        moment,
    )
