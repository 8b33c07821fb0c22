"""Audit events as sentences, for the panel: who did what to whom, and the details in words."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from service.audit.actions import Action

_SENTENCES: Mapping[str, str] = {
    Action.USER_CREATED: "{actor} created {user}",
    Action.USER_INVITED: "{actor} invited {user}",
    Action.USER_LINKED: "{actor} gave {user} an external ID",
    Action.USER_UPDATED: "{actor} changed {user}",
    Action.USER_GROUPS_SET: "{actor} set the groups of {user}",
    Action.USER_EMAIL_KEPT: "{actor} could not change the email of {user}",
    Action.USER_ROLE_SET: "{actor} set the role of {user}",
    Action.USER_DEACTIVATED: "{actor} deactivated {user}",
    Action.USER_REACTIVATED: "{actor} reactivated {user}",
    Action.USER_ACCESS_ENDED: "{actor} ended the access of {user}",
    Action.USER_DELETED: "{actor} deleted {user}",
    Action.USER_ERASED: "{actor} erased a person, now {user}",
    Action.USER_CODES_REVOKED: "{actor} revoked the codes of {user}",
    Action.USER_SIGN_IN_LINK_MADE: "{actor} made a sign-in link for {user}",
    Action.USER_EMAIL_SIGN_IN_UNLOCKED: "{actor} unlocked sign-in by email for {user}",
    Action.USER_SESSIONS_ENDED: "{actor} ended all sessions of {user}",
    Action.ADMIN_PROFILE_KEPT: "{actor} could not change the profile of the admin {user}",
    Action.ADMIN_LINK_MADE: "{actor} made a sign-in link for the admin {user}",
    Action.SESSION_ENDED: "{actor} ended a session of {user}",
    Action.SESSIONS_ENDED: "{actor} ended all sessions of a sign-in method",
    Action.SESSION_OPENED: "{user} signed in by {actor}",
    Action.SIGN_IN_REFUSED: "{user} was refused, by {actor}",
    Action.EMAIL_CODES_FAILED: "Wrong email codes were tried for {user}",
    Action.SETUP_LINK_MADE: "{actor} printed a set-up link",
    Action.SETUP_LINK_USED: "{user} became the first admin by {actor}",
    Action.CODE_SIGNED: "{actor} signed a code for {user}",
    Action.CODE_INSPECTED: "{actor} inspected a code of {user}",
    Action.USERS_IMPORT_STARTED: "{actor} began to import users",
    Action.USERS_IMPORTED: "{actor} imported users",
    Action.USERS_EXPORTED: "{actor} exported users",
    Action.AUDIT_EXPORTED: "{actor} exported the audit log",
    Action.JWT_ENABLED: "{actor} switched JWT sign-in on",
    Action.JWT_DISABLED: "{actor} switched JWT sign-in off",
    Action.JWT_SECRET_ROTATED: "{actor} made a new signing secret",
    Action.JWT_SECRET_REVOKED: "{actor} revoked a signing secret",
    Action.JWT_SECRET_DESCRIBED: "{actor} changed the name or the note of a signing secret",
    Action.JWT_CODES_REVOKED: "{actor} revoked all codes",
    Action.JWT_POLICY_UPDATED: "{actor} changed the policy for codes",
    Action.JWT_SIGN_IN_UPDATED: "{actor} changed the sign-in at your own page",
    Action.EMAIL_LOGIN_UPDATED: "{actor} changed email login",
    Action.BRANDING_UPDATED: "{actor} changed the branding",
    Action.SEAT_LIMIT_SET: "{actor} set the number of seats",
    Action.API_KEY_CREATED: "{actor} created an API key",
    Action.API_KEY_REVOKED: "{actor} revoked an API key",
    Action.SIGNING_KEY_ROTATED: "{actor} made a new key for access tokens",
    Action.BACKUP_RESTORED: "{actor} prepared a restored backup",
}
_ACTORS = {
    "cli": "the command line",
    "clock": "a time that was set",
    "email": "an email code or link",
    "setup": "the set-up link",
}
_PLACE = re.compile(r"\{(actor|user)\}")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence, with a link if it names a user who exists. `title` is the ID or the actor."""

    text: str
    href: str | None = None
    title: str | None = None
    is_name: bool = False
    """Whether the text is the name of something, which keeps its spelling at the start of a sentence."""


def told_events(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the events with their sentences (`sentence`) and their details in words (`told`)."""
    return [{**event, "sentence": sentence_of(event), "told": details_of(event)} for event in events]


def sentence_of(event: Mapping[str, Any]) -> list[Part]:
    """Return the event, as the API answers it, as the parts of a sentence."""
    named = {"actor": _actor(event), "user": _user(event)}
    template = _SENTENCES.get(event["action"], "{actor}: " + event["action"])
    parts = [named.get(text) or Part(text) for text in _PLACE.split(template) if text]
    first = parts[0]
    if not first.is_name:
        parts[0] = replace(first, text=first.text[:1].upper() + first.text[1:])
    return parts


def details_of(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts of the details. A change is told as the old and the new value."""
    detail = dict(event["detail"])
    changes = detail.pop("changes", None) or {}
    members = detail.pop("metadataMembers", None)
    count = detail.pop("count", 1)
    detail.pop("changed", None)
    told = [(_in_words(name), f"{_shown(change['from'])} → {_shown(change['to'])}") for name, change in changes.items()]
    if members:
        told.append(("metadata", ", ".join(members)))
    told += [
        (_in_words(name), _shown(value)) for name, value in detail.items() if name not in changes and value is not None
    ]
    if count > 1:
        told.append(("times within the hour", str(count)))
    return told


def link_to_user(user_id: str) -> str:
    """Return the address of the page of a user."""
    return f"/admin/users/user?{urlencode({'id': user_id})}"


def _actor(event: Mapping[str, Any]) -> Part:
    actor = str(event["actor"])
    if user := event["actorUser"]:
        return _named(user)
    kind, colon, name = actor.partition(":")
    match kind:
        case "code" if colon:
            return Part("a code", title=actor)
        case "api-key" if colon:
            return Part(f"the API key {name}", "/admin/api-keys", actor)
        case "user" if colon:
            return Part(name, title=actor, is_name=True)
    return Part(_ACTORS.get(actor, actor), title=actor)


def _user(event: Mapping[str, Any]) -> Part:
    if user := event["user"]:
        return _named(user)
    named = event["userId"] or event["detail"].get("email")
    return Part(str(named), is_name=True) if named else Part("an unknown person")


def _named(user: Mapping[str, Any]) -> Part:
    return Part(user["email"] or user["id"], link_to_user(user["id"]), user["id"], is_name=True)


def _in_words(name: str) -> str:
    return _CAPITAL.sub(" ", name).lower()


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
