"""Statements written by hand, for the few reads and writes where building a query would cost more than running it.

They are written once, as PostgreSQL reads them. SQLite calls `$1` `?1`, and needs no row locks: a transaction that is
open there is the only writer.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tortoise.connection import get_connection

from service.database.connection import ALIAS

Row = Mapping[str, Any]


class Statement:
    """SQL in both dialects."""

    __slots__ = ("postgres", "sqlite")

    def __init__(self, sql: str) -> None:
        self.postgres = sql
        self.sqlite = sql.replace("$", "?").replace(" FOR UPDATE", "")

    def text_for(self, connection: Any) -> str:
        """As this connection's database reads it."""
        return self.sqlite if connection.capabilities.dialect == "sqlite" else self.postgres


async def fetch(statement: Statement, *values: object) -> Sequence[Row]:
    """The rows; inside a transaction as that transaction sees them."""
    connection = get_connection(ALIAS)
    return (await connection.execute_query(statement.text_for(connection), list(values)))[1]


async def fetch_one(statement: Statement, *values: object) -> Row | None:
    """The first row of a look-up that an index answers, or None. On SQLite it runs at once: no scan and no count here."""
    connection: Any = get_connection(ALIAS)
    rows = await connection.read_one(statement.text_for(connection), values)
    return rows[0] if rows else None


def as_time(value: Any) -> datetime:
    """A time column of a row: PostgreSQL hands over a datetime, SQLite its text. Always in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).astimezone(UTC)
