"""The time, in UTC, and how coarsely it is noted."""

from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def now() -> datetime:
    """Now, in UTC: other zones compare wrongly as text on SQLite."""
    return datetime.now(UTC)


def to_the_second(moment: datetime) -> str:
    """A time for people, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def floor(moment: datetime, step: timedelta) -> datetime:
    """The moment rounded down: a use noted to the minute or the hour makes no hot row."""
    return moment - (moment - _BEGINNING) % step
