"""Compares Doorcode with a bare Starlette service that does the same work, and with graphql-yoga on Node, on this machine.

All answer 32 keep-alive connections from one process; a session is committed before it is answered (SQLite: WAL,
synchronous=NORMAL; PostgreSQL: synchronous_commit=on). The server has the first core, the load client and PostgreSQL
have the others. They take short turns, and every figure is the median over the rounds.

CPU for a request is the figure to compare: other work on the machine disturbs it least. "× Starlette" is Starlette's
CPU divided by Doorcode's; of p99 it is Doorcode's divided by Starlette's. Needs Linux.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from growth import growth
from measuring import Measurement, bench_on, progress
from plot import draw
from services import OPERATIONS, Doorcode, Operation, Service, Yardstick, Yoga, services_for
from workload import Workload

AT_MANY = ("exchange", "page", "seats", "search")
PROCESSES = "| database | service | start to first answer, s | memory after load, MiB |\n|---|---|---|---|"
QUICK = "exchange,first,mixed"
ROW = tuple[Operation, tuple[list[Measurement], ...]]


async def run(options: argparse.Namespace) -> None:
    """Everything that was asked for."""
    operations = [OPERATIONS[name] for name in options.operations.split(",")]
    kinds = ["sqlite", "postgres"] if options.db == "both" else [options.db]
    if (reason := Yoga.missing()) is not None:
        progress(f"graphql-yoga is left out: {reason}")
    processes: list[str] = []
    for number, kind in enumerate(kinds):
        few = await _measure(kind, options.people, operations, options, processes, with_head=number == 0)
        if options.many and options.rounds:
            at_many = [OPERATIONS[name] for name in AT_MANY if OPERATIONS[name] in operations]
            many = await _measure(kind, options.many, at_many, options, [])
            if AT_MANY[0] in few and AT_MANY[0] in many:
                grown = " and ".join(
                    f"{many[AT_MANY[0]][name] / few[AT_MANY[0]][name]:.2f} (`{name}`)" for name in few[AT_MANY[0]]
                )
                print(f"\n{kind}: an exchange at {options.many:,} users costs × {grown} of {options.people:,} users.\n")
    if options.rounds:
        print(f"\n{PROCESSES}", *processes, sep="\n", flush=True)
    if options.plot:
        options.plot.write_text(draw(await growth(kinds, options.seconds, options.rounds, options.minutes)))
    print("\nBoth services refuse bad codes and store only hashes.", "No request failed." if options.rounds else "")


async def _measure(
    kind: str,
    people: int,
    operations: list[Operation],
    options: argparse.Namespace,
    processes: list[str],
    *,
    with_head: bool = False,
) -> dict[str, dict[str, float]]:
    """Print a row for each operation. Return the CPU of each service, by operation."""
    workload = Workload(people, int(time.time()))
    services = services_for(workload)
    if options.rounds and with_head:
        print(_head(services), flush=True)
    async with bench_on(kind, workload, services, options.seconds) as bench:
        await bench.fill(operations)
        await bench.check()
        rounds = [await bench.measure(operations) for _ in range(options.rounds)]
        costs: dict[str, dict[str, float]] = {}
        for operation, measured in zip(operations, zip(*rounds, strict=True), strict=False):
            by_service = dict(zip(bench.starts, zip(*measured, strict=True), strict=True))
            print(_row(kind, people, operation, by_service), flush=True)
            costs[operation.name] = {name: median(one.cpu for one in of) for name, of in by_service.items()}
        processes += [
            f"| {kind} | {name} | {_of(bench.starts[name])} | {_of(bench.memory[name])} |" for name in bench.starts
        ]
        return costs


def _of(measured: list[float]) -> str:
    return f"{median(measured):.2f}" if measured else ""


def _head(services: Sequence[Service]) -> str:
    names = [service.name for service in services]
    others = [name for name in names if name != Doorcode.name]
    cells = [
        *("database", "operation", "users"),
        *(f"CPU µs: {name}" for name in names),
        *(f"× {name} (lowest–highest)" for name in others),
        *(f"PostgreSQL's CPU µs: {name}" for name in names),
        *("Doorcode req/s", "p50 ms", "p99 ms", f"p99 × {Yardstick.name}"),
    ]
    return f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}"


def _row(kind: str, people: int, operation: Operation, by_service: dict[str, tuple[Measurement, ...]]) -> str:
    ours = by_service[Doorcode.name]
    others = [of for name, of in by_service.items() if name != Doorcode.name]

    def compared(of: tuple[Measurement, ...]) -> str:
        speeds = [other.cpu / own.cpu for other, own in zip(of, ours, strict=True)]
        return f"**{median(speeds):.2f}** ({min(speeds):.2f}–{max(speeds):.2f})"

    def tail(of: tuple[Measurement, ...]) -> float:
        return median(one.latency("p99") for one in of)

    cells = [
        *(kind, operation.name, f"{people:,}"),
        *(f"{median(one.cpu for one in of):.0f}" for of in by_service.values()),
        *(compared(of) for of in others),
        *(f"{median(one.database_cpu for one in of):.0f}" for of in by_service.values()),
        f"{median(one.rate for one in ours):,.0f}",
        f"{median(one.latency('p50') for one in ours):.1f}",
        f"{tail(ours):.1f}",
        f"{tail(ours) / tail(by_service[Yardstick.name]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--db", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=5, help="0 only checks that the services do the work")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each service and operation in a round")
    parser.add_argument(
        "--operations",
        default=",".join(OPERATIONS),
        help="of exchange, first (visit of the hour), mixed (5 %% newcomers), viewer, page (50 users), seats and search; "
        "the last three by an API key",
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} on SQLite, two short rounds, no large database")
    parser.add_argument("--people", type=int, default=10_000, help="users, and sessions, that there are beforehand")
    parser.add_argument(
        "--many",
        type=int,
        default=1_000_000,
        help=f"users of a second database, for {', '.join(AT_MANY)}; 0 leaves it out. Filling it takes minutes",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also measure how the cost grows, and write an SVG")
    parser.add_argument("--minutes", type=float, default=20.0, help="after which no step of the plot begins")
    options = parser.parse_args()
    if options.quick:
        options.db, options.operations, options.rounds, options.seconds, options.many = "sqlite", QUICK, 2, 1.0, 0
    return options


if __name__ == "__main__":
    asyncio.run(run(_options()))
