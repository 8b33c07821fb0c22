"""The search of users finds by the index what it found by a scan, stays exact while users change, and ends in time."""

import asyncio
import random
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from tortoise.connection import get_connection

from service.accounts import administration, search, search_index
from service.accounts.directory import UserFilter, UserOrder, count_users, list_users
from service.accounts.models import User, UserOrigin
from service.accounts.search import FEW, UserSearch
from service.clock import now
from service.database import Statement, fetch, fetch_limited, migrate, on_sqlite, transaction, write
from service.database.connection import ALIAS
from service.errors import BadUserInput, TooManyAttempts
from service.instance import Instance, open_instance
from service.paging import Conditions, Slice
from service.settings import Settings, load_settings
from tests.actions import HASHES, TESTER

ALPHABET = [
    *"aAbB01%_!\"'*?[]\\-.^:() ",
    "ä",
    "Ä",
    "ß",
    "ſ",
    "İ",
    "ı",
    "é",
    "e\u0301",
    "\u212b",
    "Σ",
    "ς",
    "你",
    "😀",
    "👩‍💻",
    "Ꭰ",
]
ADDRESSES = [
    "münchen@example.com",
    "info@xn--mnchen-3ya.test",
    "info@bücher.test",
    "A.b_c%d@example.com",
    "aaaa@aaaa.test",
]
EVERYONE = Statement("SELECT id, search_text FROM users")
SCAN = Statement("SELECT id FROM users WHERE search_text LIKE $1 ESCAPE '!'")
INDEXED_TEXTS = Statement("SELECT COUNT(*) AS number FROM users_search WHERE users_search MATCH $1")
ENDLESS = Statement(
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000) SELECT COUNT(*) FROM n"
)


async def add(*users: tuple[str, str | None, str | None]) -> None:
    """Add users with these ids, external ids and emails."""
    async with transaction():
        for user_id, external_id, email in users:
            user = User(id=user_id, origin=UserOrigin.EXTERNAL_JWT, created_at=now())
            user.set_identifiers(email=email, email_verified=True, external_id=external_id)
            await user.save()


async def found(text: str) -> set[str]:
    page = await list_users(UserFilter(search=text), UserOrder.CREATED_AT_DESC).page(Slice(first=200))
    return {str(row["id"]) for row in page.rows}


async def scanned(text: str) -> set[str]:
    """What a scan by the pattern of the search finds."""
    return {row["id"] for row in await fetch(SCAN, UserSearch(text).pattern)}


def by_the_rule(text: str, rows: Any) -> set[str]:
    """What the rule of the search finds, without SQL: a text of 1 or 2 characters at the start of a line, others anywhere."""
    wanted = text.casefold() if len(text) >= 3 else "\n" + text.casefold()
    return {row["id"] for row in rows if wanted in row["search_text"]}


async def test_index_finds_what_a_scan_finds(instance: Instance) -> None:
    chance = random.Random(5)
    names = {"".join(chance.choices(ALPHABET, k=chance.randint(1, 9))) for _ in range(150)}
    await add(*((f"u{number}", name, None) for number, name in enumerate(sorted(names))))
    await add(*((f"m{number}", None, address) for number, address in enumerate(ADDRESSES)))
    rows = await fetch(EVERYONE)
    texts = [row["search_text"] for row in rows]
    hits = 0
    for _ in range(400):
        text, length = chance.choice(texts), chance.randint(1, 5)
        start = chance.randrange(len(text))
        needle = text[start : start + length].replace("\n", "") if chance.random() < 0.8 else ""
        needle = needle or "".join(chance.choices(ALPHABET, k=length))
        expected = by_the_rule(needle, rows)
        assert await scanned(needle) == expected, repr(needle)
        assert await found(needle) == expected, repr(needle)
        wanted = UserFilter(search=needle)
        assert await count_users(wanted, list_users(wanted, UserOrder.EMAIL_ASC)) == len(expected), repr(needle)
        hits += bool(expected)
    assert hits > 100


