"""The detail of audit events, for each kind of change."""

from typing import Any

from service.accounts import administration
from service.accounts.seats import MAX_LIMIT, set_seat_limit
from service.audit.listing import detail_of
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.administration import end_one_session
from tests.actions import ADDRESS, HASHES, TESTER, code_of, enable, member, open_for, sign_in


async def details_of(action: str) -> list[Any]:
    """Oldest first."""
    return [detail_of(event) for event in await AuditEvent.filter(action=action).order_by("id")]


async def test_changes_of_secrets(instance: Instance) -> None:
    await enable(instance)
    [first] = await secrets.list_secrets()
    await secrets.rotate(instance.cipher, TESTER, grace_period=60)
    await secrets.revoke(first.id, TESTER, end_sessions=False)
    await secrets.disable(TESTER, end_sessions=True)

    assert await details_of("jwt.secret_rotated") == [{"gracePeriodSeconds": 60, "replaces": first.id}]
    assert await details_of("jwt.secret_revoked") == [{"endSessions": False}]
    assert await details_of("jwt.disabled") == [{"endSessions": True}]


async def test_changes_of_users(instance: Instance) -> None:
    person = await member("grace@example.com")
    await administration.update_user(person.id, TESTER, email="ada@example.com", external_id="crm-7")
    await administration.delete_user(person.id, TESTER, HASHES)

    assert await details_of("user.updated") == [{"changed": ["email", "externalId"]}]
    assert await details_of("user.deleted") == [{"externalId": "crm-7", "origin": "INVITATION", "revokeCodes": False}]


async def test_changes_by_a_code(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "new@example.com", "plan": "gold"}}))

    assert await details_of("user.updated") == [{"changed": ["email", "metadata"]}]


async def test_session_that_its_user_ends_is_no_event_and_one_that_another_ends_is(instance: Instance) -> None:
    grace = await member("grace@example.com")
    for ended_by in (Actor.of_user(grace.id, ADDRESS), TESTER):
        assert await end_one_session((await open_for(grace)).session.id, ended_by, owner=None)

    events = await AuditEvent.filter(action="session.ended")
    assert [(event.actor, event.user_id) for event in events] == [(TESTER.name, grace.id)]


async def test_highest_seat_limit_is_accepted(instance: Instance) -> None:
    assert (await set_seat_limit(MAX_LIMIT, TESTER)).limit == MAX_LIMIT
