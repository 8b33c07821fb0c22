"""Two instances with directories and ports of their own, on one PostgreSQL and one Redis, behind the guide's nginx."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from cryptography.fernet import Fernet

from tests.faults.requests import EXCHANGE, eventually
from tests.processes import START_DEADLINE, Server, free_port
from tests.programs import Programs
from tests.proxies.proxy import Proxy, nginx
from tests.site import Site, new_user_id

HOST = "auth.example.com"
CUT = 0  # instead of a status: the proxy had passed on the head, so it could not ask the other host
ENOUGH = 40  # answers of each kind, before a host ends and after it


@dataclass
class Hosts:
    """Two running instances behind a proxy."""

    site: Site
    second: Server
    environ: dict[str, str]
    directory: Path
    proxy: Proxy

    def start_again(self, port: int) -> Server:
        """Return a server on the port of one that has ended, once it is ready."""
        started = Server(self.directory / "again", self.environ, port=port)
        started.wait_until_ready()
        return started


@pytest.fixture
def redis(programs: Programs, tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis that keeps nothing on disk."""
    port = free_port()
    command = [programs.path("redis-server"), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with (tmp_path / "redis.log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    deadline = time.monotonic() + START_DEADLINE
    while "eady to accept connections" not in (tmp_path / "redis.log").read_text():
        assert process.poll() is None, (tmp_path / "redis.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture
def hosts(
    postgres_url: str, redis: str, background: BlockingPortal, tmp_path: Path, programs: Programs
) -> Iterator[Hosts]:
    shared = {
        "DOORCODE_PUBLIC_URL": f"https://{HOST}",
        "DOORCODE_TRUSTED_PROXIES": "127.0.0.1",
        "DOORCODE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DOORCODE_RATE_LIMIT_URL": redis,
        "DOORCODE_FAILED_SIGN_INS": "10/hour",
    }
    site = Site.open(tmp_path / "first", postgres_url, background, shared)
    environ = {**shared, "DOORCODE_DATABASE_URL": postgres_url, "DOORCODE_DATA_DIR": str(tmp_path / "second")}
    second = Server(tmp_path / "second", environ)
    second.wait_until_ready()
    (tmp_path / "nginx").mkdir()
    where = {"doorcode": site.server.port, "application": second.port, "directory": tmp_path / "nginx"}
    with nginx(programs.path("nginx"), "several-hosts.nginx.conf", port=free_port(), **where) as proxy:  # type: ignore[arg-type]
        yield Hosts(site, second, environ, tmp_path, proxy)
    for server in (site.server, second):
        if server.process.poll() is None:
            server.kill()


@dataclass
class Load:
    """Requests through the proxy, in several threads, until `end`."""

    hosts: Hosts
    reads: list[int] = field(default_factory=list)
    exchanges: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self._threads = ThreadPoolExecutor(6)
        works: list[Callable[[httpx2.Client], None]] = [self._read, self._exchange] * 3
        self._running: list[Future[None]] = [self._threads.submit(self._repeat, work) for work in works]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._running:
            thread.result()
        self._threads.shutdown()

    def _repeat(self, work: Callable[[httpx2.Client], None]) -> None:
        with self.hosts.proxy.client(HOST) as client:
            while not self._ended.is_set():
                try:
                    work(client)
                except httpx2.RemoteProtocolError:
                    (self.reads if work == self._read else self.exchanges).append(CUT)

    def _read(self, client: httpx2.Client) -> None:
        self.reads.append(client.get("/graphql", params={"query": "{ signInMethods }"}, timeout=30).status_code)

    def _exchange(self, client: httpx2.Client) -> None:
        body = {"query": EXCHANGE, "variables": {"c": self.hosts.site.code_for(new_user_id())}}
        answer = client.post("/graphql", json=body, timeout=30)
        self.exchanges.append(answer.status_code)
        if answer.status_code == 200:
            self.tokens.append(answer.json()["data"]["exchangeExternalAuthCode"]["token"])

    def wait_for_more(self) -> None:
        """Wait until there are `ENOUGH` more answers of each kind."""
        enough = len(self.reads) + ENOUGH, len(self.exchanges) + ENOUGH
        deadline = time.monotonic() + START_DEADLINE
        while len(self.reads) < enough[0] or len(self.exchanges) < enough[1]:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def assert_nothing_lost(self) -> None:
        """Every session that was acknowledged is live."""
        with self.hosts.proxy.client(HOST) as client:
            for token in self.tokens:
                headers = {"Authorization": f"Bearer {token}"}
                answer = client.post("/graphql", json={"query": "{ viewer { id } }"}, headers=headers, timeout=30)
                assert answer.json()["data"]["viewer"], token


def test_host_that_is_killed_under_load_fails_no_request_that_the_proxy_may_send_again(hosts: Hosts) -> None:
    with Load(hosts) as load:
        load.wait_for_more()
        os.killpg(hosts.second.process.pid, signal.SIGKILL)
        load.wait_for_more()
    assert set(load.reads) <= {200, CUT}
    assert set(load.exchanges) <= {200, CUT, 502}
    failed = [status for status in [*load.reads, *load.exchanges] if status != 200]
    assert len(failed) <= 6, "only those that were under way: one in each thread"
    load.assert_nothing_lost()


def test_hosts_that_restart_one_after_the_other_fail_no_request(hosts: Hosts) -> None:
    with Load(hosts) as load:
        load.wait_for_more()
        hosts.second.stop()
        load.wait_for_more()
        second = hosts.start_again(hosts.second.port)
        try:
            hosts.site.server.stop()
            load.wait_for_more()
        finally:
            load._ended.set()
    assert set(load.reads) == {200}
    assert set(load.exchanges) == {200}
    load.assert_nothing_lost()
    second.kill()


def test_failed_sign_ins_are_counted_for_all_hosts_together(hosts: Hosts) -> None:
    bad = hosts.site.code_for(new_user_id())[:-8] + "AAAAAAAA"
    query = "mutation($c:String!){ exchangeExternalAuthCode(externalAuthCode:$c) { ... on SignInError { code } } }"
    forwarded = {"X-Forwarded-For": "203.0.113.9", "Host": HOST}

    def code_at(server: Server) -> str:
        body = {"query": query, "variables": {"c": bad}}
        answer = httpx2.post(f"{server.url}/graphql", json=body, headers=forwarded, timeout=30)
        return str(answer.json()["data"]["exchangeExternalAuthCode"]["code"])

    assert {code_at(hosts.site.server) for _ in range(10)} == {"INVALID_SIGNATURE"}
    assert code_at(hosts.second) == "TOO_MANY_ATTEMPTS"


def test_change_at_one_host_holds_at_the_other_at_once(hosts: Hosts) -> None:
    """A session, its end, and the configuration of sign-in."""

    def ask(server: Server, query: str, token: str = "", **variables: object) -> httpx2.Response:
        headers = {"Host": HOST, **({"Authorization": f"Bearer {token}"} if token else {})}
        return httpx2.post(
            f"{server.url}/graphql", json={"query": query, "variables": variables}, headers=headers, timeout=30
        )

    code = hosts.site.code_for(user_id := new_user_id())
    token = ask(hosts.site.server, EXCHANGE, c=code).json()["data"]["exchangeExternalAuthCode"]["token"]
    viewer = "{ viewer { id } }"
    assert ask(hosts.second, viewer, token).json()["data"]["viewer"]["id"] == user_id
    assert ask(hosts.second, "mutation { endSession }", token).json() == {"data": {"endSession": True}}
    assert ask(hosts.site.server, viewer, token).json()["data"]["viewer"] is None
    with hosts.site.policy(issuer="https://issuer.example.com"):
        for server in (hosts.site.server, hosts.second):
            answer = ask(server, EXCHANGE.replace("{ token }", "{ token } ... on SignInError { code }"), c=code)
            assert answer.json()["data"]["exchangeExternalAuthCode"] == {"code": "INVALID_CLAIMS"}
    eventually(lambda: ask(hosts.second, EXCHANGE, c=code).status_code == 200)
