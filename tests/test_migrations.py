"""Migrations: what they promise is in the database, and any number of processes may run them at once."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError
from tortoise.migrations.api import migrate as run_migrations

from service.accounts.directory import UserFilter, UserOrder, list_users
from service.accounts.metadata import dump_metadata
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.audit.models import AuditEvent
from service.database import Statement, fetch, is_migrated, migrate, open_database, transaction, write
from service.database.connection import ALIAS, configuration
from service.instance import Instance, open_instance
from service.paging import Slice
from service.settings import Settings, SettingsError, load_settings
from tests.actions import TABLES, rows
from tests.processes import ROOT
from tests.programs import Programs

UNIQUE = {
    "api_keys": {("id",), ("token_hash",)},
    "audit_events": {("id",), ("fold_key",)},
    "external_auth": {("id",)},
    "jwt_secrets": {("id",)},
    "seat_samples": {("day",)},
    "seats": {("id",)},
    "session_cutoffs": {("scope",)},
    "sessions": {("id",), ("token_hash",)},
    "signing_keys": {("kid",), ("state",)},
    "used_codes": {("id",)},
    "users": {("serial",), ("id",), ("external_id",), ("email",)},
}
INDEXED = {
    "audit_events": {
        *(("created_at", "id"), ("user_id", "created_at"), ("action", "created_at"), ("secret_id", "created_at")),
        *(("actor", "created_at"), ("network", "created_at"), ("reference",)),
    },
    "sessions": {("user_serial", "id"), ("expires_at",)},
    "used_codes": {("expires_at",)},
    "users": {("created_at", "id"), ("last_seen_at", "id")},
}


def settings_for(url: str, tmp_path: Path) -> Any:
    return load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


async def _indexes(table: str) -> dict[tuple[str, ...], bool]:
    """The columns of each index, and whether it is unique."""
    connection: Any = get_connection(ALIAS)
    found: dict[tuple[str, ...], bool] = {}
    if connection.capabilities.dialect == "sqlite":
        for index in await fetch(Statement(f"PRAGMA index_list({table})")):
            columns = await fetch(Statement(f"PRAGMA index_info({index['name']})"))
            found[tuple(column["name"] for column in columns)] = bool(index["unique"])
        for column in await fetch(Statement(f"PRAGMA table_info({table})")):
            if column["pk"]:
                found[column["name"],] = True
        return found
    for index in await fetch(Statement("SELECT indexdef FROM pg_indexes WHERE tablename = $1"), table):
        listed = re.search(r"USING (?:btree|gin) \((.*?)\)", index["indexdef"])
        assert listed
        names = tuple(name.strip().split(" ")[0] for name in listed[1].split(","))
        found[names] = index["indexdef"].startswith("CREATE UNIQUE") or found.get(names, False)
    return found


async def test_every_promised_index_and_constraint_exists(database_url: str, tmp_path: Path) -> None:
    async with open_database(settings_for(database_url, tmp_path)):
        for table, wanted in UNIQUE.items():
            found = await _indexes(table)
            assert {columns for columns, unique in found.items() if unique} >= wanted, table
            assert set(found) >= INDEXED.get(table, set()), table  # type: ignore[operator]


async def test_rows_that_there_may_be_one_of_are_there_and_stay_one(database_url: str, tmp_path: Path) -> None:
    async with open_database(settings_for(database_url, tmp_path)):
        for table in ("seats", "external_auth"):
            assert len(await rows(table)) == 1
            assert (await rows(table))[0]["id"] == 1
        key = "INSERT INTO signing_keys (kid, state, encrypted_private_key, public_jwk, created_at) VALUES ('%s', '%s', '', '', '2030-01-01 00:00:00+00:00')"
        for state in ("CURRENT", "NEXT"):
            await write(Statement(key % (f"1{state}", state)))
            with pytest.raises(IntegrityError):
                await write(Statement(key % (f"2{state}", state)))
        for number in range(2):
            await write(Statement(key % (f"{number}RETIRED", "RETIRED")))


async def test_serial_of_a_deleted_user_is_never_used_again(database_url: str, tmp_path: Path) -> None:
    """Or a session of the one would be a session of the other."""
    insert = Statement(
        "INSERT INTO users (id, metadata, origin, role, status, session_epoch, search_text, created_at)"
        " VALUES ('a', '{}', 'EMAIL', 'MEMBER', 'ACTIVE', 0, '', '2030-01-01 00:00:00+00:00')"
    )
    async with open_database(settings_for(database_url, tmp_path)):
        serials = []
        for _ in range(3):
            await write(insert)
            serials.append((await rows("users"))[0]["serial"])
            await write(Statement("DELETE FROM users"))
        assert serials == sorted(set(serials))


async def test_text_is_ordered_by_its_bytes_everywhere(database_url: str, tmp_path: Path) -> None:
    async with open_database(settings_for(database_url, tmp_path)):
        for user_id in ("b", "B", "a", "\u00e9", "_", "A", "z"):
            await write(
                Statement(
                    "INSERT INTO users (id, metadata, origin, role, status, session_epoch, search_text, created_at)"
                    " VALUES ($1, '{}', 'EMAIL', 'MEMBER', 'ACTIVE', 0, '', '2030-01-01 00:00:00+00:00')"
                ),
                user_id,
            )
        await write(Statement("UPDATE users SET email = id, external_id = id"))
        for column in ("id", "external_id", "email"):
            found = [row["id"] for row in await fetch(Statement(f"SELECT id FROM users ORDER BY {column}"))]
            assert found == ["A", "B", "_", "a", "b", "z", "\u00e9"], column


async def migrate_up_to(name: str, settings: Settings) -> None:
    settings.data_dir.mkdir(exist_ok=True)
    engine = "tortoise.backends.sqlite" if settings.uses_sqlite else "service.database.postgres"
    overrides = {"foreign_keys": "OFF"} if settings.uses_sqlite else {}
    before = configuration(settings, engine=engine, **overrides)
    async with TortoiseContext():
        await run_migrations(config=before, target=f"doorcode.{name}", direction="forward")


async def test_addresses_that_were_shown_before_the_upgrade_stay_shown_and_stay_what_they_are(
    empty_database_url: str, tmp_path: Path
) -> None:
    settings = settings_for(empty_database_url, tmp_path)
    await migrate_up_to("0020_access_until", settings)
    insert = Statement(
        "INSERT INTO users (id, email, verified_email, metadata, origin, role, status, session_epoch, search_text, created_at)"
        " VALUES ($1, $2, $3, '{}', 'EMAIL', 'MEMBER', 'ACTIVE', 0, $4, '2030-01-01 00:00:00+00:00')"
    )
    people = (
        ("verified", "ada@example.com", "ada@example.com"),
        ("claimed", "ada@example.com", None),
        ("claimed-too", "Bob@example.com", None),
        ("without", None, None),
    )
    async with open_database(settings):
        for user_id, shown, verified in people:
            await write(insert, user_id, shown, verified, f"\n{user_id}\n{shown or ''}")
    await migrate(settings)
    async with open_database(settings):
        for user_id, shown, verified in people:
            found = await User.get(id=user_id)
            assert (found.shown_email, found.email, found.email_verified) == (shown, verified, verified is not None)
            assert found.claimed_email == (None if verified else shown)
        for wanted, expected in (
            (UserFilter(), ["claimed-too", "claimed", "verified", "without"]),
            (UserFilter(email="ada@example.com"), ["claimed", "verified"]),
            (UserFilter(search="ada@exam"), ["claimed", "verified"]),
        ):
            page = await list_users(wanted, UserOrder.EMAIL_ASC).page(Slice())
            assert [row["id"] for row in page.rows] == expected
        with pytest.raises(IntegrityError):
            await write(Statement("UPDATE users SET email = 'ada@example.com' WHERE id = 'without'"))


async def test_addresses_of_users_before_the_upgrade_are_verified(empty_database_url: str, tmp_path: Path) -> None:
    settings = settings_for(empty_database_url, tmp_path)
    await migrate_up_to("0007_key_scope_users", settings)
    insert = (
        "INSERT INTO users (id, email, metadata, origin, role, status, session_epoch, search_text, created_at)"
        " VALUES ('%s', %s, '{}', 'EMAIL', 'MEMBER', 'ACTIVE', 0, '', '2030-01-01 00:00:00+00:00')"
    )
    async with open_database(settings):
        for user_id, email in (("a", "'ada@example.com'"), ("b", "NULL"), ("c", "NULL"), ("d", "'eve@example.com'")):
            await write(Statement(insert % (user_id, email)))
        await write(Statement("DELETE FROM users WHERE id = 'd'"))
        compact = '{"a":{"plan":"gold","l":[1,{"x":2}]},"b":1}'
        await write(Statement("UPDATE users SET metadata = $1 WHERE id = 'a'"), compact)
        serials = [row["serial"] for row in await rows("users")]
    await migrate(settings)
    async with open_database(settings):
        found = {row["id"]: (row["email"], row["claimed_email"]) for row in await rows("users")}
        assert found == {"a": ("ada@example.com", None), "b": (None, None), "c": (None, None)}
        [row] = await rows("users", "WHERE id = 'a'")
        assert row["metadata"] == dump_metadata(json.loads(compact)) != compact, "the filter finds no inner members"
        assert (row["code_groups"], row["admin_groups"]) == ("[]", "[]")
        with pytest.raises(IntegrityError):
            await write(Statement("UPDATE users SET email = 'ada@example.com' WHERE id = 'b'"))
        await write(Statement("UPDATE users SET claimed_email = 'ada@example.com' WHERE id = 'b'"))
        await write(Statement(insert % ("e", "NULL")))
        assert (await rows("users", "WHERE id = 'e'"))[0]["serial"] > max(serials) + 1, "a serial is never used twice"
        assert (await rows("external_auth"))[0]["trust_emails"]


async def test_tables_are_those_that_the_tests_look_at(database_url: str, tmp_path: Path) -> None:
    async with open_database(settings_for(database_url, tmp_path)):
        connection: Any = get_connection(ALIAS)
        if connection.capabilities.dialect == "sqlite":
            names = Statement(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                " AND name NOT LIKE 'users!_search%' ESCAPE '!'"  # the search index
            )
        else:
            names = Statement("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        assert {row["name"] for row in await fetch(names)} - {"tortoise_migrations"} == set(TABLES)


async def test_migrating_again_changes_nothing(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path)
    async with open_database(settings):
        before = [dict(row) for row in await rows("tortoise_migrations")]
    await migrate(settings)
    async with open_database(settings):
        assert [dict(row) for row in await rows("tortoise_migrations")] == before
        assert await is_migrated()


def test_several_processes_migrate_an_empty_database_at_once(
    empty_database_url: str, tmp_path: Path, programs: Programs
) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DOORCODE_DATABASE_URL": empty_database_url,
        "DOORCODE_DATA_DIR": str(tmp_path / "data"),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "service", "migrate"],
            env=environ,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    ended = [(process.communicate(), process.returncode) for process in started]
    assert [status for _, status in ended] == [0] * 4, ended
    assert {output for (output, _), _ in ended} == {""}
    assert {errors for (_, errors), _ in ended} == {"The database is up to date.\n"}


async def test_postgresql_that_is_not_migrated_is_told_what_to_run(empty_postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^DOORCODE_DATABASE_URL: .*doorcode migrate$"):
        async with open_instance(settings_for(empty_postgres_url, tmp_path)):
            pass


async def test_sqlite_migrates_by_itself(empty_sqlite_url: str, tmp_path: Path) -> None:
    async with open_instance(settings_for(empty_sqlite_url, tmp_path)):
        assert await is_migrated()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///nowhere/at/all/doorcode.sqlite3",
        "postgres://doorcode:hunter2@127.0.0.1:1/doorcode",
        "postgres://doorcode:hunter2@nowhere.invalid/doorcode",
    ],
)
async def test_database_that_cannot_be_reached_is_one_line_without_the_password(url: str, tmp_path: Path) -> None:
    for attempt in (migrate, _open):
        with pytest.raises(SettingsError) as refused:
            await attempt(settings_for(url, tmp_path))
        assert str(refused.value).startswith("DOORCODE_DATABASE_URL: the database at ")
        assert "hunter2" not in str(refused.value)
        assert "\n" not in str(refused.value)


async def _open(settings: Any) -> None:
    async with open_instance(settings):
        pass


async def test_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "doorcode.sqlite3").write_bytes(b"not a database at all, only some text" * 100)
    for attempt in (migrate, _open):
        async with asyncio.timeout(60):
            with pytest.raises(
                SettingsError, match=r"^DOORCODE_DATABASE_URL: the database at .* file is not a database$"
            ):
                await attempt(settings_for(f"sqlite://{tmp_path}/doorcode.sqlite3", tmp_path))


async def test_directory_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(
            SettingsError, match=r"^DOORCODE_DATABASE_URL: .* is a directory; write the path of a file$"
        ):
            await _open(settings_for(f"sqlite://{tmp_path}", tmp_path))


async def test_file_that_another_program_keeps_locked_is_one_line(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path)
    other = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        async with asyncio.timeout(60):
            with pytest.raises(SettingsError, match=r"^DOORCODE_DATABASE_URL: the database at .* database is locked$"):
                await _open(settings)
    finally:
        other.close()


async def test_events_from_before_there_were_networks_get_theirs(instance: Instance) -> None:
    addresses = {None: None, "192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "2001:db8::2": "2001:db8::/64"}
    async with transaction():
        for address in addresses:
            await record(Action.USER_UPDATED, Actor("cli", address))
        await AuditEvent.all().update(network=None)
        editor = SimpleNamespace(client=get_connection(ALIAS))
        await import_module("service.migrations.0014_audit_networks").fill_networks(None, editor)
    assert {event.ip_address: event.network for event in await AuditEvent.all()} == addresses


async def test_users_from_before_the_upgrade_are_found_by_their_names(empty_database_url: str, tmp_path: Path) -> None:
    settings = settings_for(empty_database_url, tmp_path)
    await migrate_up_to("0024_erasures", settings)
    insert = Statement(
        "INSERT INTO users (id, metadata, origin, role, status, session_epoch, search_text, created_at)"
        " VALUES ($1, $2, 'EXTERNAL_JWT', 'MEMBER', 'ACTIVE', 0, $3, '2030-01-01 00:00:00+00:00')"
    )
    people: tuple[tuple[str, Any, str], ...] = (
        ("ada", {"name": "Ada \n Lovelace"}, "\nada\nada lovelace"),
        ("dana", {"plan": 1, "name": "דנה"}, "\ndana\nדנה"),
        ("inner", {"person": {"name": "Grace"}}, "\ninner"),
        ("number", {"name": 7}, "\nnumber"),
        ("none", {}, "\nnone"),
    )
    async with open_database(settings):
        for user_id, metadata, _ in people:
            await write(insert, user_id, dump_metadata(metadata), f"\n{user_id}")
    await migrate(settings)
    async with open_database(settings):
        assert {row["id"]: row["search_text"] for row in await rows("users")} == {
            user_id: text for user_id, _, text in people
        }
        page = await list_users(UserFilter(search="lovel"), UserOrder.CREATED_AT_ASC).page(Slice())
        assert [row["id"] for row in page.rows] == ["ada"]
