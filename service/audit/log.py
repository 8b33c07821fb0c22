"""Writes the audit log: one event per action. What a page repeats at every load is folded: `service/audit/folding.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from tortoise.expressions import Q

from service.audit.actions import Action
from service.audit.models import AuditEvent
from service.audit.stream import stream_event
from service.clock import now
from service.database import purge_expired
from service.errors import Forbidden
from service.ids import new_id
from service.ip_addresses import network_of

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
        return cls(name_of_user(user_id), ip_address, may_change_admins)

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
    def network(self) -> str | None:
        """The network of the address: the IPv4 address itself, or the /64 of an IPv6 address."""
        return network_of(self.ip_address) if self.ip_address else None

    @property
    def secret_id(self) -> str | None:
        """The ID of the signing secret of `of_code`; None for every other actor."""
        return self.name.removeprefix(_CODE) if self.name.startswith(_CODE) else None

    @property
    def user_id(self) -> str | None:
        """The ID of the user of `of_user`; None for every other actor."""
        return self.name.removeprefix(_USER) if self.name.startswith(_USER) else None

    def is_user(self, user_id: str) -> bool:
        """Whether this is the user with this ID."""
        return self.user_id == user_id


COMMAND_LINE = Actor("cli", may_change_admins=True)
CLOCK = Actor("clock")
"""A time that an admin set before: nothing but the clock makes this change."""
_SIGN_INS = ("email", "setup")
BY_PEOPLE = Q(actor=COMMAND_LINE.name) | Q(actor__startswith=_USER) | Q(actor__startswith=_API_KEY)
"""The events of commands, of signed-in users and of API keys, not those of sign-ins."""


def name_of_user(user_id: str) -> str:
    """Return the actor of events that a signed-in user causes."""
    return _USER + user_id


def is_own_act(actor: str) -> bool:
    """Return whether events with this actor are caused by the user whom they concern, by signing in."""
    return actor in _SIGN_INS or actor.startswith(_CODE)


def changes_of(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the old and the new value of each member that differs, as events tell changes. Never give it a secret."""
    return {name: {"from": before[name], "to": value} for name, value in after.items() if value != before[name]}


async def purge_audit_events(days: int | None, batch: int) -> int:
    """Delete at most `batch` events that are older, and return how many were deleted. Without `days`, none is."""
    if days is None:
        return 0
    return await purge_expired("audit_events", "id", "created_at", batch, kept_for=timedelta(days=days))


async def record(
    action: Action,
    by: Actor,
    *,
    user_id: str | None = None,
    secret_id: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write an event. Call it in the transaction that makes the change, so that both are committed or neither."""
    event = await AuditEvent.create(
        id=new_id(),
        action=action,
        actor=by.name,
        user_id=user_id,
        secret_id=secret_id or by.secret_id,
        detail=json.dumps(detail or {}),
        ip_address=by.ip_address,
        network=by.network,
        created_at=now(),
    )
    stream_event(
        action,
        by.name,
        detail or {},
        event.created_at,
        event_id=event.id,
        userId=user_id,
        secretId=event.secret_id,
        ipAddress=by.ip_address,
    )
