"""Writes the audit log: one event per action, and one event per hour for what a page repeats at every load.

SQL by hand: atomic. One upsert adds an hourly event or raises its count.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tortoise.expressions import Q

from service.audit.actions import Action
from service.audit.models import AuditEvent
from service.clock import HOUR, floor, now
from service.database import Statement, write
from service.errors import Forbidden
from service.ids import new_id

_USER, _API_KEY, _CODE = "user:", "api-key:", "code:"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change, and the address of the request. Only the class methods know how an actor is written."""

    name: str
    ip_address: str | None = None
    may_change_admins: bool = False
    """True for an admin in person and for the command line. `Caller.actor` in `service/authority.py` decides it."""

    def require_may_change_admins(self) -> None:
        """Return for an admin in person and for the command line. Else raise `Forbidden`."""
        if not self.may_change_admins:
            raise Forbidden(
                "This concerns an admin, or how admins sign in. Only an admin who signed in by email may do it, and no API key."
            )

    @classmethod
    def of_user(cls, user_id: str, ip_address: str | None, *, may_change_admins: bool = False) -> Self:
        """A user who is signed in."""
        return cls(_USER + user_id, ip_address, may_change_admins)

    @classmethod
    def of_api_key(cls, key_id: str, ip_address: str | None) -> Self:
        """A program that sends an API key."""
        return cls(_API_KEY + key_id, ip_address)

    @classmethod
    def of_code(cls, secret_id: str, ip_address: str | None) -> Self:
        """A sign-in by an externalAuthCode, signed with this JWT secret."""
        return cls(_CODE + secret_id, ip_address)

    @classmethod
    def of_email(cls, ip_address: str | None) -> Self:
        """A sign-in by an email code."""
        return cls("email", ip_address)

    @classmethod
    def of_setup_link(cls, ip_address: str | None) -> Self:
        """A sign-in by the set-up link, before there is an admin."""
        return cls("setup", ip_address)

    @classmethod
    def anonymous(cls, ip_address: str | None) -> Self:
        """A caller who is not signed in. Such a caller may change nothing, so no event has this actor."""
        return cls("anonymous", ip_address)

    @property
    def secret_id(self) -> str | None:
        """The ID of the signing secret of `of_code`; None for every other actor."""
        return self.name.removeprefix(_CODE) if self.name.startswith(_CODE) else None

    def is_user(self, user_id: str) -> bool:
        """Whether this is the user with this ID."""
        return self.name == _USER + user_id


COMMAND_LINE = Actor("cli", may_change_admins=True)
BY_PEOPLE = Q(actor=COMMAND_LINE.name) | Q(actor__startswith=_USER) | Q(actor__startswith=_API_KEY)
"""The events of commands, of signed-in users and of API keys, not those of sign-ins."""

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
