"""Moves an embedded database to an empty PostgreSQL: copies every table in parts, then compares counts and checksums.

No write is lost. The SQLite file is locked as long as the move runs, and afterwards no server opens it any more. No server
starts on the target before the move is complete. A part and the note of how far the copy has come are one transaction, so a
move that was killed goes on where it ended; if the file has changed meanwhile, it starts again.

Its SQL runs on the two drivers directly: each statement is for one of them, and Tortoise has one database open at a time.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg

from service.database.migration import MOVE_UNDER_WAY, MOVED, packaged_migrations
from service.postgres_url import parse_postgres_url
from service.settings import Settings, SettingsError

PART = 5_000  # rows that are in memory at a time
_VERIFIED = (
    "verified"  # in place of the fingerprint: nothing is left but to say on both sides that the move is complete
)
Progress = Callable[[str, int, int], None]
"""Is told what is done, how many rows of it, and how many there are."""

_NOTES = "doorcode_move"
_CONVERT: dict[str, Callable[[Any], Any]] = {
    "boolean": bool,
    "date": date.fromisoformat,
    "timestamp with time zone": datetime.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: str
    columns: tuple[str, ...]
    convert: tuple[Callable[[Any], Any] | None, ...]

    def row(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the values of SQLite as PostgreSQL has them."""
        return tuple(
            value if value is None or convert is None else convert(value)
            for value, convert in zip(values, self.convert, strict=True)
        )


