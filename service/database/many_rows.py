"""Inserts any number of rows by few statements.

SQL by hand: atomic. Each statement may hold an upsert for all of its rows.
"""

from collections.abc import Sequence
from functools import lru_cache

from service.database.statements import Statement
from service.database.transactions import write

_ROWS_AT_ONCE = (64, 8, 1)  # few sizes, because the drivers keep a prepared statement for each text


class ManyRows:
    """An INSERT of rows with these columns. All texts are constants of the program; `on_conflict` is a clause."""

    def __init__(self, table: str, columns: str, on_conflict: str) -> None:
        self._insert = f"INSERT INTO {table} ({columns}) VALUES"
        self._on_conflict = on_conflict
        self._width = len(columns.split(","))

    async def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert the rows, each with a value for each column. Call it in a transaction if there may be more than one."""
        done = 0
        while done < len(rows):
            size = next(size for size in _ROWS_AT_ONCE if size <= len(rows) - done)
            statement = _statement(self._insert, self._width, size, self._on_conflict)
            await write(statement, *(value for row in rows[done : done + size] for value in row))
            done += size


@lru_cache(maxsize=32)
def _statement(insert: str, width: int, size: int, on_conflict: str) -> Statement:
    numbers = [range(row * width + 1, (row + 1) * width + 1) for row in range(size)]
    values = ", ".join("(" + ", ".join(f"${number}" for number in row) + ")" for row in numbers)
    return Statement(f"{insert} {values} {on_conflict}")
