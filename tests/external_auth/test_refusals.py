"""What a refused code leaves: one audit event an hour if its signature is valid, otherwise nothing."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.accounts.administration import deactivate_user
from service.accounts.seats import set_seat_limit
from service.audit.listing import detail_of
from service.audit.models import AuditEvent
from service.external_auth import secrets
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from tests.actions import (
    ADDRESS,
    TESTER,
    answer_to,
    code_of,
    count,
    enable,
    everything,
    member,
    refusal_of,
    set_policy,
    sign_in,
)
from tests.hostile.codes import HOSTILE
from tests.hostile.forging import HostileCode

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def refused_events() -> list[AuditEvent]:
    return await AuditEvent.filter(action="sign_in.refused").order_by("created_at", "id")


async def test_refusals_of_one_person_reason_and_hour_are_one_event_with_the_first_reference(
    instance: Instance,
) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"id": "nobody"})
    with time_machine.travel(NOON, tick=False) as clock:
        first = await refusal_of(instance, code)
        clock.shift(3599)
        second = await refusal_of(instance, code, client=Client(ADDRESS, "another browser"))
        clock.shift(1)
        third = await refusal_of(instance, code)

    assert len({first.reference, second.reference, third.reference}) == 3
    events = await refused_events()
    assert [(event.reference, event.count, event.created_at) for event in events] == [
        (first.reference, 2, NOON),
        (third.reference, 1, NOON + timedelta(hours=1)),
    ]
    assert [(event.user_id, event.ip_address) for event in events] == [("nobody", ADDRESS)] * 2
    assert detail_of(events[0])["code"] == "UNKNOWN_USER"
    assert detail_of(events[0])["count"] == 2
    assert events[0].actor == f"code:{events[0].secret_id}"


async def test_refusal_of_a_deactivated_user_names_it_whichever_way_the_code_does(instance: Instance) -> None:
    secret = await enable(instance)
    ada = await member("ada@example.com")
    await deactivate_user(ada.id, TESTER)
    for claims in ({"id": ada.id}, {"email": ada.email}):
        assert (await refusal_of(instance, code_of(secret, claims))).user_id == ada.id
    assert (await refusal_of(instance, code_of(secret, {"id": "unknown"}))).user_id is None


async def test_other_persons_and_other_reasons_are_events_of_their_own(instance: Instance) -> None:
    secret = await enable(instance)
    past = int(time.time()) - 3600
    payloads: list[dict[str, object]] = [
        {"id": "a"},
        {"id": "b"},
        {"id": "a", "exp": past},
        {"email": "a@example.com"},
        {"user": {"id": 1.5}},
        {"user": {}},
        {},
    ]
    with time_machine.travel(NOON, tick=False):
        for claims in payloads:
            for _ in range(2):
                await refusal_of(instance, code_of(secret, claims))
    found = [(event.user_id, json.loads(event.detail)["code"], event.count) for event in await refused_events()]
    assert sorted(found, key=repr) == sorted(
        [
            ("a", "UNKNOWN_USER", 2),
            ("b", "UNKNOWN_USER", 2),
            ("a", "CODE_EXPIRED", 2),
            (None, "UNKNOWN_USER", 2),
            (None, "INVALID_CLAIMS", 6),
        ],
        key=repr,
    )


async def test_email_of_whoever_was_refused_by_email_stands_in_the_event(instance: Instance) -> None:
    secret = await enable(instance)
    await refusal_of(instance, code_of(secret, {"email": "Nobody@Example.com"}))
    assert [detail_of(event)["email"] for event in await refused_events()] == ["nobody@example.com"]


async def test_deactivated_user_is_one_person_however_the_code_names_it(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    await administration.update_user("ada", TESTER, external_id="crm-1")
    await administration.deactivate_user("ada", TESTER)
    for claims in ({"id": "ada"}, {"id": "crm-1"}, {"email": "ada@example.com"}, {"user": {"id": "crm-1"}}):
        await refusal_of(instance, code_of(secret, claims))
    assert [(event.user_id, event.count) for event in await refused_events()] == [("ada", 4)]


async def test_every_kind_of_genuine_refusal_is_noted(instance: Instance) -> None:
    secret = await enable(instance)
    seconds = int(time.time())
    await member("taken@example.com")
    await sign_in(instance, code_of(secret, {"user": {"id": "off"}}))
    await administration.deactivate_user("off", TESTER)
    await set_seat_limit(1, TESTER)
    for claims, expected in (
        ({"id": "x", "exp": seconds - 600}, SignInErrorCode.CODE_EXPIRED),
        ({"id": "x", "nbf": seconds + 600}, SignInErrorCode.CODE_NOT_YET_VALID),
        ({"id": ""}, SignInErrorCode.INVALID_CLAIMS),
        ({"id": "x"}, SignInErrorCode.UNKNOWN_USER),
        ({"user": {"id": "x", "email": "taken@example.com"}}, SignInErrorCode.EMAIL_TAKEN),
        ({"user": {"id": "off"}}, SignInErrorCode.USER_DEACTIVATED),
        ({"user": {"id": "x"}}, SignInErrorCode.SEAT_LIMIT_REACHED),
    ):
        assert (await refusal_of(instance, code_of(secret, claims))).code == expected
    noted = {json.loads(event.detail)["code"] for event in await refused_events()}
    assert noted == {
        "CODE_EXPIRED",
        "CODE_NOT_YET_VALID",
        "INVALID_CLAIMS",
        "UNKNOWN_USER",
        "EMAIL_TAKEN",
        "USER_DEACTIVATED",
        "SEAT_LIMIT_REACHED",
    }


async def test_used_code_is_noted(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {"user": {"id": "x"}, "exp": int(time.time()) + 600, "jti": "1"})
    await sign_in(instance, code)
    await refusal_of(instance, code)
    assert [json.loads(event.detail)["code"] for event in await refused_events()] == ["CODE_ALREADY_USED"]


async def test_stranger_s_refusals_leave_no_row_anywhere(instance: Instance) -> None:
    secret = await enable(instance)
    retired = (await secrets.rotate(instance.cipher, TESTER, grace_period=0)).row.id
    stranger = "x" * 43
    codes = [
        "",
        "x",
        "a.b.c",
        code_of(stranger, {"user": {"id": "crm-1"}}),
        code_of(stranger, {"user": {"id": "crm-1"}}, kid=retired),
        code_of(secret, {"user": {"id": "crm-1"}}),
        *(hostile.make(stranger) for hostile in HOSTILE),
    ]
    before = await everything()
    for code in codes:
        assert await answer_to(instance, code) in {
            SignInErrorCode.MALFORMED_CODE,
            SignInErrorCode.INVALID_SIGNATURE,
            SignInErrorCode.TOO_MANY_ATTEMPTS,
        }
    assert await everything() == before


async def test_code_for_a_method_that_is_off_leaves_no_row_anywhere(instance: Instance) -> None:
    secret = await enable(instance)
    await secrets.disable(TESTER)
    before = await everything()
    assert await answer_to(instance, code_of(secret, {"user": {"id": "x"}})) == SignInErrorCode.EXTERNAL_AUTH_DISABLED
    assert await everything() == before


async def test_hostile_codes_that_are_refused_change_nothing_but_the_audit_log(instance: Instance) -> None:
    secret = await enable(instance)
    before = {**(await everything()), "audit_events": []}
    for number, hostile in enumerate(HOSTILE):
        if hostile.expected is not None:  # each from another network: one network may fail 60 times a minute
            client = Client(f"2001:db8:{number:x}::1", None)
            answer = await answer_to(instance, hostile.make(secret), client=client)
            assert answer == hostile.expected, hostile.name
    assert {**(await everything()), "audit_events": []} == before
    for event in await refused_events():
        assert event.user_id is None or len(event.user_id) <= 255


async def test_whichever_way_a_code_names_a_user_the_refusals_are_one_event(instance: Instance) -> None:
    ada, secret = await member("ada@example.com"), await enable(instance)
    await administration.update_user(ada.id, TESTER, external_id="crm-1")
    with time_machine.travel(NOON, tick=False):
        for claims in ({"id": "crm-1"}, {"id": ada.id}, {"email": "ada@example.com"}, {"user": {"id": "crm-1"}}):
            await refusal_of(instance, code_of(secret, {**claims, "exp": 1}))
    assert [(event.user_id, event.count) for event in await refused_events()] == [(ada.id, 4)]


async def test_code_with_something_wrong_in_it_still_names_its_person(instance: Instance) -> None:
    secret, deep = await enable(instance), [[[[[[[[[1]]]]]]]]]
    with time_machine.travel(NOON, tick=False):
        for person in ("a", "b"):
            for user in ({"email": "bad"}, {"email": 7}, {"deep": deep}):
                refused = await refusal_of(instance, code_of(secret, {"user": {"id": person, **user}}))
                assert refused.code == "INVALID_CLAIMS"
        await refusal_of(instance, code_of(secret, {"user": {"email": "Ada@Example.com"}}))
        await refusal_of(instance, code_of(secret, {"user": "ada"}))
    found = [(event.user_id, detail_of(event).get("email"), event.count) for event in await refused_events()]
    assert sorted(found, key=repr) == sorted(
        [("a", None, 3), ("b", None, 3), (None, "ada@example.com", 1), (None, None, 1)], key=repr
    )


@pytest.mark.parametrize("hostile", [h for h in HOSTILE if h.expected is None], ids=str)
async def test_odd_but_legal_code_signs_in_a_new_user(instance: Instance, hostile: HostileCode) -> None:
    secret = await enable(instance)
    result = await sign_in(instance, hostile.make(secret))
    assert result.new_user
    assert await count("users") == 1


async def test_no_part_of_a_code_is_logged_or_audited(
    instance: Instance, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = await enable(instance)
    codes = [
        code_of(secret, {"id": "nobody-here"}),
        code_of("x" * 43, {"id": "nobody-here"}),
        code_of(secret, {"user": {"id": "created"}}),
        code_of(secret, {"user": {"id": "created", "exp": "soon"}, "exp": "soon"}),
    ]
    for code in codes:
        await answer_to(instance, code)
    written = "".join(capfd.readouterr()) + caplog.text + repr(await everything())
    for code in codes:
        for part in code.split(".")[1:]:
            assert part not in written
    assert secret not in written
