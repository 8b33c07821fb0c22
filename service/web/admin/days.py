"""Days in the panel: those of the admin's time zone, which the script of the page names in each form with a date.

Without the script, days are in UTC, and the page says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZONE = "zone"
"""The field of a form, and the parameter of a page, that names the time zone."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days of one time zone."""

    name: str
    zone: tzinfo

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "Days":
        """Return the days of the time zone that a form or a URL names (IANA). UTC if it names none that exists."""
        name = values.get(ZONE)
        try:
            return cls(str(name), ZoneInfo(str(name))) if name else cls("UTC", UTC)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # also a name with `..`, or the name of a directory
            return cls("UTC", UTC)

    def before(self, day: date) -> str:
        """Return the last moment before a day."""
        return (self._start(day) - timedelta(microseconds=1)).isoformat()

    def after(self, day: date) -> str:
        """Return the first moment after a day."""
        return self._start(day + timedelta(days=1)).isoformat()

    def last_second(self, day: date) -> str:
        """Return the last second of a day, so that what ends then holds on that day."""
        return (self._start(day + timedelta(days=1)) - timedelta(seconds=1)).isoformat()

    def _start(self, day: date) -> datetime:
        """Return midnight in UTC. Where clocks skip midnight, the first moment of the day."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)


def day_of(text: str | None) -> date | None:
    """Return the day of a date field. None if it is empty or not a date that has days before and after it."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if date(1, 1, 3) < day < date(9999, 12, 29) else None
