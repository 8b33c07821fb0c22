"""A PostgreSQL server that is stopped, frozen, full of connections or locked: real processes, under real requests."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from cryptography.fernet import Fernet

from service.database.postgres_pool import TRANSACTIONS
from tests.databases import migrated
from tests.faults.postgres import OwnPostgres
from tests.faults.requests import (
    ANSWER_TIMEOUT,
    Clients,
    assert_unavailable,
    at_once,
    eventually,
)
from tests.programs import Programs
from tests.site import Site, new_user_id

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def own(programs: Programs) -> Iterator[OwnPostgres]:
    server = OwnPostgres.start()
    yield server
    server.close()


@pytest.fixture
def clients(own: OwnPostgres, background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[Clients]:
    background.call(migrated, own.url, tmp_path)
    site = Site.open(tmp_path, own.url, background, ANSWER_TIMEOUT)
    yield Clients(site)
    site.server.kill()


@pytest.fixture
def shared_clients(
    postgres_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs
) -> Iterator[Clients]:
    """A site on the database of every test, for faults that leave its server alone."""
    site = Site.open(tmp_path, postgres_url, background, ANSWER_TIMEOUT)
    yield Clients(site)
    site.server.close()


class Held:
    """Statements in an open transaction of another client, which hold their locks until `release`."""

    def __init__(self, portal: BlockingPortal, url: str, *statements: str) -> None:
        self._portal = portal
        self._connection = portal.call(asyncpg.connect, url)
        for statement in ("BEGIN", *statements):
            portal.call(self._connection.execute, statement)

    def release(self) -> None:
        self._portal.call(self._connection.execute, "COMMIT")
        self._portal.call(self._connection.close)


# ---------------------------------------------------------------- away


@pytest.mark.parametrize("fault", ["stopped", "killed", "frozen"])
def test_every_way_in_is_503_while_postgres_is_away_and_works_when_it_is_back(
    own: OwnPostgres, clients: Clients, fault: str
) -> None:
    known = new_user_id()
    token, log = clients.token(known), clients.site.server.stderr_text
    {"stopped": own.stop, "killed": own.kill, "frozen": own.freeze}[fault]()
    for answer in at_once(clients.every_way(token, token) * 4):
        assert_unavailable(answer)
    ready = clients.get("/readyz")
    assert (ready.status_code, ready.headers.get("retry-after")) == (503, "5"), ready.text
    assert clients.get("/healthz").status_code == 200
    assert log().count("database_unreachable") <= 6, "one line a minute for each kind of error"
    assert "Traceback" not in log()

    own.thaw() if fault == "frozen" else own.resume_after_stop()
    eventually(lambda: clients.get("/readyz").status_code == 200)
    for answer in at_once([clients.exchange, lambda: clients.viewer(token), lambda: clients.exchange(known)] * 5):
        assert answer.status_code == 200, answer.text
    assert clients.link().status_code == 303


def test_requests_whose_clients_have_gone_write_nothing_when_the_database_is_back(
    own: OwnPostgres, clients: Clients, background: BlockingPortal
) -> None:
    known = [new_user_id() for _ in range(60)]
    for user_id in known:
        clients.token(user_id)
    own.freeze()

    def give_up(user_id: str) -> None:
        body = {"query": "mutation($c:String!){ exchangeExternalAuthCode(externalAuthCode:$c) { __typename } }"}
        body |= {"variables": {"c": clients.site.code_for(user_id)}}  # type: ignore[dict-item]
        with suppress(httpx2.TimeoutException):
            httpx2.post(f"{clients.site.server.url}/graphql", json=body, timeout=2.5)

    threads = [threading.Thread(target=give_up, args=[user_id]) for user_id in known]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own.thaw()
    eventually(lambda: clients.exchange().status_code == 200)
    stored = background.call(_count, own.url, "SELECT count(*) FROM sessions")
    assert stored <= len(known) + 12, "what no client waits for is not written"


async def _count(url: str, query: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


def test_requests_wait_for_a_connection_while_the_server_has_no_room_for_more(
    background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    own = OwnPostgres.start(connections=12)
    try:
        background.call(migrated, own.url, tmp_path)
        keys = {"DOORCODE_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
        first = Site.open(tmp_path / "first", own.url, background, keys)
        second = Site.open(tmp_path / "second", own.url, background, keys)
        try:
            both = [Clients(first), Clients(second, second.server.url)]
            known = [new_user_id() for _ in range(10)]
            burst = [lambda c=c, k=k: c.exchange(k) for c in both for k in known]
            for answer in at_once(burst * 4):
                assert answer.status_code == 200, answer.text
            assert "database_unreachable" not in first.server.stderr_text() + second.server.stderr_text()
        finally:
            first.server.kill()
            second.server.kill()
    finally:
        own.close()


# ---------------------------------------------------------------- locked


def test_locked_table_leaves_connections_for_requests_that_do_not_need_it(
    shared_clients: Clients, postgres_url: str, background: BlockingPortal
) -> None:
    clients, known = shared_clients, new_user_id()
    token = clients.token(known)
    held = Held(background, postgres_url, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
    waiting: list[Callable[[], httpx2.Response]] = [
        lambda: clients.viewer(token),
        lambda: clients.exchange(known),
        clients.exchange,
    ]
    free: list[Callable[[], httpx2.Response]] = [
        lambda: clients.get("/readyz"),
        lambda: clients.graphql("{ signInMethods }"),
        lambda: clients.get("/.well-known/jwks.json"),
    ]
    with ThreadPoolExecutor(1) as thread:
        refused = thread.submit(at_once, waiting * 20)
        eventually(lambda: background.call(_count, postgres_url, WAITING) >= TRANSACTIONS)
        for answer in at_once(free * 5):
            assert answer.status_code == 200, (answer.url, answer.text)
        for answer in refused.result():
            assert_unavailable(answer)
    held.release()
    for answer in at_once(waiting * 5):
        assert answer.status_code == 200, answer.text


def test_newcomers_who_wait_for_the_seats_hold_up_no_known_user(
    shared_clients: Clients, postgres_url: str, background: BlockingPortal
) -> None:
    clients, known = shared_clients, new_user_id()
    token = clients.token(known)
    held = Held(background, postgres_url, "SELECT * FROM seats FOR UPDATE")
    free: list[Callable[[], httpx2.Response]] = [
        lambda: clients.get("/readyz"),
        lambda: clients.exchange(known),
        lambda: clients.viewer(token),
    ]
    with ThreadPoolExecutor(1) as thread:
        refused = thread.submit(at_once, [clients.exchange] * 60)
        eventually(lambda: background.call(_count, postgres_url, WAITING) >= TRANSACTIONS)
        for answer in at_once(free * 5):
            assert answer.status_code == 200, (answer.url, answer.text)
        for answer in refused.result():
            assert_unavailable(answer)
    held.release()
    assert clients.exchange().status_code == 200


def test_mark_that_waits_for_a_lock_delays_no_request(
    shared_clients: Clients, postgres_url: str, background: BlockingPortal
) -> None:
    clients, known = shared_clients, new_user_id()
    token = clients.token(known)
    background.call(_run, postgres_url, "UPDATE sessions SET last_seen_at = last_seen_at - interval '1 day'")
    background.call(_run, postgres_url, "UPDATE users SET last_seen_at = last_seen_at - interval '1 day'")
    held = Held(background, postgres_url, "SELECT * FROM users FOR UPDATE", "SELECT * FROM sessions FOR UPDATE")
    for answer in at_once([lambda: clients.viewer(token), lambda: clients.exchange(known)] * 10):
        assert answer.status_code == 200, answer.text
    held.release()
    late = "SELECT count(*) FROM users WHERE last_seen_at < now() - interval '2 hours'"

    def is_marked() -> bool:
        clients.viewer(token)
        return background.call(_count, postgres_url, late) == 0

    eventually(is_marked)


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


# ---------------------------------------------------------------- changed below the service


def test_database_that_was_read_only_works_again_though_its_connections_stay_open(
    own: OwnPostgres, clients: Clients, background: BlockingPortal
) -> None:
    """As after a failover: the connections that were made meanwhile stay read-only."""
    read_only = "ALTER DATABASE postgres SET default_transaction_read_only = {}"
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doorcode'"
    background.call(_run, own.url, read_only.format("on"), end)
    eventually(lambda: clients.get("/readyz").text == "read-only\n")
    for answer in at_once([clients.exchange] * 10):
        assert_unavailable(answer)
    background.call(_run, f"{own.url}?options=-c%20default_transaction_read_only%3Doff", read_only.format("off"))
    eventually(lambda: clients.exchange().status_code == 200)
    for answer in at_once([clients.exchange] * 30):
        assert answer.status_code == 200, answer.text


def test_newcomers_sign_in_while_a_column_is_added(
    own: OwnPostgres, clients: Clients, background: BlockingPortal
) -> None:
    clients.token()
    for number in range(10):
        adding = background.start_task_soon(_run, own.url, f"ALTER TABLE users ADD COLUMN added_{number} text")
        for answer in at_once([clients.exchange] * 10):
            assert answer.status_code == 200, clients.site.server.stderr_text()
        adding.result()
