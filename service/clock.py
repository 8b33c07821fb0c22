"""The current time in UTC, rounding it, and durations in words."""

import re
from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

# RFC 3339, section 5.6. Python's own parser accepts more, such as times without an offset.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-5][0-9])", re.IGNORECASE
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class WrittenTime(str):
    """A time as answers write it: RFC 3339 in UTC, with `Z`, and with six digits of a second or none."""

    __slots__ = ()


def now() -> datetime:
    """Return the current time in UTC. SQLite compares times as text, which is wrong for other zones."""
    return datetime.now(UTC)


def to_the_second(moment: datetime) -> str:
    """Return a time as text for people, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def floor(moment: datetime, step: timedelta) -> datetime:
    """Return the moment rounded down to a multiple of `step`.

    Uses are recorded to the minute or the hour, so that one row is not written by every request.
    """
    return moment - (moment - _BEGINNING) % step


def parse_time(text: str) -> datetime:
    """Return a time of RFC 3339 in UTC, cut off to microseconds. Raises `ValueError` with the reason."""
    if not _RFC_3339.fullmatch(text):
        raise ValueError("is no time with its offset from UTC, such as 2030-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is a time that does not exist") from None


def duration_in_words(seconds: int) -> str:
    """Return a duration for a reader, rounded up to minutes from two minutes on, and to hours from two hours on."""
    duration = timedelta(seconds=seconds)
    for unit, name in ((HOUR, "hours"), (MINUTE, "minutes")):
        if duration >= 2 * unit:
            return f"{-(-duration // unit)} {name}"
    return f"{seconds} {'second' if seconds == 1 else 'seconds'}"
