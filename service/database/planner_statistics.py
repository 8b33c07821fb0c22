"""Keeps the statistics by which SQLite chooses an index. PostgreSQL keeps its own.

Without them SQLite scans the whole table for a filter by a column whose values are few, such as the origin of users: 1.1
seconds for a million users, against 0.2 milliseconds with them.

SQL by hand: beyond the ORM.
"""

from service.database.statements import Statement, fetch, on_sqlite
from service.database.transactions import transaction

_LIMIT = Statement("PRAGMA analysis_limit = 400")
_ANALYZE = Statement("ANALYZE users")


async def keep_planner_statistics() -> None:
    """Measure the table of users. Takes 0.02 seconds for a million users, because 400 rows of each index are read."""
    if on_sqlite():
        async with transaction():
            await fetch(_LIMIT)
            await fetch(_ANALYZE)
