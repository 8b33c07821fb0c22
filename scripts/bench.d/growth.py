"""Measures how the cost of an exchange grows with users, sessions and connections, within a bound of time, for the plot."""

import time
from collections.abc import Sequence
from statistics import median

from measuring import bench_on, progress
from plot import Series
from processes import CONNECTIONS
from services import OPERATIONS, services_for
from workload import Workload

EXCHANGE = OPERATIONS["exchange"]
USERS, SESSIONS, CONNECTED = "users", "sessions", "connections"
AXES = {USERS: (1_000, 10_000, 100_000), SESSIONS: (1_000, 100_000), CONNECTED: (1, 8, 32, 128)}
FEW = 1_000  # sessions, and users where connections grow
MANY_USERS = 10_000  # who hold the sessions that grow: a user has few of them


async def growth(kinds: Sequence[str], seconds: float, rounds: int, minutes: float) -> list[Series]:
    """Return a line for each axis, service and database. Steps that would begin after `minutes` are left out."""
    until = time.monotonic() + minutes * 60
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for step, axis, kind in sorted(
        (step, axis, kind) for axis, steps in AXES.items() for step in steps for kind in kinds
    ):
        if time.monotonic() > until:
            progress(f"left out, because {minutes:g} minutes are over: {step:,} {axis} on {kind}")
            continue
        progress(f"{step:,} {axis} on {kind}")
        for name, cost in (await _costs(axis, step, kind, seconds, rounds)).items():
            lines.setdefault((axis, f"{name}, {_NAMES[kind]}"), []).append((step, cost))
    return [
        Series(axis, name, lines[axis, name]) for axis, name in sorted(lines, key=lambda of: list(AXES).index(of[0]))
    ]


_NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


async def _costs(axis: str, step: int, kind: str, seconds: float, rounds: int) -> dict[str, float]:
    """Return the CPU of each service for one exchange, in microseconds: the median of the rounds."""
    people = {USERS: step, SESSIONS: MANY_USERS, CONNECTED: FEW}[axis]
    workload = Workload(people, int(time.time()), sessions=step if axis == SESSIONS else FEW)
    async with bench_on(kind, workload, services_for(workload), seconds) as bench:
        await bench.fill([EXCHANGE])
        connections = step if axis == CONNECTED else CONNECTIONS
        measured = [(await bench.measure([EXCHANGE], connections))[0] for _ in range(max(1, rounds))]
        by_service = zip(*measured, strict=True)
        return {name: median(one.cpu for one in of) for name, of in zip(bench.starts, by_service, strict=True)}
