"""The audit log: one event for each thing done, one an hour for what a page repeats, and nothing secret in any."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.listing import detail_of
from service.audit.log import Actor, record
from service.audit.models import AuditEvent
from service.database import transaction
from service.errors import Conflict
from service.instance import Instance
from tests.actions import TESTER

NOON = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)
REFUSED = Action.SIGN_IN_REFUSED


async def test_event_is_written_with_what_was_done_or_not_at_all(instance: Instance) -> None:
    async def refused() -> None:
        async with transaction():
            await record(Action.USER_UPDATED, TESTER, user_id="a")
            raise Conflict("no")

    with pytest.raises(Conflict):
        await refused()
    assert await AuditEvent.all().count() == 0


async def test_repetitions_within_the_clock_s_hour_are_one_event(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for minutes, reference in ((0, "A"), (29, "B"), (1, "C"), (59, "D"), (1, "E")):
            clock.shift(timedelta(minutes=minutes))
            await record_hourly(REFUSED, TESTER, person="ada", reason="x", reference=reference)
    events = await AuditEvent.all().order_by("created_at")
    assert [(event.count, event.reference, event.created_at - NOON) for event in events] == [
        (2, "A", timedelta(0)),
        (2, "C", timedelta(minutes=30)),
        (1, "E", timedelta(minutes=90)),
    ]


async def test_persons_reasons_and_actions_are_kept_apart(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False):
        for action, person, reason in (
            (REFUSED, "a", "x"),
            (REFUSED, "a", "y"),
            (REFUSED, "b", "x"),
            (Action.USER_EMAIL_KEPT, "a", "x"),
            (REFUSED, "", "x"),
        ):
            for _ in range(2):
                await record_hourly(action, TESTER, person=person, reason=reason)
    assert [event.count for event in await AuditEvent.all()] == [2] * 5


async def test_person_cannot_be_written_so_as_to_pass_for_another(instance: Instance) -> None:
    """A value cannot shift the boundary between two values."""
    with time_machine.travel(NOON, tick=False):
        await record_hourly(REFUSED, TESTER, person="a\nx", reason="y")
        await record_hourly(REFUSED, TESTER, person="a", reason="x\ny")
    assert [event.count for event in await AuditEvent.all()] == [1, 1]


async def test_repetitions_at_once_are_all_counted(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False):
        await asyncio.gather(*(record_hourly(REFUSED, TESTER, person="ada", reason="x") for _ in range(40)))
    assert [event.count for event in await AuditEvent.all()] == [40]


async def test_detail_of_a_repeated_event_has_its_count_and_of_another_has_none(instance: Instance) -> None:
    await record_hourly(REFUSED, TESTER, person="ada", reason="x", detail={"code": "X"})
    async with transaction():
        await record(Action.USER_UPDATED, Actor("cli"), detail={"changed": ["email"], "n": 2**70, "nul": "a\0"})
    folded, plain = await AuditEvent.all().order_by("action")
    assert detail_of(folded) == {"code": "X", "count": 1}
    assert detail_of(plain) == {"changed": ["email"], "n": 2**70, "nul": "a\0"}
    assert json.loads(plain.detail) == detail_of(plain)


async def test_longest_actor_and_reference_fit(instance: Instance) -> None:
    async with transaction():
        await record(
            Action.USER_UPDATED,
            Actor.of_user("\U0001f600" * 255, "::ffff:255.255.255.255"),
            user_id="\U0001f600" * 255,
        )
    await record_hourly(REFUSED, TESTER, person="x" * 10_000, reason="y", user_id="x" * 255, secret_id="s" * 36)
    assert await AuditEvent.all().count() == 2
