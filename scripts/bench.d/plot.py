"""Draws how the cost of a request grows, as SVG: one panel for each axis, one line for each service and database."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 320, 60, 40, 50
COLOURS = ("#1b6ac9", "#c2410c", "#15803d", "#7e22ce", "#0f766e", "#be123c")


@dataclass(frozen=True)
class Series:
    """The cost of one service on one database: CPU seconds for 1,000 requests, at each value of the axis."""

    axis: str
    name: str
    points: list[tuple[int, float]]


def draw(series: list[Series]) -> str:
    """Return the plot. Both the panels and the names of the lines are in the order of `series`."""
    axes = list(dict.fromkeys(one.axis for one in series))
    names = list(dict.fromkeys(one.name for one in series))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    top = max((cost for one in series for _, cost in one.points), default=1.0) * 1.1
    panels = [
        f'<g transform="translate({number * WIDTH} 0)">{_panel(axis, series, colours, top)}</g>'
        for number, axis in enumerate(axes)
    ]
    legend = [
        f'<text x="{LEFT + 10}" y="{HEIGHT + 22 * (number + 1)}" fill="{colours[name]}">{escape(name)}</text>'
        for number, name in enumerate(names)
    ]
    width, height = WIDTH * max(1, len(axes)), HEIGHT + 22 * (len(names) + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">\n'
        "<title>CPU seconds for 1,000 exchanges</title>\n"
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join([*panels, *legend]) + "\n</svg>\n"
    )


def _panel(axis: str, series: list[Series], colours: dict[str, str], top: float) -> str:
    shown = [one for one in series if one.axis == axis]
    values = sorted({value for one in shown for value, _ in one.points})
    low, high = math.log10(values[0]), math.log10(values[-1])
    right, floor = WIDTH - 30, HEIGHT - BOTTOM

    def x(value: float) -> float:
        return LEFT + (right - LEFT) * (math.log10(value) - low) / ((high - low) or 1)

    def y(cost: float) -> float:
        return floor - (floor - TOP) * cost / top

    parts = [f'<text x="{LEFT}" y="22">CPU s for 1,000 exchanges against {escape(axis)}</text>']
    parts += [f'<text x="{x(value):.0f}" y="{floor + 20}" text-anchor="middle">{value:,}</text>' for value in values]
    for step in range(5):
        cost = top * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y(cost):.0f}" y2="{y(cost):.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(cost) + 4:.0f}" text-anchor="end">{cost:.2f}</text>')
    for one in shown:
        places = " ".join(f"{x(value):.1f},{y(cost):.1f}" for value, cost in one.points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colours[one.name]}" stroke-width="2"/>')
    return "".join(parts)
