"""Measures services on one kind of database in short turns, so that what disturbs one disturbs the others too."""

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from check import shortcomings
from databases import Databases, PostgresDatabases, SqliteDatabases
from processes import CONNECTIONS, Load, Server, free_port, load, write_requests
from services import Operation, Service
from workload import Workload

WARM_UP = 1 / 3  # of the time of a measurement
TURN = 0.5  # seconds


@dataclass(frozen=True)
class Running:
    """A service that runs on a fresh database."""

    service: Service
    database: str
    server: Server


@dataclass
class Measurement:
    """One service under one operation in one round: the sum of its turns."""

    loads: list[Load] = field(default_factory=list)
    cpu_seconds: float = 0
    database_seconds: float = 0

    @property
    def cpu(self) -> float:
        """Microseconds of CPU of the server's process for one request."""
        return self.cpu_seconds / self._answers * 1e6

    @property
    def database_cpu(self) -> float:
        """Microseconds of PostgreSQL's CPU for one request. 0 on SQLite."""
        return self.database_seconds / self._answers * 1e6

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self._answers / sum(load.seconds for load in self.loads)

    @property
    def _answers(self) -> int:
        return sum(load.answers for load in self.loads)

    def latency(self, share: str) -> float:
        """p50, p95 or p99, in milliseconds."""
        return median(getattr(load, share) for load in self.loads)


class Bench:
    """All services on one kind of database."""

    def __init__(
        self, databases: Databases, workload: Workload, directory: Path, services: Sequence[Service], seconds: float
    ) -> None:
        self._databases = databases
        self._workload = workload
        self._directory = directory
        self._services = services
        self._seconds = seconds
        self.starts: dict[str, list[float]] = {service.name: [] for service in services}
        self.memory: dict[str, list[float]] = {service.name: [] for service in services}
        self._positions: dict[Path, int] = {}

    async def fill(self, operations: list[Operation]) -> None:
        """Fill the databases, and write the requests."""
        for service in self._services:
            progress(f"filling the database of {service.name}")
            await service.fill(await self._databases.empty(_identifier(service)), self._workload)
            for operation in operations:
                write_requests(operation.requests(service, self._workload), self._requests(service, operation))

    async def check(self) -> None:
        """Make sure that each service does what is measured."""
        async with self._running() as services:
            for running in services:
                if found := await shortcomings(running.service, running.server, running.database, self._workload):
                    raise SystemExit(f"{running.service.name} is not what is to be measured: {'; '.join(found)}.")

    async def measure(self, operations: list[Operation], connections: int = CONNECTIONS) -> list[list[Measurement]]:
        """One round: each operation by all services. Return the measurements of each operation, in their order."""
        async with self._running() as services:
            measured = []
            for operation in operations:
                progress(f"measuring {operation.name}")
                measured.append(self._compare(services, operation, connections))
            for running in services:
                self.starts[running.service.name].append(running.server.start_seconds)
                self.memory[running.service.name].append(running.server.memory())
            return measured

    def _compare(self, services: list[Running], operation: Operation, connections: int) -> list[Measurement]:
        measurements = [Measurement() for _ in services]
        for running in services:
            self._load(running, operation, self._seconds * WARM_UP, connections)
        for _ in range(max(1, round(self._seconds / TURN))):
            for running, measurement in zip(services, measurements, strict=True):
                self._measure(running, operation, measurement, connections)
        return measurements

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[list[Running]]:
        with ExitStack() as at_the_end:
            running = []
            for service in self._services:
                database, port = await self._databases.copy(_identifier(service)), free_port()
                environment = service.environment(database, self._directory)
                server = Server(service.command(port), port, environment, self._directory)
                at_the_end.callback(server.stop)
                running.append(Running(service, database, server))
            yield running

    def _measure(self, running: Running, operation: Operation, into: Measurement, connections: int) -> None:
        before, database_before = running.server.cpu_seconds(), self._databases.cpu_seconds()
        load = self._load(running, operation, min(TURN, self._seconds), connections)
        if load.errors:
            name = f"{running.service.name}, {operation.name}"
            raise SystemExit(f"{name}: {load.errors} errors, the first: {load.first_error}")
        into.loads.append(load)
        into.cpu_seconds += running.server.cpu_seconds() - before
        into.database_seconds += self._databases.cpu_seconds() - database_before

    def _load(self, running: Running, operation: Operation, seconds: float, connections: int) -> Load:
        requests = self._requests(running.service, operation)
        first = self._positions.get(requests, 0)
        done = load(running.server, seconds, first, operation.expected, requests, connections)
        self._positions[requests] = done.next
        return done

    def _requests(self, service: Service, operation: Operation) -> Path:
        return self._directory / f"{_identifier(service)}-{operation.name}.requests"


def _identifier(service: Service) -> str:
    return type(service).__name__.lower()


@asynccontextmanager
async def bench_on(kind: str, workload: Workload, services: Sequence[Service], seconds: float) -> AsyncIterator[Bench]:
    """A bench on `sqlite` or `postgres`, whose databases are deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="doorcode-bench-") as scratch:
        directory = Path(scratch)
        databases = SqliteDatabases(directory) if kind == "sqlite" else await PostgresDatabases.start()
        yield Bench(databases, workload, directory, services, seconds)


_STARTED = time.monotonic()


def progress(what: str) -> None:
    """Say on stderr what is done now."""
    print(f"[{time.monotonic() - _STARTED:5.0f} s] {what}", file=sys.stderr, flush=True)
