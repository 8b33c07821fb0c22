"""Short transactions that share the commit of a group on SQLite, in the event loop's thread.

A transaction in the writer's thread crosses between the threads for every statement: creating a user took a dozen
crossings, and five times the CPU of the statements. A sign-in of a new user runs as a member of a group instead, between
savepoints, with the same code: the coroutine finds a connection that answers at once, so it never waits.

If it waits for something else, or if another process writes, its savepoint is rolled back, and it runs again as an ordinary
transaction. `GroupCommit.enabled = False` makes every transaction an ordinary one.
"""

import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import asyncpg
from tortoise.connection import get_connection, get_connections

from service.database.connection import ALIAS
from service.database.group_commit import GroupCommit
from service.database.sqlite import EmbeddedDatabase, ImmediateTransaction
from service.database.transactions import Calls, collected_calls, transaction

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]


async def short_transaction(work: Work[T]) -> T:
    """Run the work as one transaction, and return its result after the commit. An exception rolls it back.

    The work may run twice, the first time without a trace, so it must change nothing but the database. Cannot be nested.
    On PostgreSQL it runs again if a migration has changed a table after this connection prepared a statement for it.
    """
    database: Any = get_connection(ALIAS)
    if isinstance(database, EmbeddedDatabase) and GroupCommit.enabled:
        calls: Calls = []
        try:
            return await database.group_commit.run(partial(_run_in_group, database, work, calls), atomic=True)
        except _MustWaitError:
            calls.clear()
        finally:  # also if the caller was cancelled after the commit
            for call in calls:
                call()
    try:
        async with transaction():
            return await work()
    except asyncpg.InvalidCachedStatementError:
        async with transaction():
            return await work()


class _MustWaitError(Exception):
    """The work cannot run at once."""


def _run_in_group(database: EmbeddedDatabase, work: Work[T], calls: Calls, connection: sqlite3.Connection) -> T:
    if database.is_patient(connection):
        raise _MustWaitError  # in the writer's thread, where no coroutine of the event loop can run
    connection.execute("SAVEPOINT member")
    token = get_connections().set(ALIAS, _TransactionAtOnce(database, connection))
    try:
        with collected_calls() as collected:
            result = _finish(work())
    except BaseException:
        if connection.in_transaction:  # else SQLite has rolled back the whole group
            connection.execute("ROLLBACK TO member")
            connection.execute("RELEASE member")
        raise
    finally:
        get_connections().reset(token)
    connection.execute("RELEASE member")
    calls[:] = collected
    return result


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, or raise `_MustWaitError` where it would wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise _MustWaitError


class _TransactionAtOnce(ImmediateTransaction):
    """A transaction in the event loop's thread, for the functions of this package and for the ORM."""

    def __init__(self, database: EmbeddedDatabase, connection: sqlite3.Connection) -> None:
        super().__init__(database.writer)
        self._connection = _AtOnce(connection)  # type: ignore[assignment]


class _AtOnce:
    """What Tortoise uses of an aiosqlite connection, without a thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def total_changes(self) -> int:
        return self._connection.total_changes

    async def execute_fetchall(self, query: str, values: Sequence[Any] | None = None) -> Iterable[sqlite3.Row]:
        return self._connection.execute(query, values or ()).fetchall()

    async def execute_insert(self, query: str, values: Sequence[Any] | None = None) -> tuple[int | None]:
        return (self._connection.execute(query, values or ()).lastrowid,)

    async def executemany(self, query: str, values: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(query, values)
