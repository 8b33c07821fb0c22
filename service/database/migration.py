"""Migrates the database. Safe if several processes start at the same time.

SQL by hand: beyond the ORM. Tortoise has no model for its own table of migrations.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.exceptions import OperationalError
from tortoise.migrations.api import migrate as run_migrations

import service.migrations
from service.database.connection import (
    APP,
    SQLITE_BUSY_TIMEOUT,
    configuration,
    postgres_credentials,
    refuse_unreachable,
)
from service.database.statements import Statement, fetch
from service.encryption import make_data_dir
from service.settings import Settings

_ADVISORY_LOCK = 0x446F6F72636F6465  # "Doorcode" in ASCII: unlikely to be used by another program
_APPLIED = Statement("SELECT name FROM tortoise_migrations WHERE app = $1")


async def migrate(settings: Settings) -> None:
    """Apply the missing migrations. Raises `SettingsError` if the database cannot be opened."""
    try:
        if settings.uses_sqlite:
            await _migrate_sqlite(settings)
        else:
            await _migrate_postgres(settings)
    except (OSError, asyncpg.PostgresError, OperationalError, sqlite3.Error) as error:
        raise refuse_unreachable(settings, error) from error


async def is_migrated() -> bool:
    """Return whether all migrations of this version are applied to the open database."""
    try:
        applied = {row["name"] for row in await fetch(_APPLIED, APP)}
    except (OperationalError, asyncpg.UndefinedTableError):
        return False
    return applied >= _packaged()


def _packaged() -> set[str]:
    return {path.stem for path in Path(service.migrations.__path__[0]).glob("[0-9]*.py")}


async def _migrate_sqlite(settings: Settings) -> None:
    """Migrate with foreign keys off: SQLite alters a table by making it again, and dropping the old one would cascade."""
    if settings.sqlite_path.parent == settings.data_dir:
        make_data_dir(settings.data_dir)
    with _file_lock(settings.sqlite_path.with_name(settings.sqlite_path.name + ".migrating")):
        _check_file(settings.sqlite_path)
        await _run(settings, engine="tortoise.backends.sqlite", foreign_keys="OFF")


async def _migrate_postgres(settings: Settings) -> None:
    async with _advisory_lock(settings):
        await _run(settings, engine="tortoise.backends.asyncpg")


async def _run(settings: Settings, *, engine: str, **overrides: object) -> None:
    async with TortoiseContext():
        await run_migrations(config=configuration(settings, engine=engine, **overrides), direction="forward")


def _check_file(path: Path) -> None:
    """Raise an error if the file is not a database, cannot be written or is locked. Tortoise would hang if opening fails."""
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT / 1000)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a lock on a file, because two processes that migrate an empty database would both create its tables."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def _advisory_lock(settings: Settings) -> AsyncIterator[None]:
    """Hold the lock on PostgreSQL. It ends with its connection, also after a crash."""
    credentials: dict[str, Any] = postgres_credentials(settings.database_url)
    for pool_option in ("minsize", "maxsize", "application_name", "command_timeout"):
        credentials.pop(pool_option, None)
    connection = await asyncio.wait_for(asyncpg.connect(**credentials), 30)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        yield
    finally:
        await connection.close()
