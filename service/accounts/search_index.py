"""The trigram index for the search of users: FTS5 on SQLite, `pg_trgm` on PostgreSQL.

A search at 1,000,000 users takes about 1 ms of CPU by it, and 150 to 400 ms without it.

On SQLite the index is a table of its own, which has the trigrams but not the texts, and triggers keep it. SQLite drops
triggers with the table that a migration rebuilds, and a database file may come from a computer whose SQLite lacks FTS5.
So every start compares the triggers and makes the index again if they are not as they should be.

On PostgreSQL the extension needs the right CREATE on the database. Without it the migration leaves the index out.

SQL by hand: beyond the ORM. Tortoise knows no virtual tables, triggers or operator classes.
"""

import sqlite3
from typing import Any

import structlog
from tortoise.exceptions import OperationalError

from service.database import Statement, fetch, on_sqlite, transaction, write

_log = structlog.get_logger()

_OLDEST_SQLITE = (3, 34, 0)  # the first with the tokenizer `trigram`
_WITHOUT_FTS5 = "SQLite has no FTS5 with trigrams: use SQLite 3.34 or newer, built with FTS5."
_WITHOUT_PG_TRGM = (
    "PostgreSQL has no index: as a user with the right CREATE on the database, run CREATE EXTENSION pg_trgm;"
    " CREATE INDEX CONCURRENTLY users_by_search_text ON users USING gin (search_text gin_trgm_ops);"
)

_TABLE = Statement(
    "CREATE VIRTUAL TABLE users_search USING fts5(search_text, content='users', content_rowid='serial',"
    " tokenize='trigram case_sensitive 1', detail='none')"
)
_FILL = Statement("INSERT INTO users_search (users_search) VALUES ('rebuild')")
_REMOVE_OLD = (
    "INSERT INTO users_search (users_search, rowid, search_text) VALUES ('delete', old.serial, old.search_text);"
)
_ADD_NEW = "INSERT INTO users_search (rowid, search_text) VALUES (new.serial, new.search_text);"
_TRIGGERS = {
    "users_search_insert": Statement(f"CREATE TRIGGER users_search_insert AFTER INSERT ON users BEGIN {_ADD_NEW} END"),
    "users_search_delete": Statement(
        f"CREATE TRIGGER users_search_delete AFTER DELETE ON users BEGIN {_REMOVE_OLD} END"
    ),
    "users_search_update": Statement(
        "CREATE TRIGGER users_search_update AFTER UPDATE OF serial, search_text ON users"
        " WHEN old.serial <> new.serial OR old.search_text <> new.search_text"
        f" BEGIN {_REMOVE_OLD} {_ADD_NEW} END"
    ),
}
_DROP_TRIGGERS = [Statement(f"DROP TRIGGER IF EXISTS {name}") for name in _TRIGGERS]
_DROP_TABLE = Statement("DROP TABLE IF EXISTS users_search")
_REMAKE = [*_DROP_TRIGGERS, _DROP_TABLE, _TABLE, _FILL, *_TRIGGERS.values()]
_FIND_TRIGGERS = Statement(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'users!_search!_%' ESCAPE '!'"
)
_HAS_FTS5 = Statement("SELECT COUNT(*) AS number FROM pragma_module_list WHERE name = 'fts5'")

# The extension may be in another schema than the tables.
_MAKE_ON_POSTGRES = """
DO $make$
DECLARE place text;
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    SELECT quote_ident(n.nspname) INTO place
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    EXECUTE 'CREATE INDEX IF NOT EXISTS users_by_search_text ON users USING gin (search_text '
        || place || '.gin_trgm_ops)';
EXCEPTION WHEN insufficient_privilege OR undefined_file OR undefined_object OR feature_not_supported THEN
    NULL;
END $make$
"""
_FIND_ON_POSTGRES = Statement(
    "SELECT COUNT(*) AS number FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
    " JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = ANY (i.indkey)"
    " WHERE i.indrelid = 'users'::regclass AND i.indisvalid AND a.amname IN ('gin', 'gist') AND t.attname = 'search_text'"
)


async def make_search_index(client: Any) -> None:
    """Make the index in a migration, which hands in the client of its connection. Leaves it out where it cannot be made."""
    if client.capabilities.dialect != "sqlite":
        await client.execute_script(_MAKE_ON_POSTGRES)
    elif _knows_trigrams((await client.execute_query(_HAS_FTS5.sqlite, []))[1][0]["number"]):
        for statement in _REMAKE:
            await client.execute_query(statement.sqlite, [])


async def check_search_index() -> None:
    """Make the index again on SQLite if it is not complete. Log one line if there is none: the search then scans."""
    if not on_sqlite():
        if not (await fetch(_FIND_ON_POSTGRES))[0]["number"]:
            _log.warning("search_index_missing", advice=_WITHOUT_PG_TRGM)
        return
    triggers = {row["name"]: row["sql"] for row in await fetch(_FIND_TRIGGERS)}
    if not _knows_trigrams((await fetch(_HAS_FTS5))[0]["number"]):
        _log.warning("search_index_missing", advice=_WITHOUT_FTS5)
        if triggers:
            await _run(_DROP_TRIGGERS)  # they would fail, and with them every change of a user
    elif triggers != {name: statement.sqlite for name, statement in _TRIGGERS.items()}:
        await _run(_REMAKE)


def is_missing(error: BaseException) -> bool:
    """Return whether a search failed because SQLite has no index, or cannot read it without FTS5."""
    text = str(error)
    return isinstance(error, OperationalError) and (
        "no such table: users_search" in text or "no such module: fts5" in text or "no such tokenizer" in text
    )


def _knows_trigrams(modules: int) -> bool:
    return modules > 0 and sqlite3.sqlite_version_info >= _OLDEST_SQLITE


async def _run(statements: list[Statement]) -> None:
    async with transaction():
        for statement in statements:
            await write(statement)
