"""Writes and transactions: all or nothing, and no lock and no connection is lost, whatever happens to a task."""

import asyncio
import contextvars
import random
import sqlite3
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from tortoise.connection import get_connection
from tortoise.exceptions import OperationalError

from service.database import Statement, fetch, fetch_one, fetch_short, transaction, write
from service.database.connection import ALIAS
from service.database.postgres_pool import POOL_SIZE
from service.errors import BadUserInput, Conflict
from service.instance import Instance, open_instance
from service.settings import load_settings
from tests.actions import count, rows

USED = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, '2030-01-01 00:00:00+00:00')")
BUMP = Statement("UPDATE external_auth SET version = version + 1 WHERE id = 1")
PLENTY = 20.0  # seconds; a lost lock would wait without end


async def version() -> int:
    return int((await rows("external_auth"))[0]["version"])


async def test_transaction_is_all_or_nothing(instance: Instance) -> None:
    before = await version()

    async def refused() -> None:
        async with transaction():
            await write(BUMP)
            await write(USED, "a")
            raise Conflict("no")

    with pytest.raises(Conflict):
        await refused()
    assert (await version(), await count("used_codes")) == (before, 0)
    async with transaction():
        await write(BUMP)
        await write(USED, "a")
    assert (await version(), await count("used_codes")) == (before + 1, 1)


async def test_transaction_reads_what_it_has_written_and_nobody_else_does_yet(instance: Instance) -> None:
    before = await version()
    async with transaction():
        await write(BUMP)
        assert await version() == before + 1
        assert await asyncio.create_task(_outside(version())) == before
    assert await version() == before + 1


async def test_write_tells_how_many_rows_it_changed(instance: Instance) -> None:
    ignoring = Statement(
        "INSERT INTO used_codes (id, expires_at) VALUES ($1, '2030-01-01 00:00:00+00:00') ON CONFLICT DO NOTHING"
    )
    no_row = Statement("UPDATE users SET email = 'x' WHERE serial = 0")
    assert [await write(ignoring, "a"), await write(ignoring, "a"), await write(no_row)] == [1, 0, 0]
    async with transaction():
        assert [await write(ignoring, "b"), await write(ignoring, "b"), await write(no_row)] == [1, 0, 0]
    assert await write(Statement("DELETE FROM used_codes")) == 2


async def test_reading_cannot_write(instance: Instance) -> None:
    """On SQLite reads have connections of their own, which refuse to write; PostgreSQL's may."""
    if instance.settings.uses_sqlite:
        with pytest.raises(OperationalError, match="readonly"):
            await fetch(USED, "a")
        assert await count("used_codes") == 0


async def test_two_hundred_cancelled_transactions_leak_nothing(instance: Instance) -> None:
    """Each is cancelled at another point: while it waits, begins, works, or ends."""
    choice = random.Random(7)
    before = await version()
    finished = []

    async def work() -> None:
        async with transaction():
            await write(BUMP)
            await asyncio.sleep(0)
            await fetch_one(Statement("SELECT version FROM external_auth WHERE id = 1"))
        finished.append(1)

    for _ in range(20):
        tasks = [asyncio.create_task(work()) for _ in range(10)]
        for task in tasks:
            for _ in range(choice.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in ended} <= {type(None), asyncio.CancelledError}, ended

    async with asyncio.timeout(PLENTY):
        await asyncio.gather(*(work() for _ in range(2 * POOL_SIZE)))
    assert len(finished) >= 2 * POOL_SIZE
    if not instance.settings.uses_sqlite:
        assert await _idle_in_transaction() == 0
    # Cancelled while it committed, a transaction may be done and its task not know it; never the other way round.
    assert before + len(finished) <= await version() <= before + 200 + 2 * POOL_SIZE


async def test_cancelled_while_it_begins(instance: Instance) -> None:
    """At every single step of beginning, one after the other."""
    for steps in range(12):
        task = asyncio.create_task(_bump())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PLENTY):
            await _bump()


async def test_cancelled_twice_while_it_ends(instance: Instance) -> None:
    """The second cancellation must not keep the lock or the connection either."""
    for first in range(1, 10):
        for second in range(5):
            task = asyncio.create_task(_bump())
            for pauses in (first, second):
                for _ in range(pauses):
                    await asyncio.sleep(0)
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    async with asyncio.timeout(PLENTY):
        await asyncio.gather(*(_bump() for _ in range(2 * POOL_SIZE)))


