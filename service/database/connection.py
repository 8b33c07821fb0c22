"""Connects Tortoise to the database: one connection alias on SQLite or PostgreSQL, open as long as the process runs."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException, DBConnectionError, OperationalError

from service.database.database_file import DatabaseFileGoneError
from service.database.limited_reads import PoolBusyError
from service.database.postgres_pool import POOL_SIZE
from service.postgres_url import parse_postgres_url
from service.settings import Settings, SettingsError

ALIAS = "default"
APP = "doorcode"
MODELS = [
    "service.accounts.models",
    "service.api_keys.models",
    "service.audit.models",
    "service.branding.models",
    "service.email_login.models",
    "service.external_auth.models",
    "service.sessions.models",
]
SQLITE_BUSY_TIMEOUT = 5_000  # milliseconds that a writer of a command waits for another process's transaction


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the database may take, in seconds. A limit of zero is none."""

    answer: float = 30.0
    """From sending a statement to its result, so that requests do not pile up behind a database that does not answer."""
    connection: float = 10.0
    """Until a connection of the pool is free."""
    lock: float = 0.0
    """Until another transaction gives a lock back."""
    statement: float = 0.0
    """Of the server's work on one statement."""

    @classmethod
    def of_requests(cls, longest: float) -> "Bounds":
        """Return the bounds for requests that are answered within `longest` seconds.

        Each wait ends earlier than the request, so that its own cause is told.
        """
        return cls(answer=longest, connection=0.8 * longest, lock=0.5 * longest, statement=0.8 * longest)


def configuration(
    settings: Settings, bounds: Bounds | None = None, /, *, engine: str | None = None, **overrides: object
) -> dict[str, Any]:
    """Return Tortoise's configuration for these settings. Migrations use an engine of their own."""
    bounds = bounds or Bounds()
    if settings.uses_sqlite:
        default_engine, credentials = "service.database.sqlite", sqlite_credentials(str(settings.sqlite_path), bounds)
    else:
        default_engine, credentials = "service.database.postgres", postgres_credentials(settings.database_url, bounds)
    return {
        "connections": {ALIAS: {"engine": engine or default_engine, "credentials": {**credentials, **overrides}}},
        "apps": {APP: {"models": MODELS, "migrations": "service.migrations", "default_connection": ALIAS}},
        "use_tz": True,
        "timezone": "UTC",
    }


def sqlite_credentials(path: str, bounds: Bounds) -> dict[str, object]:
    """Return the options of the connection. Tortoise takes unknown options for PRAGMAs.

    In WAL mode `synchronous=NORMAL` loses no commit if the process crashes.
    """
    return {
        "file_path": path,
        "busy_timeout": round(bounds.lock * 1000) or SQLITE_BUSY_TIMEOUT,
        "journal_mode": "WAL",
        "synchronous": "NORMAL",
        "foreign_keys": "ON",
        "secure_delete": "ON",  # what is deleted is overwritten, as the SQLite of most Linux systems does anyway
        "journal_size_limit": 64 * 1024 * 1024,
        "cache_size": -65_536,  # KiB
    }


def postgres_credentials(url: str, bounds: Bounds) -> dict[str, object]:
    """Return the credentials of `service.database.postgres`, which hands `connect` to asyncpg."""
    parsed = parse_postgres_url(url)
    limits = {"lock_timeout": round(bounds.lock * 1000), "statement_timeout": round(bounds.statement * 1000)}
    return {
        "connect": {**parsed.connect, "command_timeout": bounds.answer},
        "longest_wait": bounds.connection,
        "limits": {name: milliseconds for name, milliseconds in limits.items() if milliseconds},
        "transaction_pooling": parsed.transaction_pooling,
        "minsize": 1,
        "maxsize": POOL_SIZE,
    }


class DatabaseUnavailable(SettingsError):
    """The database cannot do its work now, but may a moment later: it does not run yet, or is locked."""


@asynccontextmanager
async def open_database(settings: Settings, bounds: Bounds | None = None) -> AsyncIterator[TortoiseContext]:
    """Open the database for the whole process. Only one can be open at a time.

    The context is Tortoise's global fallback, because uvicorn runs the lifespan and the requests in different tasks.
    """
    async with TortoiseContext() as context:  # it closes the connections: a SQLite thread would keep the process alive
        await context.init(config=configuration(settings, bounds), _enable_global_fallback=True)
        yield context


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error means that the database cannot do its work now; false for a wrong statement."""
    return cause_of_outage(error) is not None


def cause_of_outage(error: BaseException) -> str | None:
    """Return in one word why the database cannot do its work now, or None if the error means something else."""
    if isinstance(error, DatabaseUnavailable) and error.__cause__ is not None:
        error = error.__cause__
    while isinstance(error, BaseORMException) and error.args and isinstance(error.args[0], Exception):
        error = error.args[0]  # Tortoise wraps the driver's error
    if isinstance(error, sqlite3.Error):
        return _SQLITE_CAUSES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)  # the low byte is the kind
    for kinds, cause in _CAUSES:
        if isinstance(error, kinds):
            return cause
    return None


_SQLITE_CAUSES = {
    sqlite3.SQLITE_PERM: "no-permission",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "io-error",
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_CANTOPEN: "unreachable",
}
_CAUSES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (PoolBusyError, "busy"),
    (asyncpg.LockNotAvailableError, "locked"),
    (asyncpg.QueryCanceledError, "too-slow"),  # by `statement_timeout`
    (asyncpg.InvalidCachedStatementError, "changed"),  # a migration has changed a table in the middle of a transaction
    (DatabaseFileGoneError, "file-gone"),
    # The second is raised if no host is what `target_session_attrs` asks for, as in the seconds of a failover.
    ((asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched), "read-only"),
    (asyncpg.InsufficientPrivilegeError, "no-permission"),
    (asyncpg.DiskFullError, "disk-full"),
    (asyncpg.PostgresSystemError, "io-error"),
    (
        (
            OSError,
            asyncio.TimeoutError,
            DBConnectionError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,  # class 57: it starts, stops, or has crashed
            asyncpg.IdleInTransactionSessionTimeoutError,
            asyncpg.InsufficientResourcesError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ),
        "unreachable",
    ),
)
_PASSING_ON_SQLITE = {"locked", "disk-full"}
_PASSING_ON_POSTGRES = {"unreachable", "busy", "read-only", "disk-full", "io-error"}


def refuse_unreachable(settings: Settings, error: BaseException) -> SettingsError:
    """Return the error for the operator if the database cannot be opened. It never contains the password."""
    where = str(settings.sqlite_path) if settings.uses_sqlite else parse_postgres_url(settings.database_url).where
    if _is_of_a_pooler(error):
        return SettingsError(
            f"DOORCODE_DATABASE_URL: at {where} is a connection pooler in transaction mode, such as pgbouncer; "
            "add pgbouncer=true to the parameters of the URL"
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    # SQLite's file is local: where it cannot be opened, the setting is wrong.
    passing = _PASSING_ON_SQLITE if settings.uses_sqlite else _PASSING_ON_POSTGRES
    kind = DatabaseUnavailable if cause_of_outage(error) in passing else SettingsError
    return kind(f"DOORCODE_DATABASE_URL: the database at {where} cannot be opened or brought up to date: {reason}")


def _is_of_a_pooler(error: BaseException) -> bool:
    """Return whether a prepared statement was lost or found unexpectedly, as between sessions of a pooler."""
    cause = error.__cause__ if isinstance(error, OperationalError) else error
    return isinstance(cause, asyncpg.DuplicatePreparedStatementError | asyncpg.InvalidSQLStatementNameError)