async def move(settings: Settings, target_url: str, tell: Progress) -> int:
    """Copy the embedded database to an empty, migrated PostgreSQL, and return the number of rows.

    Raises `SettingsError`, with nothing lost, if a server has the file open, if the target has data of its own, or if what
    was copied differs.
    """
    if not settings.uses_sqlite:
        raise SettingsError("DOORCODE_DATABASE_URL: this database is PostgreSQL already; move takes an embedded one")
    with _locked(settings.sqlite_path) as source:
        try:
            target = await asyncpg.connect(**parse_postgres_url(target_url).connect)
        except (ValueError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SettingsError(f"--to: this database cannot be opened: {error}") from error
        try:
            return await _move(source, target, _fingerprint(settings.sqlite_path), tell)
        except asyncpg.PostgresError as error:
            raise SettingsError(f"--to: the database refused: {error}. Run the command again.") from error
        finally:
            await target.close()


@contextmanager
def _locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file alone. Leaving WAL mode needs the only connection, and the transaction keeps others out."""
    if not path.exists():
        raise SettingsError(f"DOORCODE_DATABASE_URL: there is no database at {path}")
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)) as source:
        try:
            source.execute("PRAGMA journal_mode=DELETE")
            source.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise SettingsError(f"{path} is in use. Stop the server first. ({error})") from error
        yield source


def _fingerprint(path: Path) -> str:
    """Return what changes with every change of the file: its size and its change counter (fileformat2.html, 1.3.7)."""
    with path.open("rb") as file:
        header = file.read(28)
    return f"{path.stat().st_size}-{header[24:28].hex()}"


async def _move(source: sqlite3.Connection, target: Any, fingerprint: str, tell: Progress) -> int:
    here = {name for (name,) in source.execute("SELECT name FROM tortoise_migrations WHERE app = 'doorcode'")}
    if MOVED in here and await _note(target) == _VERIFIED:
        return await _finish(target)  # it was killed in the last moment
    await _check_versions(here, target)
    tables = await _tables(source, target)
    await _begin(target, tables, fingerprint)
    for table in tables:
        await _copy(source, target, table, tell)
    for table in tables:
        await _compare(source, target, table, tell)
    async with target.transaction():
        await _set_sequences(source, target, tables)
        await target.execute(f"UPDATE {_NOTES} SET fingerprint = $1", _VERIFIED)
    applied = "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('doorcode', ?, CURRENT_TIMESTAMP)"
    source.execute(applied, [MOVED])
    source.execute("COMMIT")
    return await _finish(target)


async def _finish(target: Any) -> int:
    """Let servers start on the target, and return how many rows were moved."""
    async with target.transaction():
        rows: int = await target.fetchval(f"SELECT SUM(rows)::bigint FROM {_NOTES}")
        await target.execute("DELETE FROM tortoise_migrations WHERE name = $1", MOVE_UNDER_WAY)
        await target.execute(f"DROP TABLE {_NOTES}")
    return rows


async def _note(target: Any) -> str | None:
    """Return the fingerprint of the file of which a move is under way, or None."""
    if await target.fetchval("SELECT to_regclass($1)", _NOTES) is None:
        return None
    return str(await target.fetchval(f"SELECT MIN(fingerprint) FROM {_NOTES}"))


async def _check_versions(here: set[str], target: Any) -> None:
    if MOVED in here:
        raise SettingsError("DOORCODE_DATABASE_URL: this database was moved already")
    if here != packaged_migrations():
        raise SettingsError("DOORCODE_DATABASE_URL: this database is not up to date; run: doorcode migrate")
    try:
        there = {
            row["name"] for row in await target.fetch("SELECT name FROM tortoise_migrations WHERE app = 'doorcode'")
        }
    except asyncpg.UndefinedTableError:
        there = set()
    if there - {MOVE_UNDER_WAY} != here:
        raise SettingsError(
            "--to: this database is not up to date; with its URL as DOORCODE_DATABASE_URL, run: doorcode migrate"
        )


async def _tables(source: sqlite3.Connection, target: Any) -> list[_Table]:
    """Return the tables of the service. Raises `SettingsError` if the databases have different ones."""
    types: dict[str, dict[str, str]] = {}
    for row in await target.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()"
    ):
        types.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    found = []
    for (name,) in source.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        " AND name NOT LIKE 'users!_search%' ESCAPE '!' AND name <> 'tortoise_migrations' ORDER BY name"
    ).fetchall():
        columns = source.execute("SELECT name, pk FROM pragma_table_info(?)", [name]).fetchall()
        names = tuple(column for column, _ in columns)
        if set(names) != types.get(name, {}).keys():
            raise SettingsError(f"--to: the table {name} has other columns there; migrate both databases first")
        key = next(column for column, is_key in columns if is_key)
        found.append(_Table(name, key, names, tuple(_CONVERT.get(types[name][column]) for column in names)))
    return found


async def _begin(target: Any, tables: Iterable[_Table], fingerprint: str) -> None:
    """Begin, or go on with, a move of this file. Raises `SettingsError` if the target has data of its own."""
    under_way = await _note(target)
    if under_way == fingerprint:
        return
    async with target.transaction():
        if under_way is None:
            await _require_empty(target, tables)
            await target.execute(
                f"CREATE TABLE {_NOTES} (name TEXT PRIMARY KEY, last_key TEXT, rows BIGINT, fingerprint TEXT)"
            )
            await target.execute(
                "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('doorcode', $1, CURRENT_TIMESTAMP)",
                MOVE_UNDER_WAY,
            )
        await target.execute(f"DELETE FROM {_NOTES}")
        for table in tables:
            await target.execute(f"TRUNCATE TABLE {table.name}")
            await target.execute(f"INSERT INTO {_NOTES} VALUES ($1, NULL, 0, $2)", table.name, fingerprint)


async def _require_empty(target: Any, tables: Iterable[_Table]) -> None:
    for table in tables:
        # Migrations make the only row of some tables, such as that of the seats, with the number 1.
        is_data = f"SELECT EXISTS (SELECT 1 FROM {table.name} WHERE {table.key}::text <> '1')"
        if await target.fetchval(is_data):
            raise SettingsError(
                f"--to: this database is not empty: {table.name} has rows; give a new one, just migrated"
            )


async def _copy(source: sqlite3.Connection, target: Any, table: _Table, tell: Progress) -> None:
    total: int = source.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()[0]
    note = await target.fetchrow(f"SELECT last_key, rows FROM {_NOTES} WHERE name = $1", table.name)
    done, last = note["rows"], note["last_key"]
    place = table.columns.index(table.key)
    while rows := await asyncio.to_thread(_part, source, table, last):
        async with target.transaction():
            try:
                await target.copy_records_to_table(
                    table.name, records=[table.row(row) for row in rows], columns=table.columns
                )
            except (asyncpg.DataError, ValueError) as error:
                raise SettingsError(
                    f"A row of the table {table.name} cannot be stored in PostgreSQL: {error}"
                ) from error
            done, last = done + len(rows), str(rows[-1][place])
            await target.execute(
                f"UPDATE {_NOTES} SET last_key = $1, rows = $2 WHERE name = $3", last, done, table.name
            )
        tell(f"Copying {table.name}", done, total)


def _part(source: sqlite3.Connection, table: _Table, last: str | None) -> list[Sequence[Any]]:
    """Return the next rows in the order of the key. `last` is compared as the column is: as a number or as a text."""
    where, values = ("", []) if last is None else (f"WHERE {table.key} > ?", [last])
    columns = ", ".join(table.columns)
    return source.execute(
        f"SELECT {columns} FROM {table.name} {where} ORDER BY {table.key} LIMIT {PART}", values
    ).fetchall()


async def _compare(source: sqlite3.Connection, target: Any, table: _Table, tell: Progress) -> None:
    """Raise `SettingsError` unless both databases have the same rows. The checksum does not depend on their order."""
    columns = ", ".join(table.columns)
    expected, number, checksum, there = 0, 0, 0, 0
    rows = source.execute(f"SELECT {columns} FROM {table.name}")
    while part := await asyncio.to_thread(rows.fetchmany, PART):
        expected, number = expected + sum(_hash(table.row(row)) for row in part), number + len(part)
    async with target.transaction():
        cursor = await target.cursor(f"SELECT {columns} FROM {table.name}")
        while part := await cursor.fetch(PART):
            checksum, there = checksum + sum(_hash(tuple(row)) for row in part), there + len(part)
            tell(f"Comparing {table.name}", there, number)
    if (expected, number) != (checksum, there):
        raise SettingsError(
            f"The table {table.name} differs: {number} rows here, {there} there. Nothing was changed here. Report this, and give "
            "a new database to try again."
        )


def _hash(row: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=8).digest())


async def _set_sequences(source: sqlite3.Connection, target: Any, tables: Iterable[_Table]) -> None:
    """Let numbers go on where they ended: a serial is never used twice, not even that of a deleted user."""
    used = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    for table in tables:
        sequence = await target.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, table.key)
        if sequence is not None and (last := used.get(table.name)):
            await target.execute("SELECT setval($1::text::regclass, $2)", sequence, last)