async def test_pages_of_a_search_are_walked_in_order_by_the_index_and_by_a_scan(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(*((f"u{number:03}", f"ext-{number % 7}-{number}", None) for number in range(40)))
    walks = []
    for few in (FEW, 3):
        indexed = f"SELECT rowid FROM users_search WHERE users_search MATCH $1 LIMIT {few + 1}"
        monkeypatch.setattr(search, "_INDEXED", Statement(indexed))
        monkeypatch.setattr(search, "FEW", few)
        walk, cursor = [], None
        while True:
            listing = list_users(UserFilter(search="ext-3"), UserOrder.CREATED_AT_ASC)
            page = await listing.page(Slice(first=2, after=cursor))
            walk += [row["id"] for row in page.rows]
            assert await page.has_previous() is (cursor is not None)
            if not await page.has_next():
                break
            cursor = listing.cursor(page.rows[-1])
        walks.append(walk)
    assert walks[0] == walks[1] == [f"u{number:03}" for number in range(3, 40, 7)]


async def test_index_follows_every_change_of_a_user(instance: Instance) -> None:
    await add(("one", "crm-alpha", "alpha@example.com"))
    assert await found("alpha") == await found("crm-al") == {"one"}
    await administration.update_user("one", TESTER, external_id="crm-beta", email="beta@example.com")
    assert await found("alpha") == set()
    assert await found("beta@") == {"one"}
    await administration.deactivate_user("one", TESTER)
    assert await found("beta@") == {"one"}
    await write(Statement("UPDATE users SET search_text = $1 WHERE id = 'one'"), "\none\ncrm-gamma")
    assert await found("gamma") == {"one"}
    await write(Statement("UPDATE users SET search_text = search_text, last_seen_at = NULL"))
    assert await found("gamma") == {"one"}
    await administration.delete_user("one", TESTER, HASHES)
    assert await found("gamma") == await found("one") == set()
    if on_sqlite():
        assert (await fetch(INDEXED_TEXTS, '"gam"'))[0]["number"] == 0


async def test_rolled_back_user_is_not_found(instance: Instance) -> None:
    async def failing() -> None:
        async with transaction():
            await User.create(id="gone", origin=UserOrigin.EXTERNAL_JWT, created_at=now(), search_text="\ngone")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await found("gone") == set()


async def test_search_uses_the_index(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(*((f"u{number:04}", None, f"user{number}@example.com") for number in range(500)))
    if not on_sqlite():
        connection: Any = get_connection(ALIAS)
        await connection.execute_script("SET enable_seqscan = off")
        plan = await fetch(Statement("EXPLAIN SELECT id FROM users WHERE search_text LIKE '%er123@%' ESCAPE '!'"))
        assert "users_by_search_text" in str([row["QUERY PLAN"] for row in plan])
        return
    statements: list[str] = []

    async def noting(statement: Statement, *values: object, **limits: Any) -> Any:
        statements.append(statement.sqlite)
        assert limits["scans"] is False
        return await fetch_limited(statement, *values, **limits)

    monkeypatch.setattr(search, "fetch_limited", noting)
    assert await found("er123@") == {"u0123"}
    assert await found("u00") == {f"u{number:04}" for number in range(100)}
    for statement in statements:
        plan = await fetch(Statement(f"EXPLAIN QUERY PLAN {statement}"), *["x"] * statement.count("?"))
        assert "SEARCH users USING INTEGER PRIMARY KEY" in str([row["detail"] for row in plan])


async def take_index_away() -> None:
    """Leave the database as one that never had the index."""
    if on_sqlite():
        async with transaction():
            for statement in (*search_index._DROP_TRIGGERS, search_index._DROP_TABLE):
                await write(statement)
    else:
        await get_connection(ALIAS).execute_script("DROP INDEX users_by_search_text")


async def test_search_without_the_index_scans_and_the_start_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_instance(settings):
        await add(("one", None, "ada@example.com"), ("two", None, "grace@example.com"))
        await take_index_away()
        assert await found("da@ex") == {"one"}
        assert await found("on") == {"one"}
    monkeypatch.setattr(search_index, "_knows_trigrams", lambda _modules: False)
    with structlog.testing.capture_logs() as logs:
        async with open_instance(settings):
            assert await found("race@") == {"two"}
            if not on_sqlite():
                await search_index.make_search_index(get_connection(ALIAS))  # for the tests that follow
    assert [line["event"] for line in logs] == ["search_index_missing"]
    assert "FTS5" in logs[0]["advice"] or "pg_trgm" in logs[0]["advice"]


async def test_start_with_the_index_says_nothing(settings: Settings) -> None:
    with structlog.testing.capture_logs() as logs:
        async with open_instance(settings):
            pass
    assert logs == []


@pytest.fixture
def sqlite_settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


async def test_sqlite_without_fts5_keeps_working_and_makes_the_index_again_later(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(search_index, "_knows_trigrams", lambda _modules: False)
        async with open_instance(sqlite_settings):
            assert await fetch(search_index._FIND_TRIGGERS) == []  # they would fail without FTS5
            await add(("one", None, "ada@example.com"))
    async with open_instance(sqlite_settings):
        assert len(await fetch(search_index._FIND_TRIGGERS)) == 3
        assert (await fetch(INDEXED_TEXTS, '"ada"'))[0]["number"] == 1
        assert await found("ada") == {"one"}


async def test_sqlite_start_mends_an_index_that_lost_a_trigger(sqlite_settings: Settings) -> None:
    async with open_instance(sqlite_settings):
        await write(search_index._DROP_TRIGGERS[0])
        await add(("one", None, "ada@example.com"))
        assert (await fetch(INDEXED_TEXTS, '"ada"'))[0]["number"] == 0
    async with open_instance(sqlite_settings):
        assert await found("ada@") == {"one"}
        assert len(await fetch(search_index._FIND_TRIGGERS)) == 3


async def test_migration_without_the_right_to_create_extensions_leaves_the_index_out(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    owner = await asyncpg.connect(empty_postgres_url)
    role = f"plain_{random.randrange(10**9)}"
    await owner.execute(f"CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}")
    url = empty_postgres_url.replace("doorcode:secret@", f"{role}:secret@")
    settings = load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path)})
    try:
        await migrate(settings)
        with structlog.testing.capture_logs() as logs:
            async with open_instance(settings):
                await add(("one", None, "ada@example.com"))
                assert await found("da@ex") == {"one"}
        assert [line["event"] for line in logs] == ["search_index_missing"]
        advice = logs[0]["advice"].partition("run ")[2]
        for statement in filter(None, advice.replace("CONCURRENTLY ", "").split(";")):
            await owner.execute(statement)
        with structlog.testing.capture_logs() as logs:
            async with open_instance(settings):
                assert await found("da@ex") == {"one"}
        assert logs == []
    finally:
        await owner.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
        await owner.close()


# ---------------------------------------------------------------- time


@pytest.fixture
def slow(instance: Instance) -> Statement:
    """A statement that runs for minutes."""
    return ENDLESS if on_sqlite() else Statement("SELECT pg_sleep(300)")


async def test_search_that_takes_too_long_is_stopped_and_says_what_to_do(
    slow: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LONGEST_SEARCH", 0.3)
    with pytest.raises(BadUserInput, match="Search for a longer or rarer text"):
        await UserSearch("?").read(lambda _: slow, Conditions())
    await add(("one", None, "ada@example.com"))
    assert await found("ada") == await found("o") == {"one"}


async def test_other_searches_run_while_scans_do(slow: Statement, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(("one", None, "ada@example.com"))
    monkeypatch.setattr(search, "LONGEST_SEARCH", 3.0)
    scans = [asyncio.create_task(UserSearch("?").read(lambda _: slow, Conditions())) for _ in range(5)]
    for _ in range(20):
        assert await found("ada@e") == {"one"}
    assert not any(scan.done() for scan in scans)
    ended = await asyncio.gather(*scans, return_exceptions=True)
    kinds = [type(error) for error in ended]
    assert kinds.count(BadUserInput) == 2  # as many as run at the same time
    assert kinds.count(TooManyAttempts) == 3


async def test_cancelled_scan_leaves_nothing_behind(slow: Statement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LONGEST_SEARCH", 0.5)
    for _ in range(3):
        scan = asyncio.create_task(UserSearch("?").read(lambda _: slow, Conditions()))
        await asyncio.wait({scan}, timeout=0.1)
        scan.cancel()
        await asyncio.wait({scan})
        assert scan.cancelled()
    monkeypatch.setattr(search, "LONGEST_SEARCH", 20.0)
    await add(("one", None, "ada@example.com"))
    assert await found("o") == {"one"}
