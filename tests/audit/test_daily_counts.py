"""Counts by day: what is counted, what a day holds, and what strangers cannot fill."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from structlog.testing import capture_logs
from tortoise.exceptions import OperationalError

from service.audit import pending
from service.audit.daily_counts import (
    MAX_DAYS,
    MAX_ORIGINS,
    OTHER_ORIGINS,
    Counted,
    SignInDay,
    count_one,
    purge_daily_counts,
    sign_in_days,
    totals,
)
from service.audit.pending import PendingEvents
from service.errors import BadUserInput
from service.instance import Instance
from tests.actions import admin, code_of, count, enable, open_for, refusal_of, sign_in
from tests.clients import Api

NOON = datetime(2030, 1, 10, 12, tzinfo=UTC)
ADA = {"user": {"id": "ada"}}


async def today(instance: Instance) -> SignInDay:
    await instance.pending_events.write()
    return (await sign_in_days(1))[0]


async def test_sign_ins_and_refusals_are_counted_by_day_and_reason(instance: Instance) -> None:
    secret = await enable(instance)
    for _ in range(3):
        await sign_in(instance, code_of(secret, ADA))
    await refusal_of(instance, code_of(secret, {**ADA, "exp": 1}))
    for _ in range(2):
        await refusal_of(instance, "junk")

    day = await today(instance)
    assert day.sign_ins == 3
    assert list(day.refusals.items()) == [("MALFORMED_CODE", 2), ("CODE_EXPIRED", 1)]


async def test_continued_session_is_no_second_sign_in(instance: Instance, api: Api) -> None:
    secret = await enable(instance)
    exchange = "mutation($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) { ... on SessionGrant { token } } }"
    code = code_of(secret, ADA)
    token = (await api.ask(exchange, {"code": code}))["exchangeExternalAuthCode"]["token"]
    await api.ask(exchange, {"code": code}, token=token)

    assert (await today(instance)).sign_ins == 1


async def test_days_without_a_sign_in_are_empty_and_old_ones_are_left_out(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        await count_one(Counted.SIGN_IN, "EMAIL")
        clock.shift(timedelta(days=2))
        await count_one(Counted.SIGN_IN, "EXTERNAL_JWT")
        await count_one(Counted.SIGN_IN, "EMAIL")
        days = await sign_in_days(3)
        assert [(day.day, day.sign_ins) for day in days] == [
            (date(2030, 1, 10), 1),
            (date(2030, 1, 11), 0),
            (date(2030, 1, 12), 2),
        ]
        assert [day.sign_ins for day in await sign_in_days(2)] == [0, 2]
    for wrong in (0, -1, MAX_DAYS + 1):
        with pytest.raises(BadUserInput):
            await sign_in_days(wrong)


async def test_processes_add_to_the_same_counts(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        processes = [PendingEvents(), PendingEvents()]
        for process in processes:
            process.daily_counts.add(Counted.MAIL, "sent")
            clock.shift(timedelta(minutes=1))
            process.daily_counts.add(Counted.MAIL, "sent")
        for process in reversed(processes):
            await process.write()
        [total] = await totals(Counted.MAIL, 7)
    assert (total.count, total.last_at) == (4, NOON + timedelta(minutes=2))


async def test_counts_wait_while_the_database_cannot_be_written(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = PendingEvents()
    counting.daily_counts.add(Counted.SIGN_IN, "EMAIL")
    with monkeypatch.context() as broken, capture_logs():

        async def fail(*_: object) -> None:
            raise OperationalError("away")

        broken.setattr(pending, "write_counts", fail)
        await counting.write()
    assert await count("daily_counts") == 0
    counting.daily_counts.add(Counted.SIGN_IN, "EMAIL")
    await counting.write()
    assert (await sign_in_days(1))[0].sign_ins == 2


async def test_strangers_make_few_rows_of_origins(instance: Instance) -> None:
    for number in range(3 * MAX_ORIGINS):
        instance.pending_events.daily_counts.add_refused_origin(f"https://{number}.example")
    instance.pending_events.daily_counts.add_refused_origin("https://0.example")
    await instance.pending_events.write()

    found = {total.name: total.count for total in await totals(Counted.REFUSED_ORIGIN, 7)}
    assert len(found) == MAX_ORIGINS + 1
    assert found["https://0.example"] == 2
    assert found[OTHER_ORIGINS] == 2 * MAX_ORIGINS


async def test_old_counts_are_purged(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        await count_one(Counted.SIGN_IN, "EMAIL")
        clock.shift(timedelta(days=MAX_DAYS))
        assert await purge_daily_counts(10) == 0
        clock.shift(timedelta(days=2))
        assert await purge_daily_counts(10) == 1


async def test_api_answers_the_counts_to_an_admin(instance: Instance, api: Api) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await refusal_of(instance, "junk")
    instance.pending_events.daily_counts.add_refused_origin("https://shop.example")
    await count_one(Counted.MAIL, "sent")
    await count_one(Counted.MAIL, "dropped")
    query = (
        "{ signInDays(days: 2) { signIns refusals { code count } } refusedOrigins { origin count }"
        " mailStatus { waiting sent retried dropped lastSentAt lastFailedAt } }"
    )
    found = await api.ask(query, token=(await open_for(await admin())).token)

    assert found["signInDays"] == [
        {"signIns": 0, "refusals": []},
        {"signIns": 1, "refusals": [{"code": "MALFORMED_CODE", "count": 1}]},
    ]
    assert found["refusedOrigins"] == [{"origin": "https://shop.example", "count": 1}]
    mail = found["mailStatus"]
    assert (mail["waiting"], mail["sent"], mail["retried"], mail["dropped"]) == (0, 1, 0, 1)
    assert mail["lastSentAt"]
    assert mail["lastFailedAt"]
