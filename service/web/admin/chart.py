"""Computes the charts of the panel: seats over time, and sign-ins by day. A table beside each has the same numbers.

The coordinates are those of a box of `WIDTH` by `HEIGHT`, which the page stretches to its own width. The labels are
HTML, so that they have the size of the text around them at every width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

WIDTH, HEIGHT = 1_000, 200
_STEPS = (1, 2, 2.5, 5, 10)
_INTERVALS, _BEST_INTERVALS = range(2, 7), 4
_GAP = 0.25  # of the width of a day, between two bars


class Sample(TypedDict):
    """A day of the seat history, with the field names of the schema."""

    date: str
    used: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Area:
    """The place of a day: the tooltip with its numbers is shown there."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a bar chart."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The vertical scale. It begins at zero, so that heights can be compared."""

    top: int
    step: int

    @classmethod
    def up_to(cls, highest: int) -> "Scale":
        """Return the lowest scale of 2 to 6 round steps that reaches the highest value."""
        scales = [cls(step * count, step) for count in _INTERVALS for step in [_round_step(max(highest, 2), count)]]
        return min(scales, key=lambda scale: (scale.top, abs(scale.top // scale.step - _BEST_INTERVALS)))

    @property
    def labels(self) -> list[str]:
        """The labels from the top to zero, at equal distances."""
        return [f"{value:,}" for value in range(self.top, -1, -self.step)]

    @property
    def lines(self) -> list[float]:
        """The heights of the labels."""
        return [self.y(value) for value in range(0, self.top + 1, self.step)]

    def y(self, value: int) -> float:
        """Return the coordinate of a value."""
        return round(HEIGHT - value / self.top * HEIGHT, 1)


@dataclass(frozen=True, slots=True)
class Chart:
    """What every chart has: its scale, its days, and their first, middle and last day as labels."""

    scale: Scale
    areas: list[Area]
    day_labels: list[str]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class SeatChart(Chart):
    """A line of used seats, and the limit as steps."""

    used: str = ""
    area: str = ""
    limits: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SignInChart(Chart):
    """A bar of sign-ins for each day, and the refusals on top of it."""

    sign_ins: Sequence[Bar] = ()
    refusals: Sequence[Bar] = ()


def seat_chart(history: Sequence[Sample]) -> SeatChart:
    """Return the chart of at least one day."""
    scale = Scale.up_to(max(max(day["used"], day["limit"] or 0) for day in history))
    width = WIDTH / len(history)
    # A value holds at the end of its day, so the line passes through the middle of each day's place.
    points = [f"{round((n + 0.5) * width, 1)},{scale.y(day['used'])}" for n, day in enumerate(history)]
    first, last = f"0,{scale.y(history[0]['used'])}", f"{WIDTH},{scale.y(history[-1]['used'])}"
    line = " ".join([first, *points, last])
    titles = [
        f"{day['date'][:10]}: {day['used']:,} in use, {'no limit' if day['limit'] is None else 'limit {:,}'.format(day['limit'])}"
        for day in history
    ]
    return SeatChart(
        scale,
        _areas(titles),
        _labels([day["date"] for day in history]),
        used=line,
        area=f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}",
        limits=_steps_of([day["limit"] for day in history], scale),
    )


def sign_in_chart(days: Sequence[tuple[str, int, int]]) -> SignInChart:
    """Return the chart of at least one day, each with its date, its sign-ins and its refusals."""
    scale = Scale.up_to(max(sign_ins + refused for _, sign_ins, refused in days))
    titles = [f"{date[:10]}: {sign_ins:,} sign-ins, {refused:,} refused" for date, sign_ins, refused in days]
    bars = [
        (_bar(n, len(days), 0, sign_ins, scale), _bar(n, len(days), sign_ins, refused, scale))
        for n, (_, sign_ins, refused) in enumerate(days)
    ]
    return SignInChart(
        scale,
        _areas(titles),
        _labels([date for date, *_ in days]),
        sign_ins=[below for below, _ in bars if below.height],
        refusals=[above for _, above in bars if above.height],
    )


def _round_step(highest: int, count: int) -> int:
    """Return the smallest whole step of 1, 2, 2.5 or 5 times a power of ten of which `count` reach the highest value."""
    power = 1
    while True:
        for step in _STEPS:
            if step * power * count >= highest and step * power == int(step * power):
                return int(step * power)
        power *= 10


def _areas(titles: Sequence[str]) -> list[Area]:
    width = WIDTH / len(titles)
    return [Area(round(number * width, 2), round(width, 2), title) for number, title in enumerate(titles)]


def _labels(dates: Sequence[str]) -> list[str]:
    """Return the first, the middle and the last day. Of one or two days, each once."""
    chosen = dict.fromkeys((0, (len(dates) - 1) // 2, len(dates) - 1))
    return [dates[number][:10] for number in chosen]


def _bar(number: int, days: int, bottom: int, value: int, scale: Scale) -> Bar:
    width = WIDTH / days
    y = scale.y(bottom + value)
    left = round((number + _GAP / 2) * width, 2)
    return Bar(left, y, round(width * (1 - _GAP), 2), round(scale.y(bottom) - y, 1))


def _steps_of(limits: Sequence[int | None], scale: Scale) -> list[str]:
    """Return the lines of consecutive days with a limit: level on each day, and upright where the limit changes."""
    width = WIDTH / len(limits)
    lines: list[list[str]] = []
    before: int | None = None
    for number, limit in enumerate(limits):
        if limit is not None:
            if before is None:
                lines.append([])
            y = scale.y(limit)
            lines[-1] += [f"{round(number * width, 1)},{y}", f"{round((number + 1) * width, 1)},{y}"]
        before = limit
    return [" ".join(line) for line in lines]
