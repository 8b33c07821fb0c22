"""Events that are collected in memory: none is lost or counted twice, and the memory they take has a limit."""

import asyncio
import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs
from tortoise.exceptions import OperationalError

from service.app import create_app
from service.audit import pending
from service.audit.actions import Action
from service.audit.folding import HourlyEvent
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.audit.pending import PendingEvents
from service.database import Statement, open_database, write
from service.instance import Instance, open_instance
from service.settings import Settings, load_settings
from tests.actions import ADDRESS, admin, code_of, enable, open_for, sign_in
from tests.clients import Api

NOON = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)
OPENED = '{ auditLog(filter: {action: "session.opened", userId: "ada"}) { nodes { detail } } }'
ADA = {"user": {"id": "ada"}}


def event(person: str = "ada", secret: str = "s", ip_address: str = ADDRESS) -> HourlyEvent:
    return HourlyEvent(
        Action.SESSION_OPENED, Actor.of_code(secret, ip_address), person=person, reason="x", user_id=person
    )


async def counts() -> dict[str, int]:
    return {str(event.user_id): event.count for event in await AuditEvent.all()}


async def test_number_of_events_does_not_matter_for_the_way_they_are_written(instance: Instance) -> None:
    for size in (1, 7, 8, 9, 64, 65, 200):
        await write(Statement("DELETE FROM audit_events"))
        for number in range(size):
            for _ in range(1 + number % 2):
                await instance.pending_events.add(event(f"user-{number}"))
        await instance.pending_events.write()
        assert await counts() == {f"user-{number}": 1 + number % 2 for number in range(size)}


async def test_event_keeps_the_time_of_its_first_occurrence(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        await instance.pending_events.add(event())
        clock.shift(timedelta(minutes=10))
        await instance.pending_events.add(event())
        clock.shift(timedelta(minutes=20))
        await instance.pending_events.add(event())
        await instance.pending_events.write()
    found = await AuditEvent.all().order_by("created_at")
    assert [(one.created_at - NOON, one.count) for one in found] == [(timedelta(0), 2), (timedelta(minutes=30), 1)]


async def test_full_table_is_written_before_the_next_event(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", 3)
    for person in ("a", "b", "c", "a"):
        await instance.pending_events.add(event(person))
    assert await counts() == {}
    await instance.pending_events.add(event("d"))
    assert await counts() == {"a": 2, "b": 1, "c": 1}


async def test_failed_write_keeps_the_counts_and_is_logged_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = PendingEvents()
    await events.add(event("a"))
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(pending, "write_folded", _fail)
        for person in ("a", "b"):
            await events.write()
            await events.add(event(person))
    assert [(line["event"], line["error"]) for line in logs] == [("audit_events_kept", "OperationalError")]
    await events.write()
    await events.write()
    assert await counts() == {"a": 2, "b": 1}


async def test_what_no_longer_fits_while_writing_fails_is_counted_as_lost(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = PendingEvents()
    monkeypatch.setattr(pending, "MAX_PENDING", 2)
    with monkeypatch.context() as broken:
        broken.setattr(pending, "write_folded", _fail)
        for person in ("a", "b", "c", "d", "a"):
            await events.add(event(person))
    with capture_logs() as logs:
        await events.write()
    assert [(line["event"], line["count"]) for line in logs] == [("audit_events_lost", 2)]
    assert await counts() == {"a": 2, "b": 1}


async def _fail(_: object) -> None:
    raise OperationalError("the database is gone")


async def test_request_that_is_cancelled_while_it_writes_loses_nothing_and_counts_nothing_twice(
    instance: Instance,
) -> None:
    for _ in range(20):
        await instance.pending_events.add(event())
        reader = asyncio.ensure_future(instance.pending_events.write())
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
    await instance.pending_events.write()
    assert await counts() == {"ada": 20}


async def test_reader_of_the_audit_log_sees_what_this_process_has_collected(instance: Instance, api: Api) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    assert await counts() == {"ada": 1, "None": 1}  # the user's creation, and the method that was enabled
    token = (await open_for(await admin())).token
    answer = await api.ask(OPENED, token=token)
    assert [node["detail"]["count"] for node in answer["auditLog"]["nodes"]] == [1]


async def test_application_writes_within_a_second_and_at_its_end(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        events = app.state.instance.pending_events
        await events.add(event("a"))
        async with asyncio.timeout(10):
            while await counts() != {"a": 1}:  # noqa: ASYNC110  # another task writes, without telling
                await asyncio.sleep(0.01)
        await events.add(event("b"))
    async with open_database(settings):
        assert await counts() == {"a": 1, "b": 1}


def test_two_processes_count_in_one_row(environ: dict[str, str], database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    processes = [context.Process(target=_count_in_a_process, args=(environ, together)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert asyncio.run(_counts_at(load_settings(environ))) == {f"user-{number}": 40 for number in range(10)}


def _count_in_a_process(environ: dict[str, str], together: Any) -> None:
    asyncio.run(_count(environ, together.wait))


async def _count(environ: dict[str, str], wait: Callable[[], object]) -> None:
    async with open_instance(load_settings(environ)) as instance:
        wait()
        for _ in range(20):
            with time_machine.travel(NOON, tick=False):
                for number in range(10):
                    await instance.pending_events.add(event(f"user-{number}"))
            await instance.pending_events.write()


async def _counts_at(settings: Settings) -> dict[str, int]:
    async with open_database(settings):
        return await counts()
