"""What the audit log holds of sign-ins: whom a secret signed in, from where, and what the hot path costs for it."""

from typing import Any

import pytest

from service.accounts import administration
from service.audit.listing import AuditFilter, detail_of, list_events
from service.audit.models import AuditEvent
from service.email_login.link_sign_in import use_setup_link
from service.email_login.links import make_setup_token
from service.errors import SignInRefused
from service.external_auth import secrets
from service.instance import Instance
from service.paging import Slice
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt
from tests.actions import (
    ADDRESS,
    CLIENT,
    TESTER,
    admin,
    audited,
    code_of,
    count,
    enable,
    member,
    refusal_of,
    set_policy,
    sign_in,
)
from tests.email_login.dependencies import answer_to, ask
from tests.email_login.dependencies import sign_in as sign_in_by_email

ADA = {"user": {"id": "ada"}}
ELSEWHERE = Client("198.51.100.7", "thief")


async def opened(instance: Instance) -> list[tuple[Any, ...]]:
    """The openings in the audit log, oldest first."""
    await instance.pending_events.write()
    events = await AuditEvent.filter(action="session.opened").order_by("created_at", "id")
    return [(event.user_id, event.actor, event.ip_address, detail_of(event)) for event in events]


def by_code(transport: str = "BEARER", **more: object) -> dict[str, object]:
    return {"method": "EXTERNAL_JWT", "tokenTransport": transport, **more}


async def test_leaked_secret_shows_whom_it_signed_in_and_from_where(instance: Instance) -> None:
    text = await enable(instance)
    leaked = await secrets.current_secret(instance.cipher)
    assert leaked
    await sign_in(instance, code_of(text, ADA))
    await sign_in(instance, code_of(text, ADA), client=ELSEWHERE)
    await secrets.revoke(leaked.row.id, TESTER, end_sessions=True)
    await instance.pending_events.write()

    page = await list_events(AuditFilter(action="session.opened", secret_id=leaked.row.id)).page(Slice())
    assert {(row["user_id"], row["ip_address"], row["count"]) for row in page.rows} == {
        ("ada", ADDRESS, 1),
        ("ada", ELSEWHERE.ip_address, 1),
    }


async def test_refusal_with_a_second_secret_from_a_second_address_is_an_event_of_its_own(instance: Instance) -> None:
    first = await enable(instance)
    await sign_in(instance, code_of(first, ADA))
    await administration.deactivate_user("ada", TESTER)
    second = await secrets.rotate(instance.cipher, TESTER, grace_period=60)
    by_first = await refusal_of(instance, code_of(first, ADA))
    by_second = await refusal_of(instance, code_of(second.text, ADA), client=ELSEWHERE)
    await refusal_of(instance, code_of(second.text, ADA), client=ELSEWHERE)

    events = await AuditEvent.filter(action="sign_in.refused").order_by("created_at", "id")
    assert [(event.actor == f"code:{second.row.id}", event.ip_address, event.count) for event in events] == [
        (False, ADDRESS, 1),
        (True, ELSEWHERE.ip_address, 2),
    ]
    assert [event.reference for event in events] == [by_first.reference, by_second.reference]


async def test_members_sign_ins_are_folded_by_method_transport_secret_and_network(instance: Instance) -> None:
    secret = await enable(instance)
    for client in (CLIENT, CLIENT, Client("2001:db8::1"), Client("2001:db8::2"), Client("2001:db8:0:1::1")):
        await sign_in(instance, code_of(secret, ADA), client=client)
    await sign_in(instance, code_of(secret, ADA), token_transport=TokenTransport.COOKIE)

    found = [(address, detail) for _, _, address, detail in await opened(instance)]
    assert sorted(found, key=repr) == sorted(
        [
            (ADDRESS, by_code(count=2)),
            ("2001:db8::1", by_code(count=2)),
            ("2001:db8:0:1::1", by_code(count=1)),
            (ADDRESS, by_code("COOKIE", count=1)),
        ],
        key=repr,
    )


async def test_session_that_continues_is_no_second_sign_in(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, ADA))
    assert (await sign_in(instance, code_of(secret, ADA), session_token=first.token)).continued
    assert [detail["count"] for *_, detail in await opened(instance)] == [1]


async def test_every_sign_in_of_an_admin_is_an_event_of_its_own(instance: Instance) -> None:
    secret = await enable(instance)
    boss = await admin()
    for _ in range(2):
        await sign_in(instance, code_of(secret, {"email": boss.email}))
        request, digits = await ask(instance, boss.email or "")
        await sign_in_by_email(instance, request.id, digits, token_transport=TokenTransport.ADMIN_COOKIE)

    by_email = {"method": "EMAIL", "tokenTransport": "ADMIN_COOKIE"}
    assert [(user_id, detail) for user_id, *_, detail in await opened(instance)] == [
        (boss.id, by_code()),
        (boss.id, by_email),
    ] * 2


@pytest.mark.parametrize("single_use", [False, True])
async def test_admin_s_session_is_opened_with_its_event_or_not_at_all(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, single_use: bool
) -> None:
    secret = await enable(instance)
    await set_policy(single_use=single_use)
    boss = await admin()

    async def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(AuditEvent, "create", fail)
    with pytest.raises(OSError, match="the disk is full"):
        await sign_in(instance, code_of(secret, {"email": boss.email, "exp": 4_000_000_000, "jti": "1"}))
    assert await count("sessions") == 0


async def test_refused_sign_in_opens_nothing_in_the_log(instance: Instance) -> None:
    secret = await enable(instance)
    await refusal_of(instance, code_of(secret, {"id": "unknown"}))
    assert await opened(instance) == []


async def test_sign_in_that_is_rolled_back_is_not_counted(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    await member("grace@example.com")
    request, digits = await ask(instance, "grace@example.com")

    async def refuse(*_: object, **__: object) -> None:
        raise SignInRefused(SignInErrorCode.SEAT_LIMIT_REACHED)

    monkeypatch.setattr("service.email_login.dependencies.record_admin_session", refuse)
    assert await answer_to(instance, request.id, digits) is SignInErrorCode.SEAT_LIMIT_REACHED
    assert await opened(instance) == []


async def test_first_admin_uses_the_set_up_link_that_was_printed(instance: Instance) -> None:
    token = await make_setup_token()
    attempt = SignInAttempt(CLIENT, TokenTransport.ADMIN_COOKIE)
    result = await use_setup_link(token, "boss@example.com", attempt, instance.email_login)

    boss = result.session.user.id
    assert await audited("setup_link.made", "setup_link.used", "session.opened") == [
        ("setup_link.made", None),
        ("setup_link.used", boss),
        ("session.opened", boss),
    ]
    assert await AuditEvent.get(action="setup_link.used").values_list("actor", "ip_address") == ("setup", ADDRESS)
