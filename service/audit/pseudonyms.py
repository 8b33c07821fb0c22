"""Replaces an erased person by a pseudonym in the audit log, and deletes the person's refusals.

What happened stays countable: who changed what, when, how often. Of an event that concerns the person, only the members of
`_KEPT` stay in its detail. Another event that names the person, such as an export with a search, keeps its detail with the
pseudonym in it.

SQL by hand: beyond the ORM. A part of the table is searched for a text at a time, so that no statement takes long.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from tortoise.expressions import Q

from service.audit.log import is_own_act, name_of_user
from service.audit.models import AuditEvent, RefusedSignIn
from service.database import Statement, fetch, transaction, write

_KEPT = frozenset(
    [
        "again",
        "code",
        "endSessions",
        "exp",
        "how",
        "live",
        "method",
        "origin",
        "result",
        "revokeCodes",
        "role",
        "source",
        "tokenTransport",
    ]
)
_KEPT_CHANGES = frozenset(["role"])
_AT_ONCE = 100  # events of a transaction
_PART = 20_000  # events that one statement searches
_SHORTEST_PART = 6  # characters of an ID that is also replaced inside of longer texts: a shorter one is in many words
_MOST_ROUNDS = 8  # in which former identifiers lead to further ones

_END_OF_PART = Statement(
    "SELECT MAX(id) AS id FROM (SELECT id FROM audit_events WHERE id > $1 ORDER BY id LIMIT $2) part"
)
_MENTIONS = Statement(
    "SELECT id, detail FROM audit_events WHERE id > $1 AND id <= $2 AND created_at <= $3 AND LOWER(detail) LIKE $4 ESCAPE '!'"
)
_DELETE_CAUSES = Statement("DELETE FROM refused_sign_ins WHERE created_at <= $1 AND LOWER(cause) LIKE $2 ESCAPE '!'")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The texts that name a person: IDs and external IDs, and email addresses, the former ones too."""

    ids: frozenset[str]
    emails: frozenset[str]

    @property
    def texts(self) -> frozenset[str]:
        """All of them."""
        return self.ids | self.emails

    def without(self, texts: Iterable[str]) -> Self:
        """Return the identifiers without these."""
        left_out = frozenset(texts)
        return type(self)(self.ids - left_out, self.emails - left_out)


async def is_known(user_id: str) -> bool:
    """Return whether the audit log or the refusals name this ID, although there may be no such user any more."""
    return await _events_of([user_id]).exists() or await RefusedSignIn.filter(user_id=user_id).exists()


async def find_former(known: Identifiers) -> Identifiers:
    """Return the identifiers with those that events of the person tell: earlier emails, and external IDs."""
    for _ in range(_MOST_ROUNDS):
        ids, emails = set(known.ids), set(known.emails)
        for event in await _events_of(known.ids).only("detail"):
            detail = json.loads(event.detail)
            _gather(detail, "externalId", ids)
            _gather(detail, "email", emails)
        found = Identifiers(frozenset(ids), frozenset(emails))
        if found == known:
            break
        known = found
    return known


async def replace_by_pseudonym(person: Identifiers, pseudonym: str, until: datetime) -> None:
    """Replace the person in the events until that moment, and delete the refusals. May be repeated after an interruption."""
    await _rewrite(_events_of(person.ids), until, lambda event: _rewrite_own(event, person, pseudonym))
    acts = AuditEvent.filter(actor__in=[name_of_user(user_id) for user_id in person.ids])
    await _rewrite(acts, until, lambda event: _rewrite_act(event, person, pseudonym))
    await _replace_mentions(person, pseudonym, until)
    await _delete_refusals(person, until)


def _events_of(ids: Iterable[str]) -> Any:
    return AuditEvent.filter(user_id__in=list(ids))


async def _rewrite(events: Any, until: datetime, change: Callable[[AuditEvent], None]) -> None:
    """Change event after event until no event matches: `change` must take the event out of the query."""
    while True:
        async with transaction():
            batch = await events.filter(created_at__lte=until).limit(_AT_ONCE)
            for event in batch:
                change(event)
                await event.save(update_fields=["actor", "user_id", "detail", "fold_key", "ip_address", "network"])
        if len(batch) < _AT_ONCE:
            return


def _rewrite_own(event: AuditEvent, person: Identifiers, pseudonym: str) -> None:
    detail = json.loads(event.detail)
    kept = {name: value for name, value in detail.items() if name in _KEPT}
    if changes := {name: told for name, told in (detail.get("changes") or {}).items() if name in _KEPT_CHANGES}:
        kept["changes"] = changes
    event.user_id = pseudonym
    event.detail = json.dumps(kept)
    if event.fold_key is not None:  # a hash of the person that is not keyed, so it could be guessed
        event.fold_key = hashlib.sha256(event.id.encode()).hexdigest()
    _rewrite_act(event, person, pseudonym)


def _rewrite_act(event: AuditEvent, person: Identifiers, pseudonym: str) -> None:
    """Take the person out of the actor. The address stays only where another person, or a program, sent the request."""
    is_person = event.actor in {name_of_user(user_id) for user_id in person.ids}
    if is_person or is_own_act(event.actor):
        event.ip_address = event.network = None
    if is_person:
        event.actor = name_of_user(pseudonym)


async def _replace_mentions(person: Identifiers, pseudonym: str, until: datetime) -> None:
    last = ""
    while (end := (await fetch(_END_OF_PART, last, _PART))[0]["id"]) is not None:
        for text in sorted(person.texts):
            for row in await fetch(_MENTIONS, last, end, until, _like(json.dumps(text)[1:-1])):
                detail = json.dumps(_without(json.loads(row["detail"]), person, pseudonym))
                if detail != row["detail"]:
                    async with transaction():
                        await AuditEvent.filter(id=row["id"]).update(detail=detail)
        last = end


def _without(value: Any, person: Identifiers, pseudonym: str) -> Any:
    """Return the JSON value with the pseudonym in place of each text that names the person."""
    if isinstance(value, dict):
        return {name: _without(member, person, pseudonym) for name, member in value.items()}
    if isinstance(value, list):
        return [_without(member, person, pseudonym) for member in value]
    if not isinstance(value, str):
        return value
    for text in sorted(person.texts, key=len, reverse=True):
        if value.casefold() == text.casefold() or value == name_of_user(text):
            return pseudonym
        if _may_be_a_part(text):
            value = re.sub(re.escape(text), pseudonym, value, flags=re.IGNORECASE)
    return value


async def _delete_refusals(person: Identifiers, until: datetime) -> None:
    named = Q(user_id__in=list(person.ids)) | Q(email__in=list(person.emails))
    async with transaction():
        await RefusedSignIn.filter(named, created_at__lte=until).delete()
        for text in person.texts:
            if _may_be_a_part(text):
                await write(_DELETE_CAUSES, until, _like(text))


def _may_be_a_part(text: str) -> bool:
    return len(text) >= _SHORTEST_PART


def _like(text: str) -> str:
    return "%" + re.sub(r"([!%_])", r"!\1", text.lower()) + "%"


def _gather(detail: dict[str, Any], name: str, texts: set[str]) -> None:
    """Add the values of a member, and its old and new values if it was changed."""
    change = (detail.get("changes") or {}).get(name) or {}
    texts.update(text for text in (detail.get(name), *change.values()) if isinstance(text, str))
