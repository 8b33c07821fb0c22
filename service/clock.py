"""The current time in UTC, and rounding it."""

from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_BEGINNING = datetime.min.replace(tzinfo=UTC)


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
