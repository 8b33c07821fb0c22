"""The seat limit. Its one row is locked by every transaction that creates, moves or renames a user, and by nothing else.

SQL by hand: atomic. The row is locked, the counters are raised, and the day's sample is replaced in one statement each.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from service.accounts.models import SeatSample, UserOrigin, UserStatus
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import Row, Statement, fetch_one, transaction, write
from service.errors import BadUserInput, SeatLimitReached

MAX_HISTORY_DAYS = 3_660
MAX_LIMIT = 2**31 - 1

_USED = "active_email + active_invitation + active_external_jwt"
_READ = "SELECT * FROM seats WHERE id = 1"
_COUNT = Statement(_READ)
_LOCK = Statement(_READ + " FOR UPDATE")
_SET_LIMIT = Statement("UPDATE seats SET seat_limit = $1 WHERE id = 1")
_SAMPLE = Statement(
    f"INSERT INTO seat_samples (day, used, seat_limit) VALUES ($1, (SELECT {_USED} FROM seats), (SELECT seat_limit FROM seats))"
    " ON CONFLICT (day) DO UPDATE SET used = excluded.used, seat_limit = excluded.seat_limit"
)
_ADD = {
    (origin, status): Statement(
        f"UPDATE seats SET {(column := f'{status}_{origin}'.lower())} = {column} + $1 WHERE id = 1"
    )
    for origin in UserOrigin
    for status in UserStatus
}


@dataclass(frozen=True, slots=True)
class SeatCount:
    """How many users there are by origin and status, and how many may be active."""

    limit: int | None
    users: dict[tuple[UserOrigin, UserStatus], int]

    @property
    def used(self) -> int:
        """Active users of every origin."""
        return sum(self.active(origin) for origin in UserOrigin)

    @property
    def available(self) -> int | None:
        """Free seats; None: no limit. Never negative, though the limit may have been lowered below what is used."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached or exceeded, so that no further user can become active."""
        return self.available == 0

    def active(self, origin: UserOrigin) -> int:
        """Active users of one origin."""
        return self.users[origin, UserStatus.ACTIVE]


async def count_seats() -> SeatCount:
    """The count as it is now."""
    return _count_of(await fetch_one(_COUNT))


async def lock_seats() -> SeatCount:
    """The count, which nobody else changes before this transaction ends.

    The race it stops: two newcomers who both see the last seat free, or one newcomer who arrives twice at once. Look
    for the user again after taking it, and trust no limit that was read before.
    """
    return _count_of(await fetch_one(_LOCK))


async def take_seat(origin: UserOrigin) -> None:
    """Count one more active user, in the transaction that adds or reactivates the user. Raises `SeatLimitReached`.

    Locks the seats itself. A caller that must look for the user first takes the lock before that.
    """
    count = await lock_seats()
    if count.is_full:
        raise SeatLimitReached("All seats are taken. Free one, or raise the limit.")
    await count_user(origin, UserStatus.ACTIVE, 1)


async def count_user(origin: UserOrigin, status: UserStatus, by: int) -> None:
    """Add `by` (1 or -1) to a counter, in the transaction that changes the user, under the lock.

    `take_seat` is the only caller that adds an active user.
    """
    await write(_ADD[origin, status], by)
    await _sample()


async def set_seat_limit(limit: int | None, by: Actor) -> SeatCount:
    """Allow so many active users (None: any number). Below what is used it evicts nobody and lets nobody in."""
    if limit is not None and not 0 <= limit <= MAX_LIMIT:
        raise BadUserInput(f"The seat limit must be between 0 and {MAX_LIMIT}, or null for no limit.")
    async with transaction():
        before = await lock_seats()
        await write(_SET_LIMIT, limit)
        await _sample()
        await record(Action.SEAT_LIMIT_SET, by, detail={"from": before.limit, "to": limit})
        return await count_seats()


@dataclass(frozen=True, slots=True)
class DayOfSeats:
    """A day's last count."""

    day: date
    used: int
    limit: int | None


async def seat_history(days: int) -> list[DayOfSeats]:
    """One entry a day (UTC), oldest first, today last. A day without a change is like the day before it."""
    if not 1 <= days <= MAX_HISTORY_DAYS:
        raise BadUserInput(f"`days` must be between 1 and {MAX_HISTORY_DAYS}.")
    today = now().date()
    first = today - timedelta(days=days - 1)
    samples = {sample.day: sample for sample in await SeatSample.filter(day__gte=first)}
    latest = await SeatSample.filter(day__lt=first).order_by("-day").first()
    history = []
    for day in (first + timedelta(days=n) for n in range(days)):
        latest = samples.get(day, latest)
        history.append(DayOfSeats(day, latest.used if latest else 0, latest.seat_limit if latest else None))
    return history


async def _sample() -> None:
    await write(_SAMPLE, now().date())


def _count_of(row: Row | None) -> SeatCount:
    assert row is not None, "the first migration makes this row"
    return SeatCount(
        limit=row["seat_limit"],
        users={(origin, status): row[f"{status}_{origin}".lower()] for origin in UserOrigin for status in UserStatus},
    )
