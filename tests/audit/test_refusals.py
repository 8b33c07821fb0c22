"""The look-up of a reference: every refusal that a person saw, and a table that strangers cannot fill."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.audit import pending, refusals
from service.audit.models import RefusedSignIn
from service.audit.refusals import RefusalFilter, SeenRefusal, find_refusal, list_refusals, purge_refusals
from service.database import transaction
from service.email_login.configuration import update_configuration
from service.errors import BadUserInput, new_reference
from service.instance import Instance
from service.paging import Slice
from service.sessions.lifecycle import Client
from tests.actions import ADDRESS, TESTER, code_of, count, enable, refusal_of, sign_in
from tests.clients import Api
from tests.email_login.dependencies import refusal_to_ask
from tests.graphql.callers import admin_token

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def seen(ip_address: str | None = ADDRESS, *, is_proven: bool = False, age: float = 0, **more: str) -> SeenRefusal:
    moment = datetime.now(UTC) - timedelta(seconds=age)
    values = {"method": "EXTERNAL_JWT", "code": "MALFORMED_CODE", "cause": None, **more}
    return SeenRefusal(new_reference(), ip_address=ip_address, is_proven=is_proven, created_at=moment, **values)  # type: ignore[arg-type]


async def store(*rows: SeenRefusal) -> None:
    async with transaction():
        await refusals.write_refusals(rows)


async def found(**filters: str) -> list[str]:
    page = await list_refusals(RefusalFilter(**filters)).page(Slice(first=200))  # type: ignore[arg-type]
    return [str(row["reference"]) for row in page.rows]


async def test_every_refusal_is_found_by_its_reference_genuine_or_not(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    junk = await refusal_of(instance, "junk")
    expired = [await refusal_of(instance, code_of(secret, {"user": {"id": "ada"}, "exp": 1})) for _ in range(3)]
    await update_configuration(TESTER, enabled=False)
    email = await refusal_to_ask(instance)
    await instance.pending_events.write()

    for refused in (junk, *expired, email):
        row = await find_refusal(f" {refused.reference.lower()} ")
        assert row, refused
        assert (row.code, row.cause, row.ip_address) == (refused.code, refused.cause, ADDRESS)
    assert await find_refusal("K7XA249Z5R") is None
    proven = [await find_refusal(one.reference) for one in expired]
    assert [(row.is_proven, row.user_id) for row in proven if row] == [(True, "ada")] * 3
    stranger = await find_refusal(junk.reference)
    assert stranger
    assert (stranger.is_proven, stranger.user_id, stranger.email, stranger.secret_id) == (False, None, None, None)


async def test_no_code_is_stored_and_no_text_keeps_the_others_from_being_stored(instance: Instance) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IngifQ.c2lnbmF0dXJl"
    for cause in (f"found {token} there", "a\0b", "lone \ud800", "x" * 10_000):
        instance.pending_events.add_refusal(seen(cause=cause, user_id="u" * 300))
    await instance.pending_events.write()
    causes = sorted(str(row.cause)[:30] for row in await RefusedSignIn.all())
    assert causes == sorted(["found [removed] there", "a\ufffdb", "lone ?", "x" * 30])


async def test_network_keeps_its_newest_and_pushes_out_no_other(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, proven = seen("198.51.100.7", age=100), seen(is_proven=True, age=100)
    await store(other, proven)
    many = [seen(age=1 - number / 10_000) for number in range(refusals.KEPT_OF_NETWORK + 70)]
    for start in range(0, len(many), 100):
        await store(*many[start : start + 100])
    kept = {row.reference for row in await RefusedSignIn.all()}
    assert kept == {other.reference, proven.reference, *(row.reference for row in many[70:])}


async def test_flood_from_one_network_and_from_many_is_bounded_before_it_is_written(instance: Instance) -> None:
    for number in range(200):
        instance.pending_events.add_refusal(seen(f"2001:db8::{number:x}"))
    instance.pending_events.add_refusal(seen("198.51.100.7"))
    await instance.pending_events.write()
    assert await count("refused_sign_ins") == pending.MAX_REFUSALS_OF_NETWORK + 1
    for number in range(pending.MAX_REFUSALS + 50):
        instance.pending_events.add_refusal(seen(f"10.0.{number // 200}.{number % 200}"))
    await instance.pending_events.write()
    assert await count("refused_sign_ins") == pending.MAX_REFUSALS_OF_NETWORK + 1 + pending.MAX_REFUSALS


async def test_table_is_purged_of_what_is_too_old_and_too_many(instance: Instance) -> None:
    await store(*(seen(f"10.0.0.{number}", age=number) for number in range(20)))
    assert await purge_refusals(30, 100) == 0
    with time_machine.travel(datetime.now(UTC) + timedelta(days=30, seconds=-9.5)):
        assert [await purge_refusals(30, 4) for _ in range(4)] == [4, 4, 2, 0]
        assert len(await found()) == 10
    assert await count("refused_sign_ins") == 10


async def test_oldest_beyond_the_bound_of_the_table_are_purged(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.database import Statement

    monkeypatch.setattr(refusals, "_TRIM", Statement(refusals._TRIM.postgres.replace(str(refusals.KEPT), "7")))
    rows = [seen(f"10.0.0.{number}", age=number) for number in range(20)]
    await store(*rows)
    assert [await purge_refusals(30, 10) for _ in range(3)] == [10, 3, 0]
    assert await found() == [row.reference for row in rows[:7]]


async def test_refusal_that_is_older_than_thirty_days_is_not_found_before_it_is_purged(instance: Instance) -> None:
    old = seen(age=30 * 86_400 + 1)
    await store(old)
    assert await find_refusal(old.reference) is None
    assert await found() == []


async def test_list_is_filtered_by_reason_user_and_address(instance: Instance) -> None:
    junk, expired, elsewhere = (
        seen(age=3),
        seen(is_proven=True, code="CODE_EXPIRED", user_id="ada", age=2),
        seen("2001:db8::1", age=1),
    )
    await store(junk, expired, elsewhere)
    newest_first = [elsewhere.reference, expired.reference, junk.reference]
    assert await found() == newest_first
    assert await found(code="CODE_EXPIRED") == await found(user_id="ada") == [expired.reference]
    assert await found(ip_address=" 2001:0db8::1") == [elsewhere.reference]
    with pytest.raises(BadUserInput):
        await found(ip_address="x")


async def test_refusal_is_looked_up_over_http(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    expired = await refusal_of(instance, code_of(secret, {"user": {"id": "ada"}, "exp": 1}))
    junk = await refusal_of(instance, "junk", client=Client("198.51.100.7"))
    token = await admin_token()
    query = """query($reference: String!) { refusal(reference: $reference) {
      reference code method message cause isProven userId user { email } ipAddress explanation
    } }"""
    answer = (await api.ask(query, {"reference": expired.reference.lower()}, token=token))["refusal"]
    assert answer.pop("explanation")
    assert answer == {
        "reference": expired.reference,
        "code": "CODE_EXPIRED",
        "method": "EXTERNAL_JWT",
        "message": expired.message.partition(" (")[0],
        "cause": expired.cause,
        "isProven": True,
        "userId": "ada",
        "user": {"email": "ada@example.com"},
        "ipAddress": ADDRESS,
    }
    assert (await api.ask(query, {"reference": "x"}, token=token))["refusal"] is None
    listing = "query($filter: RefusalFilter) { refusals(first: 1, filter: $filter) { totalCount nodes { reference } pageInfo { hasNextPage } } }"
    answer = (await api.ask(listing, {"filter": {}}, token=token))["refusals"]
    assert (answer["totalCount"], answer["pageInfo"]["hasNextPage"]) == (2, True)
    answer = (await api.ask(listing, {"filter": {"code": "MALFORMED_CODE"}}, token=token))["refusals"]
    assert answer["nodes"] == [{"reference": junk.reference}]
