"""The one gate for writes: begins as a writer, ends whatever happens to the request, leaks neither lock nor connection."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tortoise.connection import get_connection, get_connections

from service.database.connection import ALIAS
from service.database.statements import Statement


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """All or nothing: an exception, a `Refusal` too, rolls back. Never nested: who opens one says where it ends.

    On SQLite it begins as a writer (`BEGIN IMMEDIATE`): a transaction that reads first and writes later would fail
    with "database is locked" as soon as another process writes in between, whatever the busy timeout.

    Tortoise's own context loses the lock (SQLite) or the pooled connection (PostgreSQL) for ever when the task is
    cancelled while it begins or ends; graphql-core cancels resolvers whose sibling failed. So here beginning and ending
    are followed to their end before a cancellation goes on its way.
    """
    database: Any = get_connection(ALIAS)
    client = await database.take()
    try:
        await _to_the_end(client.begin())
        token = get_connections().set(ALIAS, client)
        try:
            yield
        finally:
            get_connections().reset(token)
        await _to_the_end(client.commit())
    except BaseException:
        await _to_the_end(client.undo())
        raise
    finally:
        await _to_the_end(database.give_back(client))


async def write(statement: Statement, *values: object) -> int:
    """One statement that is a transaction of its own (or part of the one that is open); how many rows it changed."""
    connection: Any = get_connection(ALIAS)
    return int(await connection.write(statement.text_for(connection), values))


async def _to_the_end(step: Coroutine[Any, Any, None]) -> None:
    """Await a step even when the request is cancelled meanwhile, once or more often; then let the cancellation through."""
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    failure = task.exception()
    if cancelled is not None:
        raise cancelled from failure
    if failure is not None:
        raise failure
