"""Group commit on SQLite: writes of one turn share a transaction, and each caller gets its own result or its own error."""

import asyncio
import contextlib
import contextvars
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tortoise.connection import get_connection
from tortoise.exceptions import IntegrityError, OperationalError

from service.database import Statement, checkpoints, fetch_one, transaction, write
from service.database.connection import ALIAS
from service.database.group_commit import GroupCommit
from service.database.sqlite import EmbeddedDatabase
from service.instance import open_instance
from service.settings import load_settings
from tests.actions import count
from tests.programs import Programs

USE = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, '2030-01-01 00:00:00+00:00')")
BUMP = Statement("UPDATE external_auth SET version = version + 1 WHERE id = 1")
PLENTY = 20.0  # seconds


@pytest.fixture
async def path(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Path]:
    """The file of an instance that is open."""
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    async with open_instance(settings), asyncio.timeout(PLENTY):
        await count("used_codes")
        yield settings.sqlite_path


def database() -> EmbeddedDatabase:
    connection: Any = get_connection(ALIAS)
    return connection  # type: ignore[no-any-return]


@contextlib.contextmanager
def noted() -> Any:
    """The statements of the event loop's connection, in order."""
    statements: list[str] = []
    connection = database()._connection_at_once()
    connection.set_trace_callback(statements.append)
    yield statements
    connection.set_trace_callback(None)


async def test_writes_of_one_turn_share_a_transaction_and_one_alone_has_none(path: Path) -> None:
    with noted() as statements:
        assert await asyncio.gather(*(write(USE, str(n)) for n in range(3))) == [1, 1, 1]
    assert [statement.split()[0] for statement in statements] == ["BEGIN", "INSERT", "INSERT", "INSERT", "COMMIT"]
    with noted() as statements:
        assert await write(USE, "alone") == 1
    assert [statement.split()[0] for statement in statements] == ["INSERT"]


async def test_group_commit_can_be_switched_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupCommit, "enabled", False)
    with noted() as statements:
        await asyncio.gather(*(write(USE, str(n)) for n in range(3)))
    assert [statement.split()[0] for statement in statements] == ["INSERT"] * 3


async def test_a_caller_is_answered_after_the_commit(path: Path) -> None:
    """Another connection sees the row as soon as the caller goes on."""

    async def use(name: str) -> bool:
        await write(USE, name)
        with contextlib.closing(sqlite3.connect(path)) as other:
            return bool(other.execute("SELECT 1 FROM used_codes WHERE id = ?", (name,)).fetchone())

    assert await asyncio.gather(*(use(str(n)) for n in range(5))) == [True] * 5


async def test_a_statement_that_fails_affects_only_its_own_caller(path: Path) -> None:
    await write(USE, "taken")
    broken = Statement("INSERT INTO no_such_table VALUES ($1)")
    results = await asyncio.gather(
        write(USE, "a"),
        write(USE, "taken"),
        write(broken, 1),
        write(USE, "half \ud800 of a character"),
        write(USE, "b"),
        return_exceptions=True,
    )
    assert [results[0], results[4]] == [1, 1]
    assert isinstance(results[1], IntegrityError)
    assert isinstance(results[2], OperationalError)
    assert isinstance(results[3], Exception)
    assert await count("used_codes") == 3


class FailingAt:
    """A connection on which one statement fails, as on a disk that is full."""

    def __init__(self, connection: sqlite3.Connection, statement: str, code: int, rolls_back: bool = False) -> None:
        self._connection = connection
        self._statement = statement
        self._code = code
        self._rolls_back = rolls_back

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if not statement.startswith(self._statement):
            return self._connection.execute(statement, *values)
        if self._rolls_back:
            self._connection.execute("ROLLBACK")
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = self._code
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize(
    ("statement", "rolls_back"),
    [("BEGIN", False), ("COMMIT", False), ("UPDATE", True)],
    ids=["begin", "commit", "a statement that rolls all back"],
)
async def test_a_transaction_that_fails_fails_every_caller_of_its_group(
    path: Path, statement: str, rolls_back: bool
) -> None:
    real = database()._connection_at_once()
    database()._at_once = FailingAt(real, statement, sqlite3.SQLITE_FULL, rolls_back)  # type: ignore[assignment]
    results = await asyncio.gather(write(USE, "a"), write(BUMP), write(USE, "b"), return_exceptions=True)
    database()._at_once = real
    assert [type(result) for result in results] == [OperationalError] * 3
    assert len({id(result) for result in results}) == 3
    assert await count("used_codes") == 0
    assert list(await asyncio.gather(write(USE, "a"), write(USE, "b"))) == [1, 1]


