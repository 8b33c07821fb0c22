"""Counts of each UTC day, for the overview of the panel: sign-ins, refusals by reason, mails, and refused origins.

A row holds one count of one day, so a sign-in has no row of its own. `service/audit/pending.py` collects the counts of
a process in memory and writes them together with the audit events. An upsert adds to a count, also from several
processes at once.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.audit.models import DailyCount
from service.clock import now
from service.database import ManyRows, purge_expired
from service.errors import BadUserInput

MAX_DAYS = 100
MAX_ORIGINS = 20  # of a day in one process: strangers choose them
OTHER_ORIGINS = "other origins"

_KEPT_FOR = timedelta(days=MAX_DAYS + 1)
_ROWS = ManyRows(
    "daily_counts",
    "id, day, subject, name, count, last_at",
    "ON CONFLICT (id) DO UPDATE SET count = daily_counts.count + excluded.count, last_at = CASE"
    " WHEN excluded.last_at > daily_counts.last_at THEN excluded.last_at ELSE daily_counts.last_at END",
)


class Counted(StrEnum):
    """What is counted. The name of a count is a sign-in method, a reason, a result of a mail, or an origin."""

    SIGN_IN = "sign_in"
    REFUSAL = "refusal"
    MAIL = "mail"
    REFUSED_ORIGIN = "refused_origin"


Taken = dict[tuple[date, Counted, str], tuple[int, datetime]]
"""Each count and the time of the last one, by day, subject and name."""


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of the counts of one name over some days, and when the last one was counted."""

    name: str
    count: int
    last_at: datetime


@dataclass(slots=True)
class SignInDay:
    """The sign-ins and the refusals of one UTC day."""

    day: date
    sign_ins: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    """By reason."""


class DailyCounts:
    """The counts of one process that are not written yet."""

    def __init__(self) -> None:
        self._counts: Taken = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, subject: Counted, name: str) -> None:
        """Count one, today."""
        moment = now()
        key = moment.date(), subject, name
        self._counts[key] = self._counts.get(key, (0, moment))[0] + 1, moment

    def add_refused_origin(self, origin: str) -> None:
        """Count a request of an origin. All origins beyond the first `MAX_ORIGINS` share one count."""
        known = [name for _, subject, name in self._counts if subject is Counted.REFUSED_ORIGIN]
        is_kept = origin in known or len(known) < MAX_ORIGINS
        self.add(Counted.REFUSED_ORIGIN, origin if is_kept else OTHER_ORIGINS)

    def take(self) -> Taken:
        """Return the counts, and begin at zero."""
        taken, self._counts = self._counts, {}
        return taken

    def keep(self, taken: Taken) -> None:
        """Add counts that were taken and could not be written."""
        for key, (count, last_at) in taken.items():
            here, newest = self._counts.get(key, (0, last_at))
            self._counts[key] = here + count, max(newest, last_at)


async def count_one(subject: Counted, name: str) -> None:
    """Count one at once, for what happens seldom."""
    moment = now()
    await write_counts({(moment.date(), subject, name): (1, moment)})


async def write_counts(taken: Taken) -> None:
    """Add the counts to the table, in the order of their keys, so that two processes lock rows in the same order."""
    rows = (
        (f"{day} {subject} {name}", day, subject, name, count, last_at)
        for (day, subject, name), (count, last_at) in taken.items()
    )
    await _ROWS.write(sorted(rows))


async def sign_in_days(days: int) -> list[SignInDay]:
    """Return one entry for each day (UTC), oldest first, today last.

    Raises `BadUserInput` if `days` is not between 1 and 100.
    """
    if not 1 <= days <= MAX_DAYS:
        raise BadUserInput(f"`days` must be between 1 and {MAX_DAYS}.")
    first = now().date() - timedelta(days=days - 1)
    found = {day: SignInDay(day) for day in (first + timedelta(days=number) for number in range(days))}
    subjects = (Counted.SIGN_IN, Counted.REFUSAL)
    for row in await DailyCount.filter(day__gte=first, subject__in=subjects).order_by("-count", "name"):
        day = found.setdefault(row.day, SignInDay(row.day))  # another process may be past midnight already
        if row.subject == Counted.SIGN_IN:
            day.sign_ins += row.count
        else:
            day.refusals[row.name] = row.count
    return list(found.values())


async def totals(subject: Counted, days: int) -> list[Total]:
    """Return the sums of the last days, today included, by name, the largest first."""
    first = now().date() - timedelta(days=days - 1)
    found: dict[str, Total] = {}
    for row in await DailyCount.filter(day__gte=first, subject=subject):
        before = found.get(row.name, Total(row.name, 0, row.last_at))
        found[row.name] = Total(row.name, before.count + row.count, max(before.last_at, row.last_at))
    return sorted(found.values(), key=lambda total: (-total.count, total.name))


async def purge_daily_counts(batch: int) -> int:
    """Delete at most `batch` counts that are older than `MAX_DAYS` days, and return how many were deleted."""
    return await purge_expired("daily_counts", "id", "last_at", batch, kept_for=_KEPT_FOR)
