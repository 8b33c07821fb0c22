"""Deletes expired rows in batches.

SQL by hand: atomic. One statement chooses and deletes a batch, so that a batch needs no transaction that reads first.
"""

from datetime import timedelta
from functools import lru_cache

from service.clock import now
from service.database.statements import Statement
from service.database.transactions import transaction, write

SAFETY_MARGIN = timedelta(days=1)
"""How long rows stay that would do harm if a clock that jumped ahead had them deleted too early."""


async def purge_expired(table: str, key: str, column: str, batch: int, *, kept_for: timedelta = timedelta(0)) -> int:
    """Delete at most `batch` rows of the table whose time in `column` is past, and return how many were deleted.

    `key` is the primary key, `column` an indexed time. All three names are constants of the program. The rows are kept
    for `kept_for` after that time. A transaction of its own, because on SQLite a single statement would run in the event
    loop's thread, and a batch changes hundreds of pages.
    """
    statement = _purge_statement(table, key, column)
    async with transaction():
        return await write(statement, now() - kept_for, batch)


@lru_cache(maxsize=32)
def _purge_statement(table: str, key: str, column: str) -> Statement:
    return Statement(
        f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} < $1 ORDER BY {column} LIMIT $2)"
    )
