"""The service behind a real pgbouncer in transaction mode, and TLS to a server with a certificate of an own authority."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx2
import pytest

from service.database import migrate
from service.instance import open_instance
from service.settings import SettingsError, load_settings
from tests.actions import code_of
from tests.certificates import Certificate
from tests.database.pooler import Pooler
from tests.database.test_postgres import open_and_sign_in
from tests.processes import Server, run_command
from tests.programs import Programs


@pytest.fixture
def pooler(empty_postgres_url: str, programs: Programs) -> Iterator[Pooler]:
    started = Pooler.start(programs, empty_postgres_url)
    yield started
    started.stop()


@pytest.fixture
def encrypted(empty_postgres_url: str, programs: Programs) -> Iterator[Pooler]:
    """It takes connections by TLS alone."""
    started = Pooler.start(programs, empty_postgres_url, mode="session", tls="require")
    yield started
    started.stop()


def environ_for(url: str, directory: Path) -> dict[str, str]:
    return {"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(directory / "data")}


@pytest.mark.parametrize("query", ["pgbouncer=true", "statement_cache_size=0"])
def test_everything_works_through_a_pooler_in_transaction_mode(pooler: Pooler, tmp_path: Path, query: str) -> None:
    environ = environ_for(pooler.url(query), tmp_path)
    for command in (["migrate"], ["migrate"], ["jwt", "enable"], ["jwt", "status"]):
        ran = run_command(environ, tmp_path, *command)
        assert ran.returncode == 0, ran.stderr
    secret = run_command(environ, tmp_path, "jwt", "rotate").stdout.strip()
    server = Server(tmp_path / "served", environ, ["--workers", "2"])
    try:
        server.wait_until_ready()
        query = "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){...on SessionGrant{token}}}"

        def exchange(number: int) -> str:
            code = code_of(secret, {"user": {"id": f"crm-{number % 20}", "n": number}})
            body = {"query": query, "variables": {"code": code}}
            answer = httpx2.post(f"{server.url}/graphql", json=body, timeout=60).json()
            return str(answer["data"]["exchangeExternalAuthCode"]["token"])

        with ThreadPoolExecutor(16) as threads:
            tokens = list(threads.map(exchange, range(120)))
        assert len(set(tokens)) == 120
        for token in tokens[:3]:
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx2.post(f"{server.url}/graphql", json={"query": "{viewer{id}}"}, headers=headers, timeout=60)
            assert answer.json()["data"]["viewer"]["id"].startswith("crm-")
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
    finally:
        server.close()
    assert "internal_error" not in server.stderr_text()
    assert "database_unreachable" not in server.stderr_text()


def test_url_without_the_parameter_is_told_of_the_pooler_and_not_to_migrate(pooler: Pooler, tmp_path: Path) -> None:
    """The database is migrated directly, as an operator may do."""
    for command in (["migrate"], ["jwt", "enable"]):
        ran = run_command(environ_for(pooler.target, tmp_path), tmp_path, *command)
        assert ran.returncode == 0, ran.stderr
    environ = environ_for(pooler.url(), tmp_path)
    for command in (["migrate"], ["jwt", "status"], ["jwt", "status"], ["users", "list"], ["serve", "--port", "1"]):
        ran = run_command(environ, tmp_path, *command)
        said = ran.stderr
        assert "Traceback" not in said
        assert "run: doorcode migrate" not in said
        if ran.returncode != 0 and "cannot be used" not in said:
            assert "add pgbouncer=true to the parameters of the URL" in said
            assert len(said.splitlines()) <= 3


async def test_no_client_changes_the_defaults_of_a_shared_connection(pooler: Pooler, tmp_path: Path) -> None:
    connection = await asyncpg.connect(pooler.target)
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await connection.close()
    assert await open_and_sign_in(pooler.url("pgbouncer=true"), tmp_path) == "Ωmega"
    other = await asyncpg.connect(pooler.url(), statement_cache_size=0)
    shown = [
        row["default_transaction_isolation"]
        for row in [await other.fetchrow("SHOW default_transaction_isolation")]
        if row
    ]
    await other.close()
    assert shown == ["serializable"]


@pytest.mark.parametrize(
    "form",
    [
        "postgres://doorcode:secret@/{name}?host={directory}&port={port}",
        "postgres://doorcode@{quoted}:{port}/{name}",
        "postgres:///{name}?host={directory}&port={port}&user=doorcode",
        "postgres://doorcode@nowhere.invalid:{port}/{name}?host={directory}",
    ],
)
async def test_socket_is_named_by_its_directory(pooler: Pooler, tmp_path: Path, form: str) -> None:
    name, directory = pooler.target.rpartition("/")[2], str(pooler.directory)
    url = form.format(name=name, directory=directory, quoted=quote(directory, safe=""), port=pooler.port)
    assert await open_and_sign_in(f"{url}{'&' if '?' in url else '?'}pgbouncer=true", tmp_path) == "Ωmega"


async def test_writable_host_is_found_and_its_absence_is_one_line(
    empty_postgres_url: str, programs: Programs, tmp_path: Path
) -> None:
    read_only = Pooler.start(
        programs, empty_postgres_url, mode="session", options="connect_query='SET default_transaction_read_only = on'"
    )
    writable = empty_postgres_url.rpartition(":")[2].partition("/")[0]
    name = empty_postgres_url.rpartition("/")[2]
    both = f"postgres://doorcode:secret@127.0.0.1:{read_only.port},127.0.0.1:{writable}/{name}"
    try:
        assert await open_and_sign_in(f"{both}?target_session_attrs=read-write", tmp_path) == "Ωmega"
        await refused(read_only.url("target_session_attrs=read-write"), tmp_path, "")
    finally:
        read_only.stop()


# ---------------------------------------------------------------- TLS


@pytest.mark.parametrize(
    "query", ["sslmode=require", "sslmode=require&channel_binding=require", "sslmode=prefer", "sslmode=allow", ""]
)
async def test_encryption_without_a_check_of_the_server(encrypted: Pooler, tmp_path: Path, query: str) -> None:
    assert await open_and_sign_in(encrypted.url(query), tmp_path) == "Ωmega"
    assert "TLS" in encrypted.log()


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
async def test_server_with_a_certificate_of_the_authority_is_trusted(
    encrypted: Pooler, tmp_path: Path, sslmode: str
) -> None:
    url = encrypted.url(f"sslmode={sslmode}&sslrootcert={encrypted.directory}/certificate.pem")
    assert await open_and_sign_in(url, tmp_path) == "Ωmega"


async def test_name_is_compared_by_verify_full_alone(encrypted: Pooler, tmp_path: Path) -> None:
    """The certificate is for 127.0.0.1, and the same server has the name localhost."""
    authority = f"sslrootcert={encrypted.directory}/certificate.pem"
    by_name = encrypted.url("{}").replace("127.0.0.1", "localhost")
    assert await open_and_sign_in(by_name.format(f"sslmode=verify-ca&{authority}"), tmp_path) == "Ωmega"
    await refused(by_name.format(f"sslmode=verify-full&{authority}"), tmp_path, "localhost")


async def test_server_with_a_certificate_of_another_authority_is_refused(encrypted: Pooler, tmp_path: Path) -> None:
    other = Certificate.make(tmp_path)
    await refused(
        encrypted.url(f"sslmode=verify-full&sslrootcert={other.certificate}"), tmp_path, "certificate verify failed"
    )
    await refused(encrypted.url("sslmode=verify-full&sslrootcert=system"), tmp_path, "certificate verify failed")


async def test_connection_without_encryption_is_refused_on_the_side_that_needs_it(
    encrypted: Pooler, pooler: Pooler, tmp_path: Path
) -> None:
    await refused(encrypted.url("sslmode=disable"), tmp_path, "SSL required")
    await refused(pooler.url("pgbouncer=true&sslmode=require"), tmp_path, "SSL")


async def test_client_shows_a_certificate_where_the_server_asks_for_one(
    empty_postgres_url: str, programs: Programs, tmp_path: Path
) -> None:
    server = Pooler.start(programs, empty_postgres_url, mode="session", tls="verify-full")
    files = server.directory
    try:
        authority = f"sslmode=verify-full&sslrootcert={files}/certificate.pem"
        with_certificate = server.url(f"{authority}&sslcert={files}/certificate.pem&sslkey={files}/key.pem")
        assert await open_and_sign_in(with_certificate, tmp_path) == "Ωmega"
        await refused(server.url(authority), tmp_path, "")
    finally:
        server.stop()


async def refused(url: str, directory: Path, reason: str) -> None:
    """The start ends with one line that has the reason."""
    settings = load_settings(environ_for(url, directory))
    for attempt in (migrate, _open):
        async with asyncio.timeout(60):
            with pytest.raises(SettingsError) as error:
                await attempt(settings)
        said = str(error.value)
        assert said.startswith("DOORCODE_DATABASE_URL: ")
        assert reason in said
        assert "secret" not in said
        assert "\n" not in said


async def _open(settings: object) -> None:
    async with open_instance(settings):  # type: ignore[arg-type]
        pass
