"""The database: opening and closing it, migrating it, reading, and writing in transactions.

It may import the settings, the encryption and the other ground modules. It knows no feature, so its models are named to
Tortoise by path.
"""

from service.database.batches import Batches
from service.database.connection import Bounds, cause_of_outage, is_unreachable, open_database
from service.database.group_transactions import short_transaction
from service.database.limited_reads import ReadsBusyError, ReadTooLongError
from service.database.many_rows import ManyRows
from service.database.marks import set_mark, write_rest_of_marks
from service.database.migration import MOVE_UNDER_WAY, MOVED, check_encoding, is_migrated, migrate, newer_migrations
from service.database.planner_statistics import keep_planner_statistics
from service.database.purging import SAFETY_MARGIN, purge_expired
from service.database.statements import (
    Row,
    Statement,
    as_time,
    as_written_time,
    fetch,
    fetch_indexed,
    fetch_limited,
    fetch_one,
    fetch_short,
    on_sqlite,
    pool_use,
)
from service.database.transactions import after_commit, overwrite_deleted, transaction, write
from service.database.writable import check_writable, suspect_full_disk

__all__ = [
    "MOVED",
    "MOVE_UNDER_WAY",
    "SAFETY_MARGIN",
    "Batches",
    "Bounds",
    "ManyRows",
    "ReadTooLongError",
    "ReadsBusyError",
    "Row",
    "Statement",
    "after_commit",
    "as_time",
    "as_written_time",
    "cause_of_outage",
    "check_encoding",
    "check_writable",
    "fetch",
    "fetch_indexed",
    "fetch_limited",
    "fetch_one",
    "fetch_short",
    "is_migrated",
    "is_unreachable",
    "keep_planner_statistics",
    "migrate",
    "newer_migrations",
    "on_sqlite",
    "open_database",
    "overwrite_deleted",
    "pool_use",
    "purge_expired",
    "set_mark",
    "short_transaction",
    "suspect_full_disk",
    "transaction",
    "write",
    "write_rest_of_marks",
]