async def test_cancelled_callers_leave_nothing_broken(path: Path) -> None:
    """Cancelled before the group runs, a caller writes nothing; the others of its group are answered."""
    for steps in range(4):
        tasks = [asyncio.create_task(write(USE, f"{steps}-{n}")) for n in range(6)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[:3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[3:] == [1, 1, 1]
        written = [isinstance(result, int) for result in results[:3]]
        assert await count("used_codes", f"WHERE id LIKE '{steps}-%'") >= 3 + sum(written)
    assert await count("used_codes", "WHERE id LIKE '1-%'") == 3


async def test_a_group_waits_for_a_transaction_and_the_event_loop_goes_on(path: Path) -> None:
    async with transaction():
        await write(BUMP)
        waiting = [
            asyncio.get_running_loop().create_task(write(USE, str(n)), context=contextvars.Context()) for n in range(3)
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_a_group_waits_for_another_process_and_its_members_keep_their_own_errors(path: Path) -> None:
    await write(USE, "taken")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(write(USE, name)) for name in ("a", "taken", "b")]
        for _ in range(50):
            assert await fetch_one(Statement("SELECT 1"))
        assert not any(task.done() for task in waiting)
        later = asyncio.create_task(write(USE, "later"))
        other.execute("COMMIT")
    results = await asyncio.gather(*waiting, later, return_exceptions=True)
    assert [results[0], results[2], results[3]] == [1, 1, 1]
    assert isinstance(results[1], IntegrityError)


async def test_a_group_fails_when_another_process_writes_for_too_long(path: Path) -> None:
    connection = database().writer._connection
    assert connection
    await connection.execute("PRAGMA busy_timeout=1")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(write(USE, "a"), write(USE, "b"), return_exceptions=True)
        alone = await asyncio.gather(write(USE, "c"), return_exceptions=True)
        other.execute("ROLLBACK")
    assert [str(result) for result in (*results, *alone)] == ["database is locked"] * 3
    assert list(await asyncio.gather(write(USE, "a"), write(USE, "b"))) == [1, 1]


async def test_thousands_of_writes_and_transactions_at_once_lose_nothing(path: Path) -> None:
    before = await fetch_one(Statement("SELECT version FROM external_auth WHERE id = 1"))
    assert before

    async def change() -> None:
        async with transaction():
            await write(BUMP)
            await write(BUMP)

    work: list[Any] = []
    for _ in range(40):
        work += [asyncio.create_task(write(BUMP)) for _ in range(50)]
        work.append(asyncio.create_task(change()))
        await asyncio.sleep(0)
    await asyncio.gather(*work)
    after = await fetch_one(Statement("SELECT version FROM external_auth WHERE id = 1"))
    assert after
    assert after["version"] - before["version"] == 40 * 52


async def test_closing_commits_what_is_queued(sqlite_url: str, tmp_path: Path) -> None:
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    async with open_instance(settings):
        queued = [asyncio.create_task(write(USE, str(n))) for n in range(3)]
        await asyncio.sleep(0)
        await database().close()
        assert await asyncio.gather(*queued) == [1, 1, 1]


async def test_log_is_copied_to_the_file_without_an_automatic_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two long logs are made short, so that the writers wait for the second checkpoint too."""
    monkeypatch.setattr(checkpoints, "LONG_LOG", 1)
    for group in range(3):
        await asyncio.gather(*(write(USE, f"{group}-{n}") for n in range(checkpoints.WRITES_BETWEEN)))
        await database().checkpoints.close()
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as without_log:
        assert without_log.execute("SELECT COUNT(*) FROM used_codes").fetchone() == (3 * checkpoints.WRITES_BETWEEN,)


async def test_checkpoint_that_fails_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = database().checkpoints._path
    database().checkpoints._path = "/no/such/directory/file"
    await asyncio.gather(*(write(USE, f"a{n}") for n in range(checkpoints.WRITES_BETWEEN)))
    await database().checkpoints.close()
    database().checkpoints._path = real
    await asyncio.gather(*(write(USE, f"b{n}") for n in range(checkpoints.WRITES_BETWEEN)))
    await database().checkpoints.close()
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as without_log:
        assert without_log.execute("SELECT COUNT(*) FROM used_codes").fetchone() == (2 * checkpoints.WRITES_BETWEEN,)


def test_what_was_answered_is_there_after_the_process_is_killed(
    sqlite_url: str, tmp_path: Path, programs: Programs
) -> None:
    """The process says after each answer which row it wrote, and is killed (SIGKILL) in the middle of its work."""
    program = textwrap.dedent("""
        import asyncio, sys
        from service.database import Statement, write
        from service.instance import open_instance
        from service.settings import load_settings

        USE = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, '2030-01-01 00:00:00+00:00')")

        async def use(name):
            await write(USE, name)
            print(name, flush=True)

        async def main():
            settings = load_settings({"DOORCODE_DATABASE_URL": sys.argv[1], "DOORCODE_DATA_DIR": sys.argv[2]})
            async with open_instance(settings):
                for turn in range(1_000_000):
                    await asyncio.gather(*(use(f"{turn}-{n}") for n in range(16)))

        asyncio.run(main())
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, sqlite_url, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        answered = [process.stdout.readline().strip() for _ in range(500)]
        process.kill()
        answered += process.stdout.read().split()
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite://"))) as after:
        kept = {name for (name,) in after.execute("SELECT id FROM used_codes")}
    assert {name for name in answered if name.count("-") == 1 and name[-1:].isdigit()} - kept <= {answered[-1]}
    assert len(kept) >= 500
