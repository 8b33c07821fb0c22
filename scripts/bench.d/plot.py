"""Draws how the cost of an exchange grows, as SVG: one panel for each axis, one line for each service and database.

It follows the colour scheme of its reader, light or dark.
"""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380, 300, 56, 16, 52, 56
LEGEND = 22  # height of a line
SLOTS = 6  # colours, beginning again after the last
STYLE = """
svg { font: 13px system-ui, sans-serif; --ink: #1f2328; --faint: #d0d7de; --paper: #ffffff;
  --c0: #0a58ca; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #0f766e; --c5: #be123c }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --faint: #3d444d; --paper: #0d1117;
  --c0: #6cb0ff; --c1: #ff9d5c; --c2: #5fd38d; --c3: #cf9bff; --c4: #4fd1c5; --c5: #ff8fa3 } }
text { fill: var(--ink) } .title { font-weight: 600 } .grid { stroke: var(--faint) } .paper { fill: var(--paper) }
polyline { fill: none; stroke-width: 2 }
"""


@dataclass(frozen=True)
class Series:
    """The cost of one service on one database: microseconds of CPU for a request, at each value of the axis."""

    axis: str
    name: str
    points: list[tuple[int, float]]


def draw(series: list[Series]) -> str:
    """Return the plot. Both the panels and the names of the lines are in the order of `series`."""
    axes = list(dict.fromkeys(one.axis for one in series))
    names = list(dict.fromkeys(one.name for one in series))
    top = _ceiling(max((cost for one in series for _, cost in one.points), default=1.0))
    panels = [
        f'<g transform="translate({number * WIDTH} 0)">{_panel(axis, series, names, top)}</g>'
        for number, axis in enumerate(axes)
    ]
    columns = max(1, len(axes))
    legend = [_legend(names, number, columns) for number in range(len(names))]
    width, height = WIDTH * columns, HEIGHT + LEGEND * (math.ceil(len(names) / columns) + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
        "<title>CPU of the server for one exchange</title>\n"
        f"<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{width}" height="{height}"/>\n' + "\n".join([*panels, *legend]) + "\n</svg>\n"
    )


def _ceiling(cost: float) -> float:
    """Return a number above the cost whose quarters are round."""
    power = 10.0 ** math.floor(math.log10(cost))
    return next(factor * power for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if factor * power >= cost)


def _legend(names: list[str], number: int, columns: int) -> str:
    x, y = LEFT + WIDTH * (number % columns), HEIGHT + LEGEND * (number // columns + 1)
    return (
        f'<line x1="{x}" x2="{x + 24}" y1="{y - 4}" y2="{y - 4}" {_stroke(number)} stroke-width="2"/>'
        f'<text x="{x + 32}" y="{y}">{escape(names[number])}</text>'
    )


def _stroke(number: int) -> str:
    dashes = "" if number < SLOTS else ' stroke-dasharray="5 4"'
    return f'style="stroke: var(--c{number % SLOTS})"{dashes}'


def _panel(axis: str, series: list[Series], names: list[str], top: float) -> str:
    shown = [one for one in series if one.axis == axis]
    values = sorted({value for one in shown for value, _ in one.points})
    low, high = math.log10(values[0]), math.log10(values[-1])
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(value: float) -> float:
        return LEFT + 14 + (right - LEFT - 28) * (math.log10(value) - low) / ((high - low) or 1)

    def y(cost: float) -> float:
        return floor - (floor - TOP) * cost / top

    parts = [f'<text class="title" x="{LEFT}" y="28">µs of CPU for an exchange, by {escape(axis)}</text>']
    parts += [f'<text x="{x(value):.0f}" y="{floor + 22}" text-anchor="middle">{value:,}</text>' for value in values]
    for step in range(5):
        cost = top * step / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y(cost):.0f}" y2="{y(cost):.0f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(cost) + 4:.0f}" text-anchor="end">{cost:,.0f}</text>')
    for one in shown:
        number = names.index(one.name)
        places = [(x(value), y(cost)) for value, cost in one.points]
        line = " ".join(f"{left:.1f},{height:.1f}" for left, height in places)
        parts.append(f'<polyline points="{line}" {_stroke(number)}/>')
        parts += [
            f'<circle cx="{left:.1f}" cy="{height:.1f}" r="3" style="fill: var(--c{number % SLOTS})"/>'
            for left, height in places
        ]
    return "".join(parts)
