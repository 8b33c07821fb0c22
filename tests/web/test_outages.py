"""A database that goes away and comes back: probes say so, people read so, and nothing has to be restarted."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.programs import Programs
from tests.site import Site, new_user_id
from tests.wire import Wire


@pytest.fixture
def wired_site(wired_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[Site]:
    """A server that reaches its database by the wire."""
    site = Site.open(tmp_path, wired_url, background, {})
    yield site
    site.server.close()


def eventually(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; fails where it does not within seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_database_that_is_gone_is_told_and_its_return_noticed(wired_site: Site, wire: Wire) -> None:
    with httpx2.Client(base_url=wired_site.server.url, timeout=20, headers={"Accept": "text/html"}) as client:
        link = {"externalAuthCode": wired_site.code_for(new_user_id())}
        wired_site.portal.call(wire.cut)

        ready = client.get("/readyz")
        assert (ready.status_code, ready.text) == (503, "unreachable\n")
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200
        refused = client.get("/", params=link)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert "The service is not available right now" in refused.text
        assert client.get("/.well-known/jwks.json").status_code == 503

        wired_site.portal.call(wire.mend)
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/", params=link).status_code == 303
    assert "database_unreachable" in wired_site.server.stderr_text()
    assert "internal_error" not in wired_site.server.stderr_text()  # a database that is gone is no bug


def test_probe_does_not_wait_for_a_database_that_does_not_answer(wired_site: Site, wire: Wire) -> None:
    with httpx2.Client(base_url=wired_site.server.url, timeout=20) as client:
        wired_site.portal.call(wire.stall)
        started = time.monotonic()
        ready = client.get("/readyz")
        assert (ready.status_code, ready.text) == (503, "unreachable\n")
        assert client.get("/metrics").status_code == 200
        assert time.monotonic() - started < 6
        wired_site.portal.call(wire.mend)
        eventually(lambda: client.get("/readyz").status_code == 200)


def test_database_that_is_behind_is_told(open_site: Callable[..., Site], sqlite_url: str) -> None:
    site = open_site(sqlite_url)
    with closing(sqlite3.connect(site.settings.sqlite_path)) as database, database:
        database.execute("DELETE FROM tortoise_migrations WHERE name = (SELECT max(name) FROM tortoise_migrations)")
    with site.client() as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.text) == (503, "unmigrated\n")
        assert client.get("/healthz").status_code == 200


async def _set_read_only(url: str, value: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'doorcode'"
    )
    await connection.close()


EXCHANGE = "mutation($c:String!){ exchangeExternalAuthCode(externalAuthCode:$c) { ... on SignInError { code } } }"


def _assert_unwritable(site: Site, cause: str) -> None:
    """Asks in every way that needs to write."""
    with site.client() as client:
        eventually(lambda: client.get("/readyz").text == f"{cause}\n")
        assert client.get("/readyz").status_code == 503
        code = site.code_for(new_user_id())
        link = client.get("/", params={"externalAuthCode": code}, headers={"Accept": "text/html"})
        assert (link.status_code, link.headers.get("retry-after")) == (503, "5"), (link.text, site.server.stderr_text())
        for _ in range(3):
            answer = client.post("/graphql", json={"query": EXCHANGE, "variables": {"c": code}})
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), answer.text
        assert client.get("/healthz").status_code == 200
    log = site.server.stderr_text()
    assert f'"cause": "{cause}"' in log
    assert "Traceback" not in log
    assert log.count("database_unreachable") <= 4


def test_read_only_postgres_is_told_and_its_return_noticed(
    postgres_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    site = Site.open(tmp_path, postgres_url, background, {})
    try:
        background.call(_set_read_only, postgres_url, "on")
        _assert_unwritable(site, "read-only")
        background.call(_set_read_only, postgres_url, "off")
        with site.client() as client:
            eventually(lambda: client.get("/readyz").status_code == 200)
            assert client.get("/", params={"externalAuthCode": site.code_for(new_user_id())}).status_code == 303
    finally:
        background.call(_set_read_only, postgres_url, "off")
        site.server.close()


def test_viewer_is_503_while_the_database_is_gone(wired_site: Site, wire: Wire) -> None:
    with httpx2.Client(base_url=wired_site.server.url, timeout=20) as client:
        headers = {"Authorization": "Bearer dcs_" + "A" * 43}
        wired_site.portal.call(wire.cut)
        for query in ("{ viewer { id } }", "{ signInMethods }"):
            answer = client.post("/graphql", json={"query": query}, headers=headers)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), answer.text
            [error] = answer.json()["errors"]
            assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
            assert error["extensions"]["retryAfterSeconds"] == 5
        wired_site.portal.call(wire.mend)
        eventually(lambda: client.post("/graphql", json={"query": "{ viewer { id } }"}).status_code == 200)
