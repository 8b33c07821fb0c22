"""Transactions for every write. They end even if the request is cancelled, and leak no lock or connection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from tortoise.connection import get_connection, get_connections

from service.database.connection import ALIAS
from service.database.sqlite import EmbeddedDatabase
from service.database.statements import Statement
from service.tracing import statement_span

Calls = list[Callable[[], None]]
_waiting: ContextVar[Calls | None] = ContextVar("calls after the commit", default=None)


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """Run the block as one transaction. An exception, also a `Refusal`, rolls back. Transactions cannot be nested.

    On SQLite it begins as a writer (`BEGIN IMMEDIATE`): a transaction that reads first and writes later would fail
    with "database is locked" as soon as another process writes in between, whatever the busy timeout.

    Tortoise's own context never releases the lock (SQLite) or the pooled connection (PostgreSQL) if the task is
    cancelled while the transaction begins or ends, and graphql-core cancels resolvers whose sibling failed. Here both
    steps complete before the cancellation is raised.
    """
    database: Any = get_connection(ALIAS)
    client = await database.take()
    try:
        await _complete(client.begin())
        token = get_connections().set(ALIAS, client)
        try:
            with collected_calls() as calls:
                yield
        finally:
            get_connections().reset(token)
        await _complete(client.commit(), calls)
    except BaseException:
        await _complete(client.undo())
        raise
    finally:
        await _complete(database.give_back(client))


def after_commit(call: Callable[[], None]) -> None:
    """Call it once the open transaction is committed, and never if it is rolled back; at once outside a transaction."""
    calls = _waiting.get()
    if calls is None:
        call()
    else:
        calls.append(call)


@contextmanager
def collected_calls() -> Iterator[Calls]:
    """Collect what `after_commit` is given meanwhile. The caller runs it after the commit."""
    calls: Calls = []
    token = _waiting.set(calls)
    try:
        yield calls
    finally:
        _waiting.reset(token)


async def write(statement: Statement, *values: object) -> int:
    """Run one statement, in a transaction of its own or in the open one. Return how many rows it changed."""
    connection: Any = get_connection(ALIAS)
    text = statement.text_for(connection)
    with statement_span(text):
        return int(await connection.write(text, values))


async def overwrite_deleted() -> None:
    """Empty the log of SQLite, which may still hold what was deleted. On PostgreSQL, its own VACUUM does it."""
    database: Any = get_connection(ALIAS)
    if isinstance(database, EmbeddedDatabase):
        await database.checkpoints.empty_log()


async def _complete(step: Coroutine[Any, Any, None], then: Iterable[Callable[[], None]] = ()) -> None:
    """Wait for a step to end even if the request is cancelled meanwhile, then raise the cancellation.

    After a step that did not fail, `then` is called.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    failure = task.exception()
    if failure is None:
        for call in then:
            call()
    if cancelled is not None:
        raise cancelled from failure
    if failure is not None:
        raise failure
