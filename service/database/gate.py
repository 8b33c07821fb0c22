"""The one gate for writes: begins as a writer, ends whatever happens to the request, leaks neither lock nor connection."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from service.database.connection import ALIAS
from service.database.statements import Statement


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """All or nothing: an exception, a `Refusal` too, rolls back. Never nested: who opens one says where it ends.

    On SQLite it begins as a writer (`BEGIN IMMEDIATE`): a transaction that reads first and writes later would fail
    with "database is locked" as soon as another process writes in between, whatever the busy timeout.

    Tortoise's own context loses the lock (SQLite) or the pooled connection (PostgreSQL) for ever when the task is
    cancelled while it begins; graphql-core cancels resolvers whose sibling failed. So beginning and ending are
    followed to their end here before a cancellation goes on its way.
    """
    scope: Any = in_transaction(ALIAS)
    try:
        client = await scope.__aenter__()
    except BaseException as error:
        if hasattr(scope, "token"):  # the lock or the connection was taken already
            await scope.__aexit__(type(error), error, error.__traceback__)
        raise
    try:
        yield
    except BaseException:
        await _to_the_end(client.rollback())
        await scope.__aexit__(None, None, None)
        raise
    try:
        await _to_the_end(client.commit())
    finally:
        await scope.__aexit__(None, None, None)


async def write(statement: Statement, *values: object) -> int:
    """One statement that is a transaction of its own (or part of the one that is open); how many rows it changed."""
    connection: Any = get_connection(ALIAS)
    if connection.capabilities.dialect == "sqlite":
        return int(await connection.write(statement.sqlite, values))
    return int((await connection.execute_query(statement.postgres, list(values)))[0])


async def _to_the_end(ending: Coroutine[Any, Any, None]) -> None:
    """Await a commit or rollback even when the request is cancelled meanwhile; then let the cancellation through."""
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
