"""Short transactions: all or nothing on both databases, and on SQLite members of a group as long as they need not wait."""

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from tortoise.exceptions import OperationalError

from service.audit.actions import Action
from service.audit.log import record
from service.database import short_transaction, write
from service.database.group_commit import GroupCommit
from service.errors import Conflict
from service.instance import Instance
from tests.actions import TESTER, count
from tests.database.test_group_commit import BUMP, USE, FailingAt, database, noted, path
from tests.database.test_transactions import version

__all__ = ["path"]


async def use(name: str, *, refuse: bool = False, wait: bool = False) -> str:
    """Write three rows, one of them by the ORM."""
    await write(USE, name)
    await record(Action.USER_CREATED, TESTER, user_id=name)
    if wait:
        await asyncio.sleep(0)
    await write(BUMP)
    if refuse:
        raise Conflict("no")
    return name


async def test_it_is_all_or_nothing_and_the_others_of_its_turn_are_not_touched(instance: Instance) -> None:
    before = await version()
    results = await asyncio.gather(
        short_transaction(partial(use, "a")),
        short_transaction(partial(use, "b", refuse=True)),
        write(USE, "c"),
        short_transaction(partial(use, "d", wait=True)),
        short_transaction(partial(use, "a")),  # the row is there already
        return_exceptions=True,
    )
    assert results[0] == "a"
    assert isinstance(results[1], Conflict)
    assert list(results[2:4]) == [1, "d"]
    assert isinstance(results[4], Exception)
    assert await count("used_codes") == 3
    assert await count("audit_events", "WHERE user_id IN ('a', 'b', 'd')") == 2
    assert await version() == before + 2


async def test_it_reads_what_it_has_written(instance: Instance) -> None:
    before = await version()

    async def bump_and_look() -> int:
        await write(BUMP)
        return await version()

    assert await short_transaction(bump_and_look) == before + 1


async def test_short_transactions_of_one_turn_share_a_commit(path: Path) -> None:
    with noted() as statements:
        await asyncio.gather(*(short_transaction(partial(use, str(n))) for n in range(3)))
    verbs = [statement.split()[0] for statement in statements]
    assert verbs == ["BEGIN", *["SAVEPOINT", "INSERT", "INSERT", "UPDATE", "RELEASE"] * 3, "COMMIT"]


async def test_one_that_is_alone_takes_the_lock_before_it_reads(path: Path) -> None:
    with noted() as statements:
        await short_transaction(version)
    assert [statement.split()[0] for statement in statements] == ["BEGIN", "SAVEPOINT", "SELECT", "RELEASE", "COMMIT"]


async def test_work_that_waits_leaves_nothing_behind_and_runs_again_as_an_ordinary_transaction(path: Path) -> None:
    before = await version()
    assert await short_transaction(partial(use, "a", wait=True)) == "a"
    assert (await count("used_codes"), await version()) == (1, before + 1)


async def test_it_waits_for_another_process(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(short_transaction(partial(use, str(n)))) for n in range(3)]
        alone = asyncio.create_task(write(USE, "alone"))
        for _ in range(50):
            assert await count("users") == 0
        assert not any(task.done() for task in waiting)
        other.execute("COMMIT")
    assert await asyncio.gather(*waiting) == ["0", "1", "2"]
    assert await alone == 1


@pytest.mark.parametrize("statement", ["COMMIT", "UPDATE"])
async def test_a_transaction_that_fails_fails_all_of_its_group(path: Path, statement: str) -> None:
    real = database()._connection_at_once()
    failing = FailingAt(real, statement, sqlite3.SQLITE_FULL, rolls_back=statement == "UPDATE")
    database()._at_once = failing  # type: ignore[assignment]
    results = await asyncio.gather(
        *(short_transaction(partial(use, str(n))) for n in range(2)), write(USE, "c"), return_exceptions=True
    )
    database()._at_once = real
    assert all(isinstance(result, (OperationalError, sqlite3.OperationalError)) for result in results), results
    assert (await count("used_codes"), await count("audit_events", "WHERE user_id IN ('0', '1')")) == (0, 0)
    assert await short_transaction(partial(use, "again")) == "again"


async def test_those_that_are_cancelled_leave_nothing_broken(instance: Instance) -> None:
    for steps in range(6):
        tasks = [asyncio.create_task(short_transaction(partial(use, f"{steps}-{n}", wait=n == 1))) for n in range(4)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[:2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[2:] == [f"{steps}-2", f"{steps}-3"]
        written = await count("used_codes", f"WHERE id LIKE '{steps}-%'")
        assert written == await count("audit_events", f"WHERE user_id LIKE '{steps}-%'")


async def test_it_can_be_switched_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupCommit, "enabled", False)
    with noted() as statements:
        assert await short_transaction(partial(use, "a")) == "a"
    assert statements == []  # the transaction ran on the writing connection
