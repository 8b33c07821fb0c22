"""Which statements a piece of work sends to the database, as the driver sees them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tortoise.connection import get_connection

from service.database import Statement, fetch, fetch_one, transaction
from service.database.connection import ALIAS

_READING = "SELECT"
_WRITING = ("INSERT", "UPDATE", "DELETE")


class Statements(list[str]):
    """Every statement, in order."""

    def add(self, statement: str) -> None:
        """Note a statement, unless SQLite runs it for another one: those of triggers and virtual tables are comments."""
        if not statement.startswith("--"):
            self.append(statement)

    @property
    def reads(self) -> list[str]:
        """Those that read."""
        return [statement for statement in self if statement.startswith(_READING)]

    @property
    def writes(self) -> list[str]:
        """Those that write."""
        return [statement for statement in self if statement.startswith(_WRITING)]


@asynccontextmanager
async def noted_statements() -> AsyncIterator[Statements]:
    """Notes what is sent meanwhile, one task at a time."""
    await _connect()
    noted = Statements()
    connection: Any = get_connection(ALIAS)
    if connection.capabilities.dialect == "sqlite":
        await _trace(connection, noted.add)
        yield noted
        await _trace(connection, None)
    else:
        open_ones = [holder._con for holder in connection._pool._holders if holder._con]

        def note(query: Any) -> None:
            noted.append(query.query)

        for one in open_ones:
            one.add_query_logger(note)
        yield noted
        for one in open_ones:
            one.remove_query_logger(note)


async def _connect() -> None:
    """Drivers connect when they are first needed."""
    await fetch_one(Statement("SELECT 1"))
    await fetch(Statement("SELECT 1"))
    async with transaction():
        pass


async def _trace(connection: Any, note: Callable[[str], object] | None) -> None:
    """All three of SQLite's connections."""
    connection._at_once.set_trace_callback(note)
    await connection._connection.set_trace_callback(note)
    await connection.writer._connection.set_trace_callback(note)
