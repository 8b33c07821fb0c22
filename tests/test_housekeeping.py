"""The application's work between requests: it purges expired rows, and stops at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import structlog
import time_machine
from tortoise.backends.base.executor import EXECUTOR_CACHE

from service import housekeeping
from service.accounts.seats import sample_today, seat_history
from service.app import create_app
from service.clock import now
from service.database import Statement, fetch, write
from service.external_auth.used_codes import purge_used_codes
from service.instance import Instance
from service.sessions.lifecycle import find_session, purge_expired_sessions
from service.settings import Settings
from tests.actions import answer_to, code_of, enable, set_policy, sign_in

KEY = "x" * 43 + "="
SESSION = Statement(
    "INSERT INTO sessions (id, user_serial, user_epoch, method, method_epoch, carrier, token_hash, created_at, expires_at, last_seen_at)"
    " VALUES ($1, 1, 0, 'EXTERNAL_JWT', 0, 'COOKIE', $1, $2, $2, $2)"
)
SESSIONS = Statement("SELECT id FROM sessions")
USED_CODE = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, $2)")
EVENT = Statement(
    "INSERT INTO audit_events (id, action, actor, detail, count, created_at) VALUES ($1, 'x', 'x', '{}', 1, $2)"
)
SEATS = Statement("INSERT INTO seat_samples (day, used) VALUES ($1, $2)")
USED_CODES = Statement("SELECT id FROM used_codes")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    EXECUTOR_CACHE.clear()
    monkeypatch.setattr(housekeeping, "PURGE_EVERY", 0.02)
    monkeypatch.setattr(housekeeping, "PURGE_BATCH", 3)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once the condition holds; fails where it does not within seconds."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110  # the database sends no notice
            await asyncio.sleep(0.02)


async def test_what_has_expired_is_purged_and_nothing_else(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        past, future = now() - timedelta(days=1, seconds=1), now() + timedelta(hours=1)
        for number in range(10):
            await write(SESSION, f"old-{number}", past)
            await write(USED_CODE, f"old-{number}", past)
        await write(SESSION, "live", future)
        await write(USED_CODE, "live", future)

        async def only_live_ones_are_left() -> bool:
            return [[row["id"] for row in await fetch(rows)] for rows in (SESSIONS, USED_CODES)] == [["live"], ["live"]]

        await until(only_live_ones_are_left)


async def test_clock_that_jumps_ahead_by_hours_makes_no_used_code_work_again(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {"user": {"id": "crm-42"}, "jti": "1", "exp": int(time.time()) + 3600})
    used = await sign_in(instance, code)
    with time_machine.travel(now() + timedelta(hours=23)):
        assert await purge_used_codes(1, 500) == 0
        assert await purge_expired_sessions(500) == 0
    assert await answer_to(instance, code) == "CODE_ALREADY_USED"
    assert await find_session(used.token or "")
    with time_machine.travel(now() + timedelta(hours=26)):
        assert await purge_used_codes(1, 500) == 1


async def test_other_writes_run_between_two_batches(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite a batch is deleted in the event loop: one after the other they would hold up every request."""
    done: list[str] = []

    async def purging(batch: int) -> int:
        done.append("batch")
        if len(done) == 1:
            asyncio.get_running_loop().call_soon(done.append, "turn")
        return batch if done.count("batch") < 3 else 0

    monkeypatch.setattr(housekeeping, "purge_expired_sessions", purging)
    app = create_app(Settings(database_url=sqlite_url, encryption_keys=(KEY,)))

    async def purged() -> bool:
        return done.count("batch") >= 3

    async with app.router.lifespan_context(app):
        await until(purged)
    assert done[:3] == ["batch", "turn", "batch"]


async def test_purging_goes_on_after_an_error(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def failing_at_first(_batch: int) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("the disk is full of codes")
        return 0

    monkeypatch.setattr(housekeeping, "purge_expired_sessions", failing_at_first)
    app = create_app(Settings(database_url=sqlite_url, encryption_keys=(KEY,)))

    async def tried_often_enough() -> bool:
        return tries > 3

    with structlog.testing.capture_logs() as logs:
        async with app.router.lifespan_context(app):
            await until(tried_often_enough)
    assert [(line["event"], line["error"]) for line in logs] == [("purge_failed", "OSError")] * 2


async def test_purging_stops_at_once(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    purging = asyncio.Event()

    async def taking_long(_batch: int) -> int:
        purging.set()
        await asyncio.sleep(3600)
        return 0

    monkeypatch.setattr(housekeeping, "purge_expired_sessions", taking_long)
    app = create_app(Settings(database_url=sqlite_url, encryption_keys=(KEY,)))
    async with app.router.lifespan_context(app):
        await purging.wait()
        started = time.monotonic()
    assert time.monotonic() - started < 2


async def test_retention_deletes_what_is_older_and_keeps_the_history_of_seats(settings: Settings) -> None:
    kept = {"audit_retention": 10, "seat_retention": 10}
    app = create_app(settings.model_copy(update=kept))
    async with app.router.lifespan_context(app):
        for days in (400, 300, 20, 11, 9, 1):
            moment = now() - timedelta(days=days)
            await write(EVENT, f"{days:03}", moment)
            await write(SEATS, moment.date(), days)
        today = now().date()

        async def only_new_ones_are_left() -> bool:
            events = [row["id"] for row in await fetch(Statement("SELECT id FROM audit_events WHERE actor = 'x'"))]
            samples = [row["used"] for row in await fetch(Statement("SELECT used FROM seat_samples ORDER BY day"))]
            return sorted(events) == ["001", "009"] and samples == [11, 9, 1, 0]

        await until(only_new_ones_are_left)
        assert {day.day: day.used for day in await seat_history(11)}[today - timedelta(days=10)] == 11


async def test_each_day_has_a_sample_of_the_seats(instance: Instance) -> None:
    await sign_in(instance, code_of(await enable(instance), {"user": {"id": "ada"}}))
    for days in (1, 1, 2):
        with time_machine.travel(now() + timedelta(days=days)):
            await sample_today()
    samples = await fetch(Statement("SELECT used FROM seat_samples ORDER BY day"))
    assert [row["used"] for row in samples] == [1, 1, 1]
