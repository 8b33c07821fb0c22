"""Servers as processes of their own: on which cores they run, how much CPU they use, how they are loaded."""

import http.client
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT, free_port

CONNECTIONS = 32
START_DEADLINE = 60.0  # seconds; a busy machine is no failure

_HERE = Path(__file__).parent
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORES = {_CORES[0]}, set(_CORES[1:]) or {_CORES[0]}

# As in production, modules are compiled once: by the start that checks the services, before any that is measured.
_COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Processes that are started meanwhile run on these cores, and stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A service that runs, ready to answer, on a core that the load client leaves alone."""

    def __init__(self, command: Iterable[str], port: int, environment: Mapping[str, str], directory: Path) -> None:
        self.port = port
        started = time.monotonic()
        self._log = directory / f"{port}.log"
        with on_cores(SERVER_CORE), self._log.open("w") as log:
            self._process = subprocess.Popen(
                list(command),
                cwd=directory,
                env={**_COMPILED, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()
        self.start_seconds = time.monotonic() - started
        """From the start of the process to its first answer."""

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not _is_ready(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"A server did not start:\n{self._log.read_text()}")
            time.sleep(0.005)

    def cpu_seconds(self) -> float:
        """What all its threads have used so far, in user and kernel mode."""
        return cpu_seconds_of(self._process.pid)

    def memory(self) -> float:
        """MiB of anonymous memory. Pages of the database file, which the system shares and frees, do not count."""
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        [line] = [line for line in status if line.startswith("RssAnon:")]
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """Ends it, and waits until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def cpu_seconds_of(process: int) -> float:
    """What all threads of a process have used so far, in user and kernel mode. 0 if it has ended."""
    seconds = 0.0
    for thread in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):
            seconds += int(thread.read_text().split()[0]) / 1e9
    return seconds


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class Load:
    """What came of loading a server for a while. Latencies are in milliseconds."""

    answers: int
    errors: int
    seconds: float
    p50: float
    p95: float
    p99: float
    next: int
    """The request that comes next."""
    first_error: str


def load(
    server: Server, seconds: float, first: int, expected: str, requests: Path, connections: int = CONNECTIONS
) -> Load:
    """Keeps every connection busy for this many seconds, by the load client in a process of its own."""
    client = [sys.executable, str(_HERE / "load_client.py")]
    arguments = (server.port, connections, seconds, first, expected, requests)
    with on_cores(OTHER_CORES):
        done = subprocess.run([*client, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return Load(**json.loads(done.stdout))


def write_requests(requests: Iterable[bytes], path: Path) -> None:
    """Ready-made requests as the load client reads them: each behind its length."""
    with path.open("wb") as file:
        for request in requests:
            file.write(struct.pack("<I", len(request)) + request)


__all__ = ["Load", "Server", "cpu_seconds_of", "free_port", "load", "write_requests"]
