"""Migrations on databases with 50,000 users: no row is lost, and users can go on signing in meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.api import migrate as run_migrations

from service.database import Statement, fetch, migrate, open_database, write
from service.database.connection import configuration
from service.encryption import open_cipher
from service.instance import open_instance
from service.invariants import broken_invariants
from service.settings import Settings, load_settings
from tests.upgrades.releases import LAST_SWAP

OLD = "doorcode.0005_indexes"
USERS = 50_000
PATIENCE = 300.0  # seconds; a migration that reads each row takes a few, one that reads all for each row takes hours
LONGEST_LOCK = "5s"  # a request waits no longer for its answer than ten

_NUMBERS = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {USERS})"
_MOMENT = "'2026-01-01 00:00:00+00:00'"
_USERS = Statement(
    f"{_NUMBERS} INSERT INTO users (id, external_id, email, metadata, origin, role, status, session_epoch, search_text,"
    " created_at, last_seen_at)"
    " SELECT 'usr-' || n, 'crm-' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE 'user' || n || '@example.com' END,"
    """ '{"plan":"gold","number":' || n || '}', 'EXTERNAL_JWT', 'MEMBER',"""
    " CASE WHEN n % 10 = 0 THEN 'DEACTIVATED' ELSE 'ACTIVE' END, 0,"
    f" 'usr-' || n || ' crm-' || n || CASE WHEN n % 3 = 0 THEN '' ELSE ' user' || n || '@example.com' END, {_MOMENT}, {_MOMENT}"
    " FROM numbers"
)
_SESSIONS = Statement(
    "INSERT INTO sessions (id, token_hash, user_serial, user_epoch, method, method_epoch, carrier, created_at, expires_at,"
    " last_seen_at, ip_address, user_agent)"
    f" SELECT 's' || serial, 'hash' || serial, serial, 0, 'EXTERNAL_JWT', 0, 'BEARER', {_MOMENT}, '2099-01-01 00:00:00+00:00',"
    f" {_MOMENT}, '192.0.2.1', 'tests' FROM users"
)
_EVENTS = Statement(
    f"{_NUMBERS} INSERT INTO audit_events (id, action, actor, user_id, detail, count, ip_address, created_at)"
    """ SELECT 'event' || n, 'user.created', 'cli', 'usr-' || n, '{"origin": "EXTERNAL_JWT"}', 1, '2001:db8::1', """
    f"{_MOMENT} FROM numbers"
)
_SEATS = Statement(
    f"UPDATE seats SET active_external_jwt = {USERS - USERS // 10}, deactivated_external_jwt = {USERS // 10}"
)


async def migrate_to(settings: Settings, target: str) -> None:
    settings.data_dir.mkdir(exist_ok=True)
    engine = "tortoise.backends.sqlite" if settings.uses_sqlite else "service.database.postgres"
    overrides = {"foreign_keys": "OFF"} if settings.uses_sqlite else {}
    async with TortoiseContext():
        await run_migrations(
            config=configuration(settings, engine=engine, **overrides), direction="forward", target=target
        )


@pytest.fixture
async def filled(empty_database_url: str, tmp_path: Path) -> Settings:
    """A database as an old version left it."""
    settings = load_settings({"DOORCODE_DATABASE_URL": empty_database_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    await migrate_to(settings, OLD)
    async with open_database(settings):
        for statement in (_USERS, _SESSIONS, _EVENTS, _SEATS):
            await write(statement)
    return settings


async def _count(table: str, condition: str = "1 = 1") -> int:
    [row] = await fetch(Statement(f"SELECT count(*) AS number FROM {table} WHERE {condition}"))
    return int(row["number"])


async def test_no_row_is_lost(filled: Settings) -> None:
    async with asyncio.timeout(PATIENCE):
        await migrate(filled)
    async with open_instance(filled):
        whole = (
            "id = 'usr-' || substr(external_id, 5) AND search_text LIKE id || ' ' || external_id || '%'"
            " AND metadata LIKE '%gold%' AND metadata LIKE '%' || substr(external_id, 5) || '}'"
        )
        assert await _count("users", whole) == USERS
        assert await _count("users", "email = 'user' || substr(id, 5) || '@example.com'") == USERS - USERS // 3
        assert await _count("users", "email IS NULL AND claimed_email IS NULL") == USERS // 3
        assert await _count("users", "status = 'DEACTIVATED'") == USERS // 10
        matching = "token_hash = 'hash' || user_serial AND EXISTS (SELECT 1 FROM users WHERE serial = user_serial)"
        assert await _count("sessions", matching) == USERS
        assert await _count("audit_events", "user_id LIKE 'usr-%' AND network = '2001:db8::/64'") == USERS
        assert [fault async for fault in broken_invariants(open_cipher(filled))] == []


async def test_requests_go_on_while_a_filled_postgresql_is_migrated(empty_postgres_url: str, tmp_path: Path) -> None:
    """From the migration on after which old code has to run on the new schema."""
    environ = {"DOORCODE_DATABASE_URL": empty_postgres_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    settings = load_settings(environ)
    await migrate_to(settings, OLD)
    async with open_database(settings):
        for statement in (_USERS, _SESSIONS, _EVENTS, _SEATS):
            await write(statement)
    await migrate_to(settings, f"doorcode.{LAST_SWAP}")
    connection: Any = await asyncpg.connect(empty_postgres_url)
    done = asyncio.Event()

    async def sign_in_again_and_again() -> int:
        number = 0
        while not done.is_set():
            number = number % USERS + 1
            await connection.fetchrow("SELECT * FROM users WHERE id = $1", f"usr-{number}")
            await connection.execute("UPDATE users SET last_seen_at = now() WHERE id = $1", f"usr-{number}")
            await connection.execute("UPDATE sessions SET last_seen_at = now() WHERE id = $1", f"s{number}")
        return number

    try:
        await connection.execute(f"SET statement_timeout = '{LONGEST_LOCK}'")
        working = asyncio.create_task(sign_in_again_and_again())
        async with asyncio.timeout(PATIENCE):
            await migrate(settings)
        done.set()
        assert await working > 0
    finally:
        done.set()
        await connection.close()
