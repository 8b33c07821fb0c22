"""Real PostgreSQL databases that are set up in unusual ways: migrated, opened and signed in at."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import structlog
from tortoise.connection import get_connection

from service import error_reports
from service.app import create_app
from service.database import fetch, migrate, transaction, write
from service.database.connection import ALIAS, cause_of_outage
from service.database.limited_reads import PoolBusyError
from service.database.postgres_pool import POOL_SIZE
from service.database.statements import Statement
from service.instance import open_instance
from service.settings import SettingsError, load_settings
from tests.actions import code_of, enable, member, open_for, sign_in
from tests.databases import PostgresServer, drop_postgres
from tests.processes import run_command
from tests.programs import Programs


async def open_and_sign_in(url: str, directory: Path) -> str:
    """Migrates, opens, and signs a new person in; the person's ID."""
    settings = load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(directory)})
    await migrate(settings)
    async with open_instance(settings) as instance:
        secret = await enable(instance)
        result = await sign_in(instance, code_of(secret, {"user": {"id": "Ωmega"}}))
        return str(result.session.user.id)


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=disable",
        "sslmode=prefer&connect_timeout=10&application_name=mine&target_session_attrs=read-write",
        "pgbouncer=true",
        "statement_cache_size=0",
        "options=-c%20search_path%3Dpublic&keepalives=1&gssencmode=prefer&channel_binding=prefer",
    ],
)
async def test_parameters_of_the_url_are_honoured(empty_postgres_url: str, tmp_path: Path, query: str) -> None:
    assert await open_and_sign_in(f"{empty_postgres_url}?{query}", tmp_path) == "Ωmega"


async def test_options_and_schema_reach_every_connection(empty_postgres_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_postgres_url)
    await connection.execute('CREATE SCHEMA "my schema"')
    query = "schema=my%20schema&options=-c%20statement_timeout%3D4321&application_name=mine"
    assert await open_and_sign_in(f"{empty_postgres_url}?{query}", tmp_path) == "Ωmega"
    tables = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = 'users'")
    assert [row["schemaname"] for row in tables] == ["my schema"]
    await connection.close()
    url = f"{empty_postgres_url}?{query}"
    async with open_instance(load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path)})):
        shown = Statement(
            "SELECT current_setting('statement_timeout') AS timeout, current_setting('application_name') AS name"
        )
        assert dict((await fetch(shown))[0]) == {"timeout": "4321ms", "name": "mine"}


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=verify-full",
        "sslmode=require",
        "ssl_min_protocol_version=TLSv9",
        "sslnegotiation=direct",
        "sslcert=/etc/hostname",
        "options=-c%20nonsense%3D1",
        "application_name=%00x",
        "schema=missing",
        "user=nobody",
        "dbname=nowhere",
        "gsslib=x",
    ],
)
async def test_parameter_that_this_server_cannot_honour_is_one_line(
    empty_postgres_url: str, tmp_path: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(
        {"DOORCODE_DATABASE_URL": f"{empty_postgres_url}?{query}", "DOORCODE_DATA_DIR": str(tmp_path)}
    )
    with pytest.raises(SettingsError) as refused:
        await migrate(settings)
    assert str(refused.value).startswith("DOORCODE_DATABASE_URL: ")
    assert "\n" not in str(refused.value)


async def test_second_host_is_tried_where_the_first_does_not_answer(empty_postgres_url: str, tmp_path: Path) -> None:
    url = empty_postgres_url.replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:")
    assert await open_and_sign_in(url, tmp_path) == "Ωmega"


@pytest.mark.parametrize("pooling", ["", "?pgbouncer=true"])
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_every_statement_and_transaction_is_read_committed(
    empty_postgres_url: str, tmp_path: Path, level: str, pooling: str
) -> None:
    connection = await asyncpg.connect(empty_postgres_url)
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    await connection.close()
    url = empty_postgres_url + pooling
    settings = load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path)})
    await migrate(settings)
    shown = Statement("SELECT current_setting('transaction_isolation') AS level")
    async with open_instance(settings) as instance:
        assert (await fetch(shown))[0]["level"] == "read committed"
        async with transaction():
            assert (await fetch(shown))[0]["level"] == "read committed"
        secret = await enable(instance)
        codes = [code_of(secret, {"user": {"id": f"crm-{number % 10}"}}) for number in range(40)]
        results = await asyncio.gather(*(sign_in(instance, code) for code in codes))
    assert {result.session.user.id for result in results} == {f"crm-{number}" for number in range(10)}


