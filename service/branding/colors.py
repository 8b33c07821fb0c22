"""Accent colours: their contrast with the pages, and the colours that follow from them.

WCAG 2.2 AA wants 3 : 1 for a button against the page (1.4.11) and 4.5 : 1 for the text on it (1.4.3). The text is black or white,
whichever has more contrast: one of them always has 4.58 : 1 or more.
"""

import re
from dataclasses import dataclass

MIN_CONTRAST = 3.0
_COLOR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE | re.ASCII)
_WHITE, _BLACK = "#ffffff", "#000000"
_HOVER = 0.14  # how far a pressed or hovered button is mixed with the colour that its text has more contrast to


@dataclass(frozen=True, slots=True)
class Theme:
    """The backgrounds behind an accent, as `static/doorcode.css` has them."""

    name: str
    grounds: tuple[str, ...]
    advice: str


LIGHT = Theme("light", ("#ffffff", "#f3f4f7"), "Choose a darker colour")
DARK = Theme("dark", ("#191d24", "#101318"), "Choose a lighter colour")


@dataclass(frozen=True, slots=True)
class Accent:
    """An accent and what follows from it: `strong` for a hovered button, `text` for the text on both."""

    color: str
    strong: str
    text: str


def parse_color(text: str) -> str:
    """Return a colour as `#rrggbb` in lower case. Raises `ValueError` for another spelling."""
    if not _COLOR.fullmatch(text):
        raise ValueError("not a colour")
    return text.lower()


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def missing_contrast(color: str, theme: Theme) -> float | None:
    """Return the smallest contrast of the accent with a background of the theme, if it is too small. Else None."""
    smallest = min(contrast(color, ground) for ground in theme.grounds)
    return smallest if smallest < MIN_CONTRAST else None


def accent_of(color: str) -> Accent:
    """Return the accent with the text that can be read on it."""
    text, other = sorted((_WHITE, _BLACK), key=lambda candidate: contrast(color, candidate), reverse=True)
    return Accent(color, _mixed(color, other, _HOVER), text)


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    """Return the relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _mixed(color: str, other: str, part: float) -> str:
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * part):02x}" for one, two in pairs)
