"""Connects Tortoise to the database: one connection alias on SQLite or PostgreSQL, open as long as the process runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.exceptions import DBConnectionError

from service.settings import Settings, SettingsError

ALIAS = "default"
APP = "doorcode"
MODELS = [
    "service.accounts.models",
    "service.api_keys.models",
    "service.audit.models",
    "service.email_login.models",
    "service.external_auth.models",
    "service.sessions.models",
]
POOL_SIZE = 10  # connections in each process; a request holds one for a few milliseconds
QUERY_TIMEOUT = 30.0  # seconds, so that requests do not pile up behind a database that does not answer
SQLITE_BUSY_TIMEOUT = 5_000  # milliseconds that a writer waits for another process's transaction


def configuration(settings: Settings, *, engine: str | None = None, **overrides: object) -> dict[str, Any]:
    """Return Tortoise's configuration for these settings. Migrations use an engine of their own."""
    if settings.uses_sqlite:
        default_engine, credentials = "service.database.sqlite", sqlite_credentials(str(settings.sqlite_path))
    else:
        default_engine, credentials = "service.database.postgres", postgres_credentials(settings.database_url)
    return {
        "connections": {ALIAS: {"engine": engine or default_engine, "credentials": {**credentials, **overrides}}},
        "apps": {APP: {"models": MODELS, "migrations": "service.migrations", "default_connection": ALIAS}},
        "use_tz": True,
        "timezone": "UTC",
    }


def sqlite_credentials(path: str) -> dict[str, object]:
    """Return the options of the connection. Tortoise takes unknown options for PRAGMAs.

    In WAL mode `synchronous=NORMAL` loses no commit if the process crashes.
    """
    return {
        "file_path": path,
        "busy_timeout": SQLITE_BUSY_TIMEOUT,
        "journal_mode": "WAL",
        "synchronous": "NORMAL",
        "foreign_keys": "ON",
        "journal_size_limit": 64 * 1024 * 1024,
        "cache_size": -65_536,  # KiB
    }


def postgres_credentials(url: str) -> dict[str, object]:
    """Parts of the URL, percent-decoded; its query string (sslmode, …) goes to asyncpg as it is."""
    parts = urlsplit(url)
    options: dict[str, object] = {"ssl" if k == "sslmode" else k: v for k, v in parse_qsl(parts.query)}
    return {
        "host": parts.hostname,
        "port": parts.port or 5432,
        "user": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "database": unquote(parts.path.lstrip("/")),
        "minsize": 1,
        "maxsize": POOL_SIZE,
        "command_timeout": QUERY_TIMEOUT,
        "application_name": "doorcode",
        **options,
    }


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[TortoiseContext]:
    """The database, open for the whole process: one at a time.

    The context is Tortoise's global fallback, because uvicorn runs the lifespan and the requests in different tasks.
    """
    async with (
        TortoiseContext() as context
    ):  # closes on the way out: an open SQLite thread would keep the process from ending
        await context.init(config=configuration(settings), _enable_global_fallback=True)
        yield context


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error means that the database cannot be reached or does not answer; false for a wrong statement."""
    return isinstance(
        error,
        OSError
        | asyncio.TimeoutError
        | DBConnectionError
        | asyncpg.PostgresConnectionError
        | asyncpg.CannotConnectNowError
        | asyncpg.AdminShutdownError
        | asyncpg.TooManyConnectionsError
        | asyncpg.InterfaceError,
    )


def refuse_unreachable(settings: Settings, error: BaseException) -> SettingsError:
    """Return the error for the operator if the database cannot be opened at the start. It never contains the password."""
    where = str(settings.sqlite_path) if settings.uses_sqlite else urlsplit(settings.database_url).hostname
    return SettingsError(
        f"DOORCODE_DATABASE_URL: the database at {where} cannot be opened or brought up to date: {error}"
    )
