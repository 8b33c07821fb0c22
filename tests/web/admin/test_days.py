"""Days in the panel: those of the admin's time zone."""

from datetime import date

import pytest

from service.web.admin.days import Days, day_of


def test_days_are_those_of_the_named_zone() -> None:
    days = Days.of({"zone": "Pacific/Kiritimati"})  # 14 hours ahead of UTC

    assert days.before(date(2026, 11, 25)) == "2026-11-24T09:59:59.999999+00:00"
    assert days.after(date(2026, 11, 25)) == "2026-11-25T10:00:00+00:00"
    assert days.last_second(date(2026, 11, 25)) == "2026-11-25T09:59:59+00:00"


def test_day_on_which_clocks_change_is_an_hour_longer() -> None:
    days = Days.of({"zone": "Europe/Berlin"})

    assert days.before(date(2026, 10, 25)) == "2026-10-24T21:59:59.999999+00:00"
    assert days.after(date(2026, 10, 25)) == "2026-10-25T23:00:00+00:00"


@pytest.mark.parametrize(
    "zone", [None, "", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 5000]
)
def test_unknown_zones_are_utc(zone: str | None) -> None:
    days = Days.of({"zone": zone})

    assert days.name == "UTC"
    assert days.after(date(2026, 1, 1)) == "2026-01-02T00:00:00+00:00"


@pytest.mark.parametrize("text", [None, "", "soon", "0001-01-01", "9999-12-31", "2026-02-30"])
def test_what_is_no_day_filters_nothing(text: str | None) -> None:
    assert day_of(text) is None
