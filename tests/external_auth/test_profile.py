"""What a code changes of a known user: email and metadata (contract §1 and §3)."""

import json

import pytest

from service.accounts import administration
from service.accounts.models import UserRole
from service.audit.models import AuditEvent
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.sessions.models import TokenTransport
from tests.actions import (
    ADDRESS,
    TESTER,
    admin,
    answer_to,
    audited,
    code_of,
    count,
    enable,
    member,
    refusal_of,
    rows,
    sign_in,
    user,
)

CRM_42 = {"user": {"id": "crm-42", "email": "ada@example.com", "plan": "gold"}}


async def test_known_user_s_email_and_metadata_are_brought_up_to_date(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    result = await sign_in(
        instance, code_of(secret, {"user": {"id": "crm-42", "email": "new@example.com", "plan": None}})
    )

    person = await user("crm-42")
    assert (person.email, json.loads(person.metadata)) == ("new@example.com", {"plan": None})
    assert (result.session.user.email, result.session.user.metadata) == (person.email, person.metadata)
    assert await answer_to(instance, code_of(secret, {"email": "ada@example.com"})) == SignInErrorCode.UNKNOWN_USER
    assert await audited("user.updated") == [("user.updated", "crm-42")]


@pytest.mark.parametrize("claims", [{"id": "crm-42"}, {"id": "crm-42", "email": None}])
async def test_absent_or_null_email_and_absent_metadata_change_nothing(instance: Instance, claims: object) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    before = await rows("users")
    await sign_in(instance, code_of(secret, {"user": claims}))
    assert await rows("users") == before


async def test_id_and_email_claims_change_no_profile(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    before = await rows("users")
    await sign_in(instance, code_of(secret, {"id": "crm-42", "email": "other@example.com", "plan": "none"}))
    assert await rows("users") == before


async def test_email_that_another_user_has_is_left_as_it_was_and_the_sign_in_goes_on(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    await member("grace@example.com")
    code = code_of(secret, {"user": {"id": "crm-42", "email": "grace@example.com", "plan": "silver"}})
    for _ in range(3):
        assert (await sign_in(instance, code)).session.user.id == "crm-42"

    person = await user("crm-42")
    assert (person.email, json.loads(person.metadata)) == ("ada@example.com", {"plan": "silver"})
    events = await AuditEvent.filter(action="user.email_kept")
    assert [(event.user_id, event.count, event.ip_address) for event in events] == [("crm-42", 3, ADDRESS)]


async def test_admin_s_profile_is_never_changed_by_a_code_and_the_audit_log_says_that_it_tried(
    instance: Instance,
) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    await administration.set_role("crm-42", UserRole.ADMIN, TESTER)
    for claims in ({"id": "crm-42", "email": "mallory@example.com"}, {"id": "crm-42", "plan": "none"}):
        assert (await sign_in(instance, code_of(secret, {"user": claims}))).session.user.id == "crm-42"

    person = await user("crm-42")
    assert (person.email, json.loads(person.metadata)) == ("ada@example.com", {"plan": "gold"})
    events = await AuditEvent.filter(action="admin.profile_kept")
    assert [(event.user_id, event.count) for event in events] == [("crm-42", 2)]
    await sign_in(instance, code_of(secret, CRM_42))
    assert [event.count for event in await AuditEvent.filter(action="admin.profile_kept")] == [2]


async def test_session_of_a_code_has_no_admin_rights_whoever_the_user_is(instance: Instance) -> None:
    secret = await enable(instance)
    boss = await admin()
    for token_transport in (TokenTransport.BEARER, TokenTransport.COOKIE):
        result = await sign_in(instance, code_of(secret, {"id": boss.id}), token_transport=token_transport)
        assert not result.session.has_admin_rights
        found = await find_session(result.token)
        assert found
        assert not found.has_admin_rights


# ---------------------------------------------------------------- metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"number": 2**70, "negative": -(2**70), "float": 0.1, "exponent": 1e300},
        {
            "text": "\U0001f600 \u00e9 e\u0301 \u202e",
            "\u043a\u043b\u044e\u0447": "\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435",
        },
        {"nul": "a\0b", "\0": "\x01\x1b\x7f"},
        {"a": [1, {"b": [None, True, {"c": []}]}], "": {}},
        {"externalId": "x", "role": "ADMIN", "status": "DEACTIVATED", "origin": "EMAIL", "sub": 1},
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
    ],
    ids=["numbers", "unicode", "control characters", "nested", "names of columns", "eight levels"],
)
async def test_metadata_is_kept_to_the_letter(instance: Instance, metadata: dict[str, object]) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "crm-42", "email": "ada@example.com", **metadata}})
    for new_user in (True, False):
        result = await sign_in(instance, code)
        assert result.new_user is new_user
        assert json.loads((await user("crm-42")).metadata) == metadata
    assert (await user("crm-42")).role is UserRole.MEMBER
    assert await audited("user.updated") == []


async def test_metadata_of_nine_levels_is_invalid(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "x", "a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}}})
    refused = await refusal_of(instance, code)
    assert refused.code == SignInErrorCode.INVALID_CLAIMS
    assert await count("users") == 0
