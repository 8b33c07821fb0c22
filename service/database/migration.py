"""Migrates the database. Safe if several processes start at the same time.

SQL by hand: beyond the ORM. Tortoise has no model for its own table of migrations.
"""

import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.exceptions import OperationalError

import service.migrations
from service.database.connection import (
    ALIAS,
    APP,
    SQLITE_BUSY_TIMEOUT,
    configuration,
    refuse_unreachable,
)
from service.database.statements import Statement, fetch
from service.encryption import make_data_dir
from service.postgres_url import parse_postgres_url
from service.settings import Settings, SettingsError

_ADVISORY_LOCK = 0x446F6F72636F6465  # "Doorcode" in ASCII: unlikely to be used by another program
# What asyncpg raises of a URL that it cannot honour here, such as a missing root certificate or no writable host.
_CLIENT_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError)
MOVED, MOVE_UNDER_WAY = "moved_to_postgresql", "move_under_way"
"""Entries in the list of migrations that no version knows, so that no server starts on such a database."""

_APPLIED = Statement("SELECT name FROM tortoise_migrations WHERE app = $1")


async def migrate(settings: Settings) -> None:
    """Apply the missing migrations. Raises `SettingsError` if the database cannot be opened."""
    try:
        if settings.uses_sqlite:
            await _migrate_sqlite(settings)
        else:
            await _migrate_postgres(settings)
    except (OSError, asyncpg.PostgresError, *_CLIENT_ERRORS, OperationalError, sqlite3.Error) as error:
        raise refuse_unreachable(settings, error) from error


async def is_migrated() -> bool:
    """Return whether all migrations of this version are applied to the open database."""
    try:
        applied = {row["name"] for row in await fetch(_APPLIED, APP)}
    except OperationalError as error:
        if not _is_missing_table(error):
            raise
        return False
    return applied >= packaged_migrations()


async def newer_migrations() -> list[str]:
    """Return the migrations of the open database that this version does not know: a newer version has applied them."""
    return sorted({row["name"] for row in await fetch(_APPLIED, APP)} - packaged_migrations())


async def check_encoding() -> None:
    """Raise `SettingsError` unless the open database stores UTF-8: any other encoding lacks characters of IDs."""
    connection: Any = get_connection(ALIAS)
    if connection.capabilities.dialect != "sqlite":
        _refuse_encoding((await connection.execute_query_dict("SHOW server_encoding"))[0]["server_encoding"])


def _refuse_encoding(encoding: str) -> None:
    if encoding != "UTF8":
        raise SettingsError(
            f"DOORCODE_DATABASE_URL: the database has the encoding {encoding}; create it with ENCODING 'UTF8'"
        )


def _is_missing_table(error: OperationalError) -> bool:
    """Return whether the table of the migrations does not exist."""
    cause = error.__cause__
    return isinstance(cause, asyncpg.UndefinedTableError) or "no such table" in str(error)


def packaged_migrations() -> set[str]:
    """Return the names of the migrations of this version."""
    return {path.stem for path in Path(service.migrations.__path__[0]).glob("[0-9]*.py")}


async def _migrate_sqlite(settings: Settings) -> None:
    """Migrate with foreign keys off: SQLite alters a table by copying it, and dropping the old one would cascade."""
    if settings.sqlite_path.parent == settings.data_dir:
        make_data_dir(settings.data_dir)
    with _file_lock(settings.sqlite_path.with_name(settings.sqlite_path.name + ".migrating")):
        _check_file(settings.sqlite_path)
        if not _is_up_to_date(settings.sqlite_path):
            await _run(settings, engine="tortoise.backends.sqlite", foreign_keys="OFF")


async def _migrate_postgres(settings: Settings) -> None:
    async with _advisory_lock(settings):
        await _run(settings, engine="service.database.postgres")


async def _run(settings: Settings, *, engine: str, **overrides: object) -> None:
    from tortoise.migrations.api import migrate as run_migrations  # noqa: PLC0415  # most starts migrate nothing

    async with TortoiseContext():
        await run_migrations(config=configuration(settings, engine=engine, **overrides), direction="forward")


def _check_file(path: Path) -> None:
    """Raise an error if the file is not a database, cannot be written or is locked: Tortoise would hang."""
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT / 1000)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _is_up_to_date(path: Path) -> bool:
    """Return whether no migration is missing. One statement instead of Tortoise, which loads every migration first."""
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT / 1000)) as connection:
        try:
            applied = {name for (name,) in connection.execute(_APPLIED.sqlite, (APP,))}
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return False
    return applied >= packaged_migrations()


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a lock on a file, because two processes that migrate an empty database would both create its tables."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def _advisory_lock(settings: Settings) -> AsyncIterator[None]:
    """Hold the lock on PostgreSQL. It ends with its connection, also after a crash."""
    connection = await asyncpg.connect(**parse_postgres_url(settings.database_url).connect)
    try:
        _refuse_encoding(await connection.fetchval("SHOW server_encoding"))
        # A lock of the transaction, not of the session: a pooler keeps sessions, and their locks, for other clients.
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
            yield
    finally:
        await connection.close()
