"""The audit log in words: each action is a sentence, and the details are told without names of the program."""

from typing import Any

import pytest

from service.audit.actions import Action
from service.web.admin import event_texts
from service.web.admin.event_texts import details_of, sentence_of

ADA = {"id": "ada b", "email": "ada@example.com"}


def event(action: str = Action.USER_DEACTIVATED, **more: Any) -> dict[str, Any]:
    return {"action": action, "actor": "cli", "actorUser": None, "userId": None, "user": None, "detail": {}, **more}


def told(**more: Any) -> str:
    return "".join(part.text for part in sentence_of(event(**more)))


def test_every_action_has_a_sentence() -> None:
    assert set(event_texts._SENTENCES) == set(Action)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"user": ADA, "userId": "ada b"}, "The command line deactivated ada@example.com"),
        ({"userId": "gone"}, "The command line deactivated gone"),
        ({"actor": "user:ada b", "actorUser": ADA, "userId": "x"}, "ada@example.com deactivated x"),
        ({"actor": "user:gone", "userId": "x"}, "gone deactivated x"),
        ({"actor": "api-key:k1", "userId": "x"}, "The API key k1 deactivated x"),
        ({"action": "session.opened", "actor": "code:s1", "userId": "zoë"}, "zoë signed in by a code"),
        ({"action": "sign_in.refused", "actor": "code:s1"}, "An unknown person was refused, by a code"),
        (
            {"action": "sign_in.refused", "actor": "email", "detail": {"email": "x@y.z"}},
            "x@y.z was refused, by an email code or link",
        ),
        ({"action": "setup_link.used", "actor": "setup", "userId": "a"}, "a became the first admin by the set-up link"),
        ({"action": "new.action"}, "The command line: new.action"),
    ],
)
def test_sentence_names_who_did_what_to_whom(values: dict[str, Any], text: str) -> None:
    assert told(**values) == text


def test_users_who_exist_are_links_that_quote_their_ids() -> None:
    parts = sentence_of(event(user=ADA, userId="ada b"))
    assert [part.href for part in parts] == [None, None, "/admin/users/user?id=ada+b"]


def test_details_are_old_and_new_values_and_words() -> None:
    detail = {
        "changed": ["email"],
        "changes": {"email": {"from": None, "to": "a@b.c"}, "clockSkewSeconds": {"from": 60, "to": 5}},
        "clockSkewSeconds": 5,
        "gracePeriodSeconds": 60,
        "nothing": None,
        "metadataMembers": ["plan", "seats"],
        "count": 3,
    }
    assert details_of(event(detail=detail)) == [
        ("email", "none → a@b.c"),
        ("clock skew seconds", "60 → 5"),
        ("metadata", "plan, seats"),
        ("grace period seconds", "60"),
        ("times within the hour", "3"),
    ]
    assert details_of(event(detail={"count": 1})) == []
