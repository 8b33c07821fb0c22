"""Further sign-ins of an hour only raise a count: none is lost or counted twice, whatever happens in between."""

import asyncio
import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs
from tortoise.exceptions import OperationalError

from service import housekeeping
from service.app import create_app
from service.audit import repeated, stream
from service.audit.actions import Action
from service.audit.models import AuditEvent
from service.audit.repeated import RepeatedEvents
from service.database import Statement, open_database, write
from service.instance import Instance, open_instance
from service.sessions.lifecycle import Client
from service.settings import Settings, load_settings
from tests.actions import code_of, enable, sign_in
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)


async def counts() -> dict[str, int]:
    """The count of the sign-ins of each user, in all hours and of all networks."""
    found: dict[str, int] = {}
    for event in await AuditEvent.filter(action=Action.SESSION_OPENED):
        found[str(event.user_id)] = found.get(str(event.user_id), 0) + event.count
    return found


async def visit(instance: Instance, secret: str, user_id: str = "ada", times: int = 1, ip: str = "192.0.2.1") -> None:
    code = code_of(secret, {"user": {"id": user_id}})
    for _ in range(times):
        await sign_in(instance, code, client=Client(ip, "tests"))


@pytest.fixture
async def secret(instance: Instance) -> str:
    return await enable(instance)


async def test_only_the_first_sign_in_of_an_hour_is_an_event(instance: Instance, secret: str) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        await visit(instance, secret)
        await instance.pending_events.write(also_repeated=False)
        async with noted_statements() as noted:
            await visit(instance, secret, times=5)
            await instance.pending_events.write(also_repeated=False)
        assert not [statement for statement in noted.writes if "audit_events" in statement]
        assert await counts() == {"ada": 1}
        await instance.pending_events.write()
        assert await counts() == {"ada": 6}
        clock.shift(timedelta(hours=1))
        await visit(instance, secret, times=2)
        await instance.pending_events.write()
        await visit(instance, secret)
        await instance.pending_events.write()
    assert sorted(event.count for event in await AuditEvent.filter(action=Action.SESSION_OPENED)) == [3, 6]


async def test_networks_and_secrets_stay_events_of_their_own(instance: Instance, secret: str) -> None:
    for _ in range(3):
        for ip in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"):
            await visit(instance, secret, ip=ip)
        await instance.pending_events.write()
    found = await AuditEvent.filter(action=Action.SESSION_OPENED).order_by("network")
    assert [(event.network, event.count) for event in found] == [
        ("192.0.2.1", 3),
        ("192.0.2.2", 3),
        ("2001:db8::/64", 6),
    ]


@pytest.mark.parametrize("number", [1, 7, 30])
async def test_any_number_of_counts_is_written_in_parts(
    instance: Instance, secret: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated, "_AT_ONCE", 7)
    for times in (1, 2):
        for user in range(number):
            await visit(instance, secret, f"user-{user}", times)
        await instance.pending_events.write()
    assert await counts() == {f"user-{user}": 3 for user in range(number)}


async def test_counts_that_cannot_be_written_wait(
    instance: Instance, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> int:
        raise OperationalError("the database is gone")

    await visit(instance, secret)
    await instance.pending_events.write()
    await visit(instance, secret, times=2)
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(repeated, "write", fail)
        await instance.pending_events.write()
    assert [line["event"] for line in logs] == ["audit_events_kept"]
    await visit(instance, secret)
    await instance.pending_events.write()
    await instance.pending_events.write()
    assert await counts() == {"ada": 4}


async def test_full_table_makes_events_of_the_rest(
    instance: Instance, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated, "MAX_KNOWN", 2)
    for _ in range(3):
        for user in range(5):
            await visit(instance, secret, f"user-{user}")
        await instance.pending_events.write(also_repeated=False)
    assert await counts() == {"user-0": 1, "user-1": 1, "user-2": 3, "user-3": 3, "user-4": 3}
    await instance.pending_events.write()
    assert await counts() == {f"user-{user}": 3 for user in range(5)}


async def test_event_that_is_deleted_meanwhile_fails_nothing(instance: Instance, secret: str) -> None:
    for user in ("ada", "bob"):
        await visit(instance, secret, user)
    await instance.pending_events.write()
    await write(Statement("DELETE FROM audit_events WHERE user_id = 'ada'"))
    for user in ("ada", "bob"):
        await visit(instance, secret, user)
    await instance.pending_events.write()
    assert await counts() == {"bob": 2}


async def test_switched_off_every_sign_in_is_an_event_with_the_same_counts(
    instance: Instance, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RepeatedEvents, "enabled", False)
    for _ in range(3):
        await visit(instance, secret)
        await instance.pending_events.write(also_repeated=False)
    assert await counts() == {"ada": 3}


async def test_application_writes_counts_regularly_and_at_its_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "WRITE_REPEATED_EVERY", 0)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        instance = app.state.instance
        secret = await enable(instance)
        await visit(instance, secret)
        await instance.pending_events.write()
        await visit(instance, secret, times=2)
        async with asyncio.timeout(10):
            while await counts() != {"ada": 3}:  # noqa: ASYNC110  # another task writes, without telling
                await asyncio.sleep(0.01)
        monkeypatch.setattr(housekeeping, "WRITE_REPEATED_EVERY", 3600)
        await visit(instance, secret)
    async with open_database(settings):
        assert await counts() == {"ada": 4}


def test_two_processes_raise_the_counts_of_the_same_events(environ: dict[str, str], database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    secret = asyncio.run(_prepare(load_settings(environ)))
    processes = [context.Process(target=_visit_in_a_process, args=(environ, secret, together)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert asyncio.run(_counts_at(load_settings(environ))) == {f"user-{number}": 20 for number in range(10)}


def _visit_in_a_process(environ: dict[str, str], secret: str, together: Any) -> None:
    asyncio.run(_visit_together(environ, secret, together))


async def _prepare(settings: Settings) -> str:
    async with open_instance(settings) as instance:
        return await enable(instance)


async def _visit_together(environ: dict[str, str], secret: str, together: Any) -> None:
    async with open_instance(load_settings(environ)) as instance:
        together.wait()
        for _ in range(10):
            for number in range(10):
                await visit(instance, secret, f"user-{number}")
            await instance.pending_events.write()


async def _counts_at(settings: Settings) -> dict[str, int]:
    async with open_database(settings):
        return await counts()


async def test_while_events_are_streamed_every_sign_in_is_in_a_line(
    instance: Instance, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(stream, "_write", lines.append)
    for times in (1, 2, 3):
        await visit(instance, secret, times=times)
        await instance.pending_events.write(also_repeated=False)
    streamed = [event for event in map(json.loads, lines) if event["action"] == Action.SESSION_OPENED]
    assert [event["count"] for event in streamed] == [1, 2, 3]
    assert len({event["fold"] for event in streamed}) == 1
