"""Compares Doorcode with a bare Starlette service that does the same work, on this machine.

Both answer 32 keep-alive connections from one worker on uvloop and httptools; a session is committed before it is answered
(SQLite: WAL, synchronous=NORMAL; PostgreSQL: synchronous_commit=on). The server has the first core, the load client and
PostgreSQL have the others. They take short turns, and every figure is the median over the rounds.

CPU per 1,000 requests is the figure to compare: other work on the machine disturbs it least. "Speed" is the yardstick's
CPU divided by Doorcode's. Needs Linux.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeAlias

from check import shortcomings
from databases import Databases, PostgresDatabases, SqliteDatabases
from plot import Series, draw
from processes import CONNECTIONS, Load, Server, free_port, load, write_requests
from services import OPERATIONS, Doorcode, Operation, Service, Yardstick
from workload import Workload

WARM_UP = 1 / 3  # of the time of a measurement
TURN = 0.5  # seconds
USERS, CONNECTED = "users, each with sessions", "connections"
AXES = {USERS: (100, 1_000, 10_000, 100_000), CONNECTED: (1, 8, 32, 128)}
SOME_PEOPLE = 1_000
PROCESSES = "| database | service | start to first answer, s | memory after load, MiB |\n|---|---|---|---|"
TABLE = (
    "| database | operation | CPU s/1,000: Starlette | CPU s/1,000: Doorcode | speed (lowest–highest) "
    "| Doorcode req/s | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|---|---|---|---|"
)


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

    @property
    def cpu(self) -> float:
        """Seconds per 1,000 requests."""
        return self.cpu_seconds / sum(load.answers for load in self.loads) * 1000

    @property
    def rate(self) -> float:
        """Requests a second."""
        return sum(load.answers for load in self.loads) / sum(load.seconds for load in self.loads)

    def latency(self, share: str) -> float:
        """p50, p95 or p99, in milliseconds."""
        return median(getattr(load, share) for load in self.loads)


Pair: TypeAlias = tuple[Measurement, Measurement]
"""The yardstick's, and Doorcode's."""


class Bench:
    """Both services on one kind of database."""

    def __init__(
        self,
        databases: Databases,
        workload: Workload,
        directory: Path,
        seconds: float,
        connections: int = CONNECTIONS,
    ) -> None:
        self._databases = databases
        self._workload = workload
        self._directory = directory
        self._seconds = seconds
        self._connections = connections
        self._services: tuple[Service, ...] = (Yardstick(workload), Doorcode())
        self.starts: dict[str, list[float]] = {service.name: [] for service in self._services}
        self.memory: dict[str, list[float]] = {service.name: [] for service in self._services}
        self._positions: dict[Path, int] = {}

    async def prepare(self, operations: list[Operation]) -> None:
        """Fill the databases, write the requests, and make sure that both services do what is measured."""
        for service in self._services:
            await service.fill(await self._databases.empty(_identifier(service)), self._workload)
            for operation in operations:
                write_requests(operation.requests(service, self._workload), self._requests(service, operation))
        async with self._running() as services:
            for running in services:
                if found := await shortcomings(running.service, running.server, running.database, self._workload):
                    raise SystemExit(f"{running.service.name} is not what is to be measured: {'; '.join(found)}.")

    async def measure(self, operations: list[Operation]) -> list[Pair]:
        """One round: each operation by both services, in short turns, so that what disturbs one disturbs the other too."""
        async with self._running() as (yardstick, doorcode):
            pairs = [self._compare(yardstick, doorcode, operation) for operation in operations]
            for running in (yardstick, doorcode):
                self.starts[running.service.name].append(running.server.start_seconds)
                self.memory[running.service.name].append(running.server.memory())
            return pairs

    def _compare(self, yardstick: Running, doorcode: Running, operation: Operation) -> Pair:
        pair = Measurement(), Measurement()
        for running in (yardstick, doorcode):
            self._load(running, operation, self._seconds * WARM_UP)
        for _ in range(max(1, round(self._seconds / TURN))):
            for running, measurement in zip((yardstick, doorcode), pair, strict=True):
                self._measure(running, operation, measurement)
        return pair

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[list[Running]]:
        with ExitStack() as at_the_end:
            running = []
            for service in self._services:
                database, port = await self._databases.copy(_identifier(service)), free_port()
                environment = service.environment(database, self._directory)
                server = Server(service.arguments(port), port, environment, self._directory)
                at_the_end.callback(server.stop)
                running.append(Running(service, database, server))
            yield running

    def _measure(self, running: Running, operation: Operation, into: Measurement) -> None:
        before = running.server.cpu_seconds()
        load = self._load(running, operation, min(TURN, self._seconds))
        if load.errors:
            name = f"{running.service.name}, {operation.name}"
            raise SystemExit(f"{name}: {load.errors} errors, the first: {load.first_error}")
        into.loads.append(load)
        into.cpu_seconds += running.server.cpu_seconds() - before

    def _load(self, running: Running, operation: Operation, seconds: float) -> Load:
        requests = self._requests(running.service, operation)
        first = self._positions.get(requests, 0)
        done = load(running.server, seconds, first, operation.expected, requests, self._connections)
        self._positions[requests] = done.next
        return done

    def _requests(self, service: Service, operation: Operation) -> Path:
        return self._directory / f"{_identifier(service)}-{operation.name}.requests"


def _identifier(service: Service) -> str:
    return type(service).__name__.lower()


async def run(options: argparse.Namespace) -> None:
    """Everything that was asked for."""
    operations = [OPERATIONS[name] for name in options.operations.split(",")]
    kinds = ["sqlite", "postgres"] if options.db == "both" else [options.db]
    if options.rounds:
        print(TABLE, flush=True)
    processes: list[str] = []
    for kind in kinds:
        async with _bench(kind, options.people, options.seconds) as bench:
            await bench.prepare(operations)
            rounds = [await bench.measure(operations) for _ in range(options.rounds)]
            for operation, pairs in zip(operations, zip(*rounds, strict=True), strict=False):
                print(_row(kind, operation, pairs), flush=True)
            processes += [
                f"| {kind} | {name} | {_of(bench.starts, name)} | {_of(bench.memory, name)} |" for name in bench.starts
            ]
    if options.rounds:
        print(f"\n{PROCESSES}", *processes, sep="\n", flush=True)
    if options.plot:
        options.plot.write_text(draw(await _growth(kinds, options.seconds, options.rounds)))
    print("\nBoth services refuse bad codes and store only hashes.", "No request failed." if options.rounds else "")


@asynccontextmanager
async def _bench(kind: str, people: int, seconds: float, connections: int = CONNECTIONS) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="doorcode-bench-") as scratch:
        directory = Path(scratch)
        databases = SqliteDatabases(directory) if kind == "sqlite" else await PostgresDatabases.start()
        yield Bench(databases, Workload(people, int(time.time())), directory, seconds, connections)


def _of(measured: dict[str, list[float]], name: str) -> str:
    return f"{median(measured[name]):.2f}" if measured[name] else ""


async def _growth(kinds: list[str], seconds: float, rounds: int) -> list[Series]:
    """The CPU of an exchange against the number of users and sessions, and of connections."""
    exchange, series = OPERATIONS["exchange"], []
    for kind in kinds:
        for axis, steps in AXES.items():
            costs: dict[str, list[tuple[int, float]]] = {}
            for step in steps:
                people, connections = (step, CONNECTIONS) if axis == USERS else (SOME_PEOPLE, step)
                async with _bench(kind, people, seconds, connections) as bench:
                    await bench.prepare([exchange])
                    pairs = [(await bench.measure([exchange]))[0] for _ in range(max(1, rounds))]
                for name, of_service in zip(bench.starts, zip(*pairs, strict=True), strict=True):
                    costs.setdefault(name, []).append((step, median(one.cpu for one in of_service)))
            series += [Series(axis, f"{name}, {kind}", points) for name, points in costs.items()]
    return series


def _row(kind: str, operation: Operation, pairs: Sequence[Pair]) -> str:
    speeds = [yardstick.cpu / doorcode.cpu for yardstick, doorcode in pairs]
    ours = [doorcode for _, doorcode in pairs]
    cells = (
        kind,
        operation.name,
        f"{median(yardstick.cpu for yardstick, _ in pairs):.3f}",
        f"{median(one.cpu for one in ours):.3f}",
        f"**{median(speeds):.2f}** ({min(speeds):.2f}–{max(speeds):.2f})",
        f"{median(one.rate for one in ours):,.0f}",
        *(f"{median(one.latency(share) for one in ours):.1f}" for share in ("p50", "p95", "p99")),
    )
    return f"| {' | '.join(cells)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--db", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=5, help="0 only checks that both services do the work")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each service and operation in a round")
    parser.add_argument(
        "--operations",
        default="exchange,first,mixed,viewer,page,seats,search",
        help="of exchange, first (visit of the hour), mixed (5 %% newcomers), viewer, page (50 users), seats and search; "
        "the last three by an API key",
    )
    parser.add_argument("--quick", action="store_true", help="exchange and mixed on SQLite, two short rounds")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also measure how the cost grows, and write it as SVG"
    )
    parser.add_argument("--people", type=int, default=10_000, help="users, and sessions, that there are beforehand")
    options = parser.parse_args()
    if options.quick:
        options.db, options.operations, options.rounds, options.seconds = "sqlite", "exchange,mixed", 2, 1.0
    return options


if __name__ == "__main__":
    asyncio.run(run(_options()))
