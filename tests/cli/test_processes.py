"""The processes of `doorcode serve`: how they start, are replaced and end, and what they tell systemd."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.processes import Server, run_command
from tests.programs import Programs
from tests.wire import Wire

Serve = Callable[..., Server]
PATIENCE = 120.0  # seconds; a busy machine is no failure
SOON = 20.0  # seconds: less than the grace of 30 that requests in progress have


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def workers_of(server: Server) -> set[int]:
    """The process IDs of the workers, without the helper process of Python's multiprocessing."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"spawn_main" in _command_line(int(pid))}


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_running(pid: int) -> bool:
    return b"spawn_main" in _command_line(pid)  # a zombie has no command line


def status_of(server: Server, path: str = "/readyz") -> int:
    with suppress(httpx2.HTTPError):
        return httpx2.get(f"{server.url}{path}", timeout=30).status_code
    return 0


@pytest.fixture
def postgres_environ(postgres_url: str, tmp_path: Path, programs: Programs) -> dict[str, str]:
    return {"DOORCODE_DATABASE_URL": postgres_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def wired_environ(wired_url: str, tmp_path: Path, programs: Programs) -> dict[str, str]:
    """The database can be cut off."""
    return {"DOORCODE_DATABASE_URL": wired_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


def test_workers_end_if_their_parent_is_killed(server: Serve, postgres_environ: dict[str, str]) -> None:
    started = server(postgres_environ, "--workers", "2")
    workers = workers_of(started)
    assert len(workers) == 2
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait()
    until(lambda: not any(map(is_running, workers)), "the workers go on without their parent")
    with socket.create_server(("127.0.0.1", started.port)):
        pass  # the port is free for the next start


def test_worker_that_is_killed_while_the_database_is_away_is_replaced(
    server: Serve, wired_environ: dict[str, str], wire: Wire, background: BlockingPortal
) -> None:
    started = server(wired_environ, "--workers", "2")
    before = workers_of(started)
    background.call(wire.cut)
    until(lambda: status_of(started) == 503, "it still says that it is ready")
    for killed in before:
        os.kill(killed, signal.SIGKILL)
    until(lambda: len(workers_of(started) - before) == 2, "the workers are not replaced")
    until(lambda: status_of(started, "/healthz") == 200, "no replacement serves")
    assert status_of(started) == 503
    answer = httpx2.post(f"{started.url}/graphql", json={"query": "{ seatUsage { used } }"}, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert httpx2.get(f"{started.url}/login", timeout=30).status_code == 503
    assert started.process.poll() is None
    background.call(wire.mend)
    until(lambda: all(status_of(started) == 200 for _ in range(20)), "it does not become ready again")
    assert httpx2.get(f"{started.url}/login", timeout=30).status_code == 200
    assert "Traceback" not in started.stderr_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_start_waits_for_the_database_and_says_so_once(
    wired_environ: dict[str, str], wire: Wire, background: BlockingPortal, tmp_path: Path, workers: str
) -> None:
    background.call(wire.cut)
    started = Server(tmp_path, {**wired_environ, "DOORCODE_DATABASE_WAIT": "3600"}, ("--workers", workers))
    try:
        until(lambda: "Waiting for it, at most 3600 seconds." in started.stderr_text(), "it does not say that it waits")
        background.call(wire.mend)
        started.wait_until_ready()
        assert started.stderr_text().count("Waiting for it") == 1
        assert started.stderr_text().startswith("DOORCODE_DATABASE_URL: the database at 127.0.0.1 cannot be opened")
    finally:
        started.close()


def test_start_without_a_database_ends_with_a_failure(
    wired_environ: dict[str, str], wire: Wire, background: BlockingPortal, tmp_path: Path
) -> None:
    background.call(wire.cut)
    ran = run_command({**wired_environ, "DOORCODE_DATABASE_WAIT": "0"}, tmp_path, "serve")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("DOORCODE_DATABASE_URL: the database at 127.0.0.1 cannot be opened")
    assert ran.stderr.count("\n") == 1


HALF_A_BODY = b"POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
HALF_A_HEAD = b"POST /graphql HTTP/1.1\r\nHo"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n"


def test_idle_and_incomplete_requests_do_not_delay_the_end(server: Serve, postgres_environ: dict[str, str]) -> None:
    for workers in ("1", "2"):
        started = server(postgres_environ, "--workers", workers)
        host = f"127.0.0.1:{started.port}".encode()
        opened = [socket.create_connection(("127.0.0.1", started.port)) for _ in range(4)]
        for connection, sent in zip(opened, (b"", HALF_A_HEAD, HALF_A_BODY % host, WHOLE % host), strict=True):
            connection.sendall(sent)
        assert opened[3].recv(65536).startswith(b"HTTP/1.1 200")
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(SOON)
        assert started.process.returncode in (0, -signal.SIGTERM)
        for connection in opened:
            connection.close()


def test_request_in_progress_is_answered_after_the_signal(
    server: Serve, postgres_environ: dict[str, str], background: BlockingPortal, tmp_path: Path
) -> None:
    key = run_command(postgres_environ, tmp_path, "api-key", "create", "x", "--scope", "admin").stdout.strip()
    started = server(postgres_environ)
    lock = background.call(_lock_seats, postgres_environ["DOORCODE_DATABASE_URL"])
    answers: list[httpx2.Response] = []

    def ask() -> None:
        answers.append(
            httpx2.post(
                f"{started.url}/graphql",
                json={"query": "mutation { setSeatLimit(limit: 7) { limit } }"},
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            )
        )

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until(lambda: background.call(_has_waiting, lock), "the request does not wait for the lock")
        started.process.send_signal(signal.SIGTERM)
        until(lambda: not _takes_connections(started), "it still listens")
    finally:
        background.call(lock.close)
        asking.join()
    assert answers[0].json() == {"data": {"setSeatLimit": {"limit": 7}}}
    started.process.wait(SOON)


async def _lock_seats(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN; SELECT * FROM seats FOR UPDATE")
    return connection


async def _has_waiting(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await connection.fetchval(waiting))


def _takes_connections(server: Server) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port)):
        return True
    return False


@contextmanager
def load(server: Server) -> Iterator[list[str]]:
    """Requests without an end: some clients keep their connection, others open one for each. Yields what failed."""
    failures: list[str] = []
    answered = [0] * 6
    ending = threading.Event()

    def go_on(number: int) -> None:
        with httpx2.Client(base_url=server.url, timeout=60) as kept:
            while not ending.is_set():
                try:
                    query = {"query": "{ signInMethods }"}
                    ask = kept.post if number % 2 else httpx2.post
                    url = "/graphql" if number % 2 else f"{server.url}/graphql"
                    answer = ask(url, json=query)
                    if answer.status_code != 200 or "errors" in answer.json():
                        failures.append(answer.text)
                    answered[number] += 1
                except httpx2.HTTPError as error:
                    failures.append(repr(error))

    clients = [threading.Thread(target=go_on, args=(number,)) for number in range(len(answered))]
    for client in clients:
        client.start()
    try:
        until(lambda: min(answered) > 5, "a client gets no answers")
        yield failures
        reached = [count + 5 for count in answered]
        until(lambda: all(a >= b for a, b in zip(answered, reached, strict=True)), "a client gets no answers")
    finally:
        ending.set()
        for client in clients:
            client.join()


def test_reload_replaces_all_workers_and_no_request_fails(
    server: Serve, postgres_environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("DOORCODE_INTROSPECTION=on\n")
    started = server(postgres_environ, "--workers", "2")
    before = workers_of(started)
    introspection = {"query": "{ __schema { queryType { name } } }"}
    assert "errors" not in httpx2.post(f"{started.url}/graphql", json=introspection, timeout=30).json()
    (tmp_path / ".env").write_text("DOORCODE_INTROSPECTION=off\n")
    with load(started) as failures:
        started.process.send_signal(signal.SIGHUP)
        until(lambda: len(workers_of(started) - before) == 2, "the workers are not replaced")
        until(lambda: not workers_of(started) & before, "the old workers do not end")
    assert failures == []
    assert "workers_reloaded" in started.stderr_text()
    assert "errors" in httpx2.post(f"{started.url}/graphql", json=introspection, timeout=30).json(), (
        "`.env` is read anew"
    )


def test_reload_with_a_wrong_setting_keeps_the_workers(
    server: Serve, postgres_environ: dict[str, str], tmp_path: Path
) -> None:
    started = server(postgres_environ, "--workers", "2")
    before = workers_of(started)
    until(lambda: started.stderr_text().count("Application startup complete") == 2, "the workers do not serve")
    (tmp_path / ".env").write_text("DOORCODE_SESSION_LIFETIME=x\n")
    started.process.send_signal(signal.SIGHUP)
    until(lambda: "reload_failed" in started.stderr_text(), "the failure is not logged")
    assert "DOORCODE_SESSION_LIFETIME: " in started.stderr_text()
    assert "Traceback" not in started.stderr_text()
    assert workers_of(started) >= before
    assert status_of(started) == 200


def test_server_of_one_process_goes_on_after_a_reload(server: Serve, sqlite_url: str, tmp_path: Path) -> None:
    started = server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    started.process.send_signal(signal.SIGHUP)
    until(lambda: "reload_ignored" in started.stderr_text(), "it does not say that it ignores the signal")
    assert status_of(started) == 200


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told_of_the_start_the_reload_and_the_end(
    server: Serve, postgres_environ: dict[str, str], tmp_path: Path, workers: str, kind: str
) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@doorcode-{os.getpid()}-{workers}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(PATIENCE)
        environ = {**postgres_environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}
        started = server(environ, "--workers", workers)

        def wait_for(assignment: str) -> list[str]:
            said = []
            while assignment not in said:
                said += manager.recv(4096).decode().split("\n")
            return said

        wait_for("READY=1")
        wait_for("WATCHDOG=1")
        if workers == "2":
            started.process.send_signal(signal.SIGHUP)
            assert any(line.startswith("MONOTONIC_USEC=") for line in [*wait_for("RELOADING=1"), *wait_for("READY=1")])
        started.stop()
        wait_for("STOPPING=1")
