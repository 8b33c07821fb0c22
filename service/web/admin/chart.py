"""Computes the SVG chart of seats over time. The table below the chart has the same numbers."""

from dataclasses import dataclass
from typing import TypedDict

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 12, 24


class Sample(TypedDict):
    """A day, with the field names of the schema."""

    date: str
    used: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A horizontal line of the scale, and its label."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Coordinates in a box of `WIDTH` by `HEIGHT`, which the template draws."""

    width: int
    height: int
    left: int
    right: int
    used: str
    area: str
    limits: list[str]
    marks: list[Mark]
    first_day: str
    last_day: str


def chart_of(history: list[Sample]) -> Chart:
    """Return the chart of at least one day. The scale begins at zero, so that heights can be compared."""
    top = _round_up(max(max(day["used"], day["limit"] or 0) for day in history))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(history) - 1)

    def x(number: int) -> float:
        return round(_LEFT + number * step, 1)

    def y(seats: float) -> float:
        return round(HEIGHT - _BOTTOM - seats / top * (HEIGHT - _TOP - _BOTTOM), 1)

    points = [f"{x(n)},{y(day['used'])}" for n, day in enumerate(history)]
    ground = y(0)
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=WIDTH - _RIGHT,
        used=" ".join(points),
        area=f"{_LEFT},{ground} {' '.join(points)} {x(len(history) - 1)},{ground}",
        limits=[" ".join(f"{x(n)},{y(limit)}" for n, limit in run) for run in _runs_with_limit(history)],
        marks=[Mark(y(top * share), f"{round(top * share):,}") for share in (0, 0.5, 1)],
        first_day=history[0]["date"][:10],
        last_day=history[-1]["date"][:10],
    )


def _runs_with_limit(history: list[Sample]) -> list[list[tuple[int, int]]]:
    """Return the runs of consecutive days that had a limit. Between them the line is interrupted."""
    runs: list[list[tuple[int, int]]] = [[]]
    for number, day in enumerate(history):
        if day["limit"] is None:
            runs.append([])
        else:
            runs[-1].append((number, day["limit"]))
    return [run for run in runs if run]


def _round_up(highest: int) -> int:
    """Return the top of the scale: at least `highest`, at least 2, and 1, 2 or 5 followed by zeros."""
    size = 2
    while size < highest:
        leading = int(str(size)[0])
        size = size * 5 // 2 if leading == 2 else size * 2
    return size