async def test_cancelled_reads_leak_nothing(instance: Instance) -> None:
    for steps in range(8):
        tasks = [asyncio.create_task(fetch(Statement("SELECT 1 AS one"))) for _ in range(POOL_SIZE)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(PLENTY):
        found = await asyncio.gather(*(fetch(Statement("SELECT 1 AS one")) for _ in range(2 * POOL_SIZE)))
    assert [row["one"] for [row] in found] == [1] * 2 * POOL_SIZE


async def test_connection_that_is_lost_in_a_transaction_is_given_back(postgres_url: str, tmp_path: Any) -> None:
    settings = load_settings({"DOORCODE_DATABASE_URL": postgres_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})

    async def lose_connection() -> None:
        lost = asyncio.Event()
        async with asyncio.timeout(PLENTY):
            try:
                async with transaction():
                    connection: Any = get_connection(ALIAS)
                    connection._connection.add_termination_listener(lambda _: lost.set())
                    await write(BUMP)
                    await _end_backend(postgres_url, connection._connection.get_server_pid())
                    await write(BUMP)
            finally:
                # asyncpg learns of the loss when it reads the end of the stream, which may be after the query has failed.
                # Until then the pool would hand the dead connection to the next transaction.
                await lost.wait()

    async with open_instance(settings):
        for _ in range(POOL_SIZE + 1):
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
                await lose_connection()
        async with asyncio.timeout(PLENTY):
            await asyncio.gather(*(_bump() for _ in range(2 * POOL_SIZE)))


async def test_nul_in_a_text_is_the_client_s_mistake(instance: Instance) -> None:
    """PostgreSQL cannot take it; SQLite can."""
    for inside in (False, True):
        try:
            if inside:
                async with transaction():
                    await write(USED, f"a\0b{inside}")
            else:
                await write(USED, f"a\0b{inside}")
                await fetch_one(Statement("SELECT id FROM users WHERE id = $1"), "a\0b")
        except BadUserInput:
            assert not instance.settings.uses_sqlite


async def test_sqlite_writer_waits_for_another_process_and_readers_do_not(sqlite_url: str, tmp_path: Any) -> None:
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    async with open_instance(settings):
        before = await version()
        other = sqlite3.connect(settings.sqlite_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(write(BUMP)), asyncio.create_task(_bump())]
        async with asyncio.timeout(PLENTY):
            for _ in range(50):
                assert await version() == before
                row = await fetch_one(Statement("SELECT version FROM external_auth WHERE id = 1"))
                assert row
                assert row["version"] == before
        assert not any(task.done() for task in waiting)
        other.execute("COMMIT")
        other.close()
        await asyncio.gather(*waiting)
        assert await version() == before + 2


async def test_sqlite_look_up_waits_where_it_cannot_read_at_once(sqlite_url: str, tmp_path: Any) -> None:
    """An exclusive lock is what recovery after a crash, and nothing else, takes of a database in WAL mode."""
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    async with open_instance(settings):
        connection: Any = get_connection(ALIAS)
        await fetch_one(Statement("SELECT 1"))

        class Busy:
            def execute(self, *_: object) -> None:
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
                raise error

            def close(self) -> None: ...

        connection._at_once.close()
        connection._at_once = Busy()
        row = await fetch_one(Statement("SELECT 1 AS one"))
        assert row
        assert row["one"] == 1
        before = await version()
        await write(BUMP)
        assert await version() == before + 1


ONE_TO = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT MAX(i) AS last FROM n"


@pytest.mark.parametrize(("last", "in_the_loop"), [(10, True), (300_000, False)])
async def test_sqlite_read_that_takes_longer_moves_to_a_thread(
    sqlite_url: str, tmp_path: Any, last: int, in_the_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    async with open_instance(settings):
        connection: Any = get_connection(ALIAS)
        moved: list[str] = []
        in_a_thread = connection.execute_query

        async def noting(query: str, values: Any) -> Any:
            moved.append(query)
            return await in_a_thread(query, values)

        monkeypatch.setattr(connection, "execute_query", noting)
        for _ in range(20):  # the steps of earlier reads do not count
            [row] = await fetch_short(Statement(ONE_TO.format(last)))
            assert row["last"] == last
        assert len(moved) == (0 if in_the_loop else 20)
        before = await version()
        await write(BUMP)
        assert await version() == before + 1  # writes are not stopped


async def _bump() -> None:
    async with transaction():
        await write(BUMP)


async def _outside(work: Any) -> Any:
    """As another request: a task that is begun inside a transaction inherits its connection."""
    return await asyncio.get_running_loop().create_task(work, context=contextvars.Context())


async def _idle_in_transaction() -> int:
    found = await fetch(
        Statement(
            "SELECT COUNT(*) AS idle FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
    )
    return int(found[0]["idle"])


async def _end_backend(url: str, pid: int) -> None:
    """Ends the server process of a connection. Returns when it has ended."""
    other = await asyncpg.connect(url)
    try:
        assert await other.fetchval("SELECT pg_terminate_backend($1, $2)", pid, int(PLENTY * 1000))
    finally:
        await other.close()
