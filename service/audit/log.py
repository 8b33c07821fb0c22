"""Writing the audit log: one event for each thing done, one an hour for what a page repeats at every load."""

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
    """Who did it, and from where.

    `user:ID`, `api-key:ID`, `code:SECRET_ID` (whoever signs with it), `email` (whoever reads the mailbox), `setup` (whoever
    has the set-up link), `cli` or `system`.
    """

    name: str
    ip_address: str | None = None

    @property
    def secret_id(self) -> str | None:
        """The JWT secret behind it, where a code did it."""
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
    """Write down that something was done, in the transaction that does it."""
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
    """Write down what may happen at every page load: one event a person, reason and hour, with a count (contract §3).

    Its reference and address are those of the first time. Only for what a genuine code led to: nobody else may be
    able to fill a table.
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
