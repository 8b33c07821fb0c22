"""SQL that is written by hand, and the rule for when it is.

SQL is written by hand for two reasons. Everything else goes through the ORM.

- *every request*: the statement runs on every request or every sign-in, where building a query would cost more than
  running it.
- *atomic*: the statement reads and writes in one step (a conditional update, a counter, an upsert, a row lock), so that
  no other request can come between.

A third kind is rare. *Beyond the ORM*: the query repeats the condition of such a statement, so that a word such as
"live" has one meaning, or uses what Tortoise cannot build, such as window functions and pages that put nulls last.

Each file with SQL names its kinds after the words "SQL by hand:". A statement is written once, for PostgreSQL. SQLite
calls `$1` `?1`, and needs no row locks because an open transaction is the only writer there.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tortoise.connection import get_connection

from service.clock import WrittenTime
from service.database.connection import ALIAS
from service.tracing import statement_span

Row = Mapping[str, Any]
_LENGTHS_IN_UTC = (len("2030-01-31 12:00:00+00:00"), len("2030-01-31 12:00:00.123456+00:00"))


class Statement:
    """One SQL statement in both dialects."""

    __slots__ = ("postgres", "sqlite")

    def __init__(self, sql: str) -> None:
        self.postgres = sql
        self.sqlite = sql.replace("$", "?").replace(" FOR UPDATE", "")

    def text_for(self, connection: Any) -> str:
        """Return the SQL in the dialect of this connection's database."""
        return self.sqlite if connection.capabilities.dialect == "sqlite" else self.postgres


async def fetch(statement: Statement, *values: object) -> Sequence[Row]:
    """Return all rows of the statement. Inside a transaction, it sees that transaction's changes."""
    connection = get_connection(ALIAS)
    text = statement.text_for(connection)
    with statement_span(text):
        return (await connection.execute_query(text, list(values)))[1]


async def fetch_one(statement: Statement, *values: object) -> Row | None:
    """Return the first row of an indexed look-up, or None. See `fetch_indexed`."""
    rows = await fetch_indexed(statement, *values)
    return rows[0] if rows else None


async def fetch_indexed(statement: Statement, *values: object) -> Sequence[Row]:
    """Return all rows of an indexed look-up.

    On SQLite it runs in the event loop's thread, so the statement must not scan or count a table.
    """
    connection: Any = get_connection(ALIAS)
    text = statement.text_for(connection)
    with statement_span(text):
        rows: Sequence[Row] = await connection.read_one(text, values)
    return rows


async def fetch_short(statement: Statement, *values: object) -> Sequence[Row]:
    """Return all rows of a statement that usually reads a few hundred rows at most, such as a page of a list.

    On SQLite it begins in the event loop's thread, and starts again in another thread if it takes longer.
    """
    connection: Any = get_connection(ALIAS)
    text = statement.text_for(connection)
    with statement_span(text):
        rows: Sequence[Row] = await connection.read_short(text, values)
    return rows


async def fetch_limited(statement: Statement, *values: object, seconds: float, scans: bool) -> Sequence[Row]:
    """Return all rows of a statement within a time limit. `scans` says that no index answers it.

    Raises `ReadTooLongError`. On SQLite there is no limit for a statement that an index answers.
    """
    connection: Any = get_connection(ALIAS)
    text = statement.text_for(connection)
    with statement_span(text):
        rows: Sequence[Row] = await connection.read_limited(text, values, seconds, scans)
    return rows


def on_sqlite() -> bool:
    """Return whether the database is SQLite, not PostgreSQL."""
    connection: Any = get_connection(ALIAS)
    return bool(connection.capabilities.dialect == "sqlite")


def pool_use() -> dict[str, int]:
    """Return how many connections of this process's pool are used, idle, and free to be opened. Empty on SQLite."""
    pool = getattr(get_connection(ALIAS), "_pool", None)
    if pool is None:
        return {}
    size, idle = pool.get_size(), pool.get_idle_size()
    return {"used": size - idle, "idle": idle, "free": pool.get_max_size() - size}


def as_time(value: Any) -> datetime:
    """Return the value of a time column in UTC. PostgreSQL returns a datetime, SQLite a text."""
    if isinstance(value, datetime):
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def as_written_time(value: Any) -> datetime | WrittenTime:
    """Return the value of a time column for an answer.

    On SQLite the text is that of the answer but for two characters. Parsing it, and writing the time again, would take
    ten times as long: a third of the CPU of a page of 50 users.
    """
    if type(value) is str and len(value) in _LENGTHS_IN_UTC and value.endswith("+00:00"):
        return WrittenTime(f"{value[:10]}T{value[11:-6]}Z")
    return as_time(value)