async def test_database_in_another_encoding_is_refused(
    postgres: PostgresServer, worker_id: str, tmp_path: Path
) -> None:
    url = postgres.url(f"latin1_{worker_id}")
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"CREATE DATABASE latin1_{worker_id} ENCODING 'LATIN1' TEMPLATE template0")
    await connection.close()
    settings = load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path)})
    try:
        with pytest.raises(SettingsError, match="has the encoding LATIN1; create it with ENCODING 'UTF8'"):
            await migrate(settings)
    finally:
        await drop_postgres(url)


def test_database_that_a_newer_version_migrated_stops_the_start(
    environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    asyncio.run(_note_future_migration(environ))
    for command in (["jwt", "status"], ["serve", "--port", "18743"]):
        ended = run_command(environ, tmp_path, *command)
        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert "newer than this version of Doorcode" in line
        assert "0099_future" in line


async def _note_future_migration(environ: dict[str, str]) -> None:
    async with open_instance(load_settings(environ)):
        await write(
            Statement(
                "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('doorcode', $1, CURRENT_TIMESTAMP)"
            ),
            "0099_future",
        )


async def test_table_that_cannot_be_read_is_not_called_unmigrated(postgres_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
    url = postgres_url.replace("//doorcode:", "//reader:")
    settings = load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(tmp_path)})
    try:
        with pytest.raises(SettingsError, match="permission denied"):
            async with open_instance(settings):
                pass
    finally:
        await connection.execute("DROP ROLE reader")
        await connection.close()


@pytest.mark.parametrize("query", ["", "?pgbouncer=true"])
async def test_request_waits_a_limited_time_for_a_connection(
    postgres_url: str, tmp_path: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_reports, "_outages", {})  # each kind is logged once a minute
    settings = load_settings({"DOORCODE_DATABASE_URL": postgres_url + query, "DOORCODE_DATA_DIR": str(tmp_path)})
    async with open_instance(settings) as instance:
        token = (await open_for(await member("ada@example.com"))).token
        app = create_app(settings)
        app.state.instance = instance
        request = {"query": "{ viewer { email } }"}
        transport, bearer = httpx2.ASGITransport(app), {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url=settings.public_url, headers=bearer) as http:
            database: Any = get_connection(ALIAS)
            monkeypatch.setattr(database._bounded, "_longest_wait", 0.2)
            pool = database._pool
            taken = [await pool.acquire() for _ in range(POOL_SIZE)]
            with structlog.testing.capture_logs() as logs:
                refused = await http.post("/graphql", json=request)
            assert refused.status_code == 503
            assert refused.headers["retry-after"].isdigit()
            assert "try again" in refused.json()["errors"][0]["message"]
            assert [(line["event"], line["cause"]) for line in logs] == [("database_unreachable", "busy")]
            for change in (in_transaction, read):
                with pytest.raises(PoolBusyError):
                    await change()
            for connection in taken:
                await pool.release(connection)
            answered = await http.post("/graphql", json=request)
            assert answered.json() == {"data": {"viewer": {"email": "ada@example.com"}}}


async def in_transaction() -> None:
    async with transaction():
        pass


async def read() -> None:
    await fetch(Statement("SELECT 1"))


def test_every_intervention_of_the_server_is_an_outage() -> None:
    """A connection is ended by a crash of another process too: each answer says that the database is away."""
    base = asyncpg.OperatorInterventionError
    kinds: list[type[Exception]] = [base, *base.__subclasses__()]
    assert asyncpg.CrashShutdownError in kinds
    assert [kind for kind in kinds if cause_of_outage(kind("ended")) is None] == []
