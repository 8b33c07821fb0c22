"""The database: opening and closing it, reading, and the one gate that every write goes through."""

from service.database.connection import TORTOISE, is_unreachable, open_database
from service.database.migration import is_migrated, migrate
from service.database.statements import Row, Statement, as_time, fetch, fetch_one
from service.database.transactions import transaction, write

__all__ = [
    "TORTOISE",
    "Row",
    "Statement",
    "as_time",
    "fetch",
    "fetch_one",
    "is_migrated",
    "is_unreachable",
    "migrate",
    "open_database",
    "transaction",
    "write",
]
