"""The detail of audit events, for each kind of change."""

from typing import Any

from service.accounts import administration
from service.accounts.models import UserRole
from service.accounts.seats import MAX_LIMIT, set_seat_limit
from service.audit.listing import detail_of
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.email_login.configuration import update_configuration
from service.email_login.models import SignUpMode
from service.external_auth import secrets
from service.external_auth.configuration import update_policy
from service.external_auth.policy import EmailLinking
from service.instance import Instance
from service.sessions.administration import end_one_session
from tests.actions import ADDRESS, HASHES, TESTER, admin, code_of, enable, member, open_for, set_policy, sign_in


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

    assert await details_of("user.updated") == [
        {
            "changed": ["email", "externalId"],
            "changes": {
                "email": {"from": "grace@example.com", "to": "ada@example.com"},
                "externalId": {"from": None, "to": "crm-7"},
            },
        }
    ]
    assert await details_of("user.deleted") == [{"externalId": "crm-7", "origin": "INVITATION", "revokeCodes": False}]


async def test_changes_by_a_code(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "new@example.com", "plan": "gold"}}))

    assert await details_of("user.updated") == [
        {
            "changed": ["email", "metadata"],
            "changes": {"email": {"from": "ada@example.com", "to": "new@example.com"}},
            "metadataMembers": ["plan"],
        }
    ]


async def test_changes_of_metadata_alone_are_folded_by_their_names_and_never_tell_a_value(instance: Instance) -> None:
    secret = await enable(instance)
    for profile in ({"plan": "gold", "seen": 1}, {"plan": "gold", "seen": 2}, {"plan": "gold", "seen": 3}, {"plan": 1}):
        await sign_in(instance, code_of(secret, {"user": {"id": "ada", **profile}}))

    assert await details_of("user.updated") == [
        {"changed": ["metadata"], "metadataMembers": ["seen"], "count": 2},
        {"changed": ["metadata"], "metadataMembers": ["plan", "seen"], "count": 1},
    ]
    assert "gold" not in "".join([event.detail for event in await AuditEvent.all()])


async def test_user_who_is_linked_by_a_code(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    await member("grace@example.com")
    await sign_in(instance, code_of(secret, {"user": {"id": "crm-7", "email": "grace@example.com", "plan": "gold"}}))

    assert await details_of("user.linked") == [
        {
            "externalId": "crm-7",
            "changes": {"externalId": {"from": None, "to": "crm-7"}},
            "metadataMembers": ["plan"],
        }
    ]


async def test_changes_of_roles_and_settings_tell_the_value_before(instance: Instance) -> None:
    await administration.set_role((await member("grace@example.com")).id, UserRole.ADMIN, TESTER)
    await update_policy({"clock_skew_seconds": 30, "single_use": False, "email_linking": EmailLinking.LINK}, TESTER)
    await update_configuration(TESTER, sign_up=SignUpMode.OPEN)

    assert await details_of("user.role_set") == [
        {"role": "ADMIN", "changes": {"role": {"from": "MEMBER", "to": "ADMIN"}}}
    ]
    assert await details_of("jwt.policy_updated") == [
        {
            "clockSkewSeconds": 30,
            "singleUse": False,
            "emailLinking": "LINK",
            "changes": {"clockSkewSeconds": {"from": 60, "to": 30}, "emailLinking": {"from": "REFUSE", "to": "LINK"}},
        }
    ]
    assert await details_of("email_login.updated") == [
        {
            "enabled": True,
            "signUp": "OPEN",
            "allowedDomains": [],
            "changes": {"signUp": {"from": "INVITATION", "to": "OPEN"}},
        }
    ]


async def test_every_end_of_an_admin_s_session_is_an_event_and_those_of_members_are_folded(instance: Instance) -> None:
    for person in (await admin(), await member("grace@example.com")):
        for _ in range(2):
            by = Actor.of_user(person.id, ADDRESS, may_change_admins=True)
            assert await end_one_session((await open_for(person)).session.id, by, owner=person)
            assert not await end_one_session("gone", by, owner=person)

    own = {"how": "ENDED", "method": "EMAIL", "tokenTransport": "BEARER"}
    assert await details_of("session.ended") == [own, own, own | {"count": 2}]


async def test_session_that_another_ends_is_an_event_of_that_actor(instance: Instance) -> None:
    grace = await member("grace@example.com")
    assert await end_one_session((await open_for(grace)).session.id, TESTER, owner=None)

    [event] = await AuditEvent.filter(action="session.ended")
    assert (event.actor, event.user_id, detail_of(event)) == (TESTER.name, grace.id, {})


async def test_highest_seat_limit_is_accepted(instance: Instance) -> None:
    assert (await set_seat_limit(MAX_LIMIT, TESTER)).limit == MAX_LIMIT
