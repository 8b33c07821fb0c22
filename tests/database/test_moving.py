"""`doorcode move`: nothing is lost, whatever interrupts it, and nothing is written to two databases."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise.backends.base.executor import EXECUTOR_CACHE

from service.accounts.administration import delete_user
from service.accounts.groups import set_user_groups
from service.accounts.lookup import find_by_id
from service.clock import now
from service.database import Statement, moving, write
from service.database.moving import move
from service.instance import Instance, open_instance
from service.invariants import broken_invariants
from service.sessions.lifecycle import find_session
from service.settings import Settings, SettingsError, load_settings
from tests.actions import TESTER, admin, code_of, enable, everything, member, sign_in
from tests.processes import ROOT


def nothing(_done: str, _rows: int, _total: int) -> None:
    """Tell nothing."""


@pytest.fixture
def source(sqlite_url: str, tmp_path: Path) -> Settings:
    return load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def target(source: Settings, postgres_url: str) -> Iterator[Settings]:
    yield source.model_copy(update={"database_url": postgres_url})
    asyncio.run(tidy(postgres_url))


async def tidy(url: str) -> None:
    """Take away what an unfinished move leaves, because the next test has the same database."""
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM tortoise_migrations WHERE name = 'move_under_way'")
    await connection.execute("DROP TABLE IF EXISTS doorcode_move")
    await connection.close()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Instance]:
    """An instance, as in a process of its own: Tortoise keeps the statements that it built for the other database."""
    EXECUTOR_CACHE.clear()
    async with open_instance(settings) as instance:
        yield instance
    EXECUTOR_CACHE.clear()


async def fill(settings: Settings, *, users: int = 5) -> tuple[str, str, dict[str, list[str]]]:
    """Write something into every kind of table. Returns the secret, a session token, and the rows as they are then."""
    async with opened(settings) as instance:
        secret = await enable(instance)
        for number in range(users):
            await sign_in(instance, code_of(secret, {"user": {"id": f"user-{number}", "plan": "gold\u00fc", "n": 1.5}}))
        await admin()
        await set_user_groups((await member("grace@example.com")).id, ["staff", "=1+1"], TESTER)
        await delete_user(f"user-{users - 1}", TESTER, instance.subject_hashes, revoke_codes=True)
        token = (await sign_in(instance, code_of(secret, {"user": {"id": "user-0"}}))).token
        assert token
        await write(
            Statement("UPDATE users SET last_seen_at = $1 WHERE id = 'user-1'"),
            now() - timedelta(days=3, microseconds=1),
        )
        await instance.pending_events.write()
        return secret, token, await everything()


async def test_every_row_a_session_and_a_secret_work_after_the_move(source: Settings, target: Settings) -> None:
    secret, token, before = await fill(source)
    rows = await move(source, target.database_url, nothing)
    assert rows == sum(map(len, before.values()))
    async with opened(target) as instance:
        assert {table: len(found) for table, found in (await everything()).items()} == {
            table: len(found) for table, found in before.items()
        }
        session = await find_session(token)
        assert session is not None
        assert session.user.id == "user-0"
        assert [line async for line in broken_invariants(instance.cipher)] == []
        new = await sign_in(instance, code_of(secret, {"user": {"id": "after"}}))
        known = await sign_in(instance, code_of(secret, {"user": {"id": "user-1"}}))
        assert "gold" in known.session.user.metadata
        serials = [row["serial"] for row in await _users()]
        assert new.session.user.serial == max(serials) == 8, "the serial of the deleted user is not used again"


async def _users() -> list[dict[str, int]]:
    from service.database import fetch

    return [dict(row) for row in await fetch(Statement("SELECT serial FROM users"))]


async def test_move_goes_on_after_an_interruption(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token, before = await fill(source)
    monkeypatch.setattr(moving, "PART", 2)
    copied: list[str] = []

    def stop_in_the_users(done: str, rows: int, _: int) -> None:
        copied.append(done)
        if done == "Copying users" and rows == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move(source, target.database_url, stop_in_the_users)
    with pytest.raises(SettingsError, match="data is being moved to this database"):
        async with opened(target):
            pass
    first, copied = copied, []
    assert await move(source, target.database_url, lambda done, *_: copied.append(done)) == sum(
        map(len, before.values())
    )
    assert "Copying audit_events" in first
    assert "Copying audit_events" not in copied, "what was copied is not copied again"
    async with opened(target):
        assert await find_session(token)


async def test_move_starts_again_if_a_server_has_run_in_between(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(source)
    monkeypatch.setattr(moving, "PART", 2)

    def stop(done: str, *_: int) -> None:
        if done == "Copying users":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move(source, target.database_url, stop)
    async with opened(source) as instance:
        await delete_user("user-0", TESTER, instance.subject_hashes)
    await move(source, target.database_url, nothing)
    async with opened(target):
        assert await find_by_id("user-0") is None
        assert await find_by_id("user-1")


async def test_move_that_is_killed_in_its_last_moment_is_finished(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(source)

    async def killed(_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_finish", killed)
        with pytest.raises(KeyboardInterrupt):
            await move(source, target.database_url, nothing)
    assert await move(source, target.database_url, nothing) > 0
    async with opened(target):
        assert await find_by_id("user-1")


async def test_no_server_starts_on_the_old_file_and_it_is_not_moved_twice(source: Settings, target: Settings) -> None:
    await fill(source)
    await move(source, target.database_url, nothing)
    with pytest.raises(SettingsError, match="this database was moved to PostgreSQL"):
        async with opened(source):
            pass
    with pytest.raises(SettingsError, match="moved already"):
        await move(source, target.database_url, nothing)


async def test_file_that_a_server_has_open_is_refused(source: Settings, target: Settings) -> None:
    async with opened(source):
        with pytest.raises(SettingsError, match=r"is in use\. Stop the server first"):
            await move(source, target.database_url, nothing)


async def test_server_cannot_write_to_the_file_meanwhile(source: Settings, target: Settings) -> None:
    await fill(source)

    def try_to_write(*_: object) -> None:
        with (
            closing(sqlite3.connect(source.sqlite_path, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("UPDATE users SET metadata = '{}'")

    await move(source, target.database_url, try_to_write)


async def test_target_with_data_is_refused_and_stays_as_it_is(source: Settings, target: Settings) -> None:
    await fill(source)
    async with opened(target):
        before = await everything()
    with pytest.raises(SettingsError, match=r"^--to: this database is not empty"):
        await move(source, target.database_url, nothing)
    async with opened(target):
        assert await everything() == before
    async with opened(source):
        pass


async def test_target_that_is_not_migrated_is_refused(source: Settings, empty_postgres_url: str) -> None:
    with pytest.raises(SettingsError, match=r"^--to: this database is not up to date"):
        await move(source, empty_postgres_url, nothing)
    with pytest.raises(SettingsError, match="is PostgreSQL already"):
        await move(source.model_copy(update={"database_url": empty_postgres_url}), empty_postgres_url, nothing)
    with pytest.raises(SettingsError, match=r"^--to: "):
        await move(source, "mysql://localhost/x", nothing)


async def test_row_that_changes_on_its_way_is_found(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(source)
    compare = moving._compare

    async def change_and_compare(here: sqlite3.Connection, there: Any, table: Any, tell: moving.Progress) -> None:
        if table.name == "users":
            await there.execute("UPDATE users SET metadata = '{}' WHERE id = 'user-1'")
        await compare(here, there, table, tell)

    monkeypatch.setattr(moving, "_compare", change_and_compare)
    with pytest.raises(SettingsError, match="The table users differs"):
        await move(source, target.database_url, nothing)


async def part_of(table: str, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """How many rows of the table a move has copied so far."""
    if await connection.fetchval("SELECT to_regclass('doorcode_move')") is None:
        return 0
    return int(await connection.fetchval("SELECT rows FROM doorcode_move WHERE name = $1", table) or 0)


@pytest.mark.usefixtures("programs")
async def test_killed_process_loses_nothing(source: Settings, target: Settings) -> None:
    _, token, _ = await fill(source)
    with closing(sqlite3.connect(source.sqlite_path)) as file:
        file.executemany(
            "INSERT INTO used_codes (id, expires_at) VALUES (?, '2099-01-01 00:00:00+00:00')",
            ((f"{number:064}",) for number in range(60_000)),
        )
        file.commit()
    environ = os.environ | {
        "DOORCODE_DATABASE_URL": source.database_url,
        "DOORCODE_DATA_DIR": str(source.data_dir),
    }
    start = partial(subprocess.Popen, [sys.executable, "-m", "service", "move", "--to", target.database_url])
    running = await asyncio.to_thread(start, env=environ, cwd=ROOT, stderr=subprocess.DEVNULL)
    connection = await asyncpg.connect(target.database_url)
    while not await part_of("used_codes", connection):
        assert running.poll() is None, "it ended too early"
        await asyncio.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert await asyncio.to_thread(running.wait) == -signal.SIGKILL, "it was killed in the middle"
    await connection.close()
    again = await asyncio.to_thread(start, env=environ, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    _, told = await asyncio.to_thread(again.communicate)
    assert again.returncode == 0, told
    assert "keep the encryption key" in " ".join(told.split())
    async with opened(target):
        assert await find_session(token)
