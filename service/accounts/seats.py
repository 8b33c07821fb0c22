"""The seats: the limit and the counters, in one row.

Every transaction that creates, deletes or changes a user locks this row first.

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
# Users whose access has ended and whose row does not say so yet: they take no seat from that moment on.
_LAPSED = ", ".join(
    f"(SELECT COUNT(*) FROM users WHERE status = 'ACTIVE' AND access_until <= $1 AND origin = '{origin}') AS lapsed_{origin.lower()}"
    for origin in UserOrigin
)
_COUNT = Statement(f"SELECT s.*, {_LAPSED} FROM seats s WHERE id = 1")
# Two statements: on PostgreSQL, one that waits for the lock reads the users as they were before it waited.
_LOCK = Statement("SELECT * FROM seats WHERE id = 1 FOR UPDATE")
_COUNT_LAPSED = Statement(f"SELECT {_LAPSED}")
_SET_LIMIT = Statement("UPDATE seats SET seat_limit = $1 WHERE id = 1")
_NEW_SAMPLE = f"INSERT INTO seat_samples (day, used, seat_limit) VALUES ($1, (SELECT {_USED} FROM seats), (SELECT seat_limit FROM seats))"
_SAMPLE = Statement(
    _NEW_SAMPLE + " ON CONFLICT (day) DO UPDATE SET used = excluded.used, seat_limit = excluded.seat_limit"
)
_SAMPLE_ONCE = Statement(_NEW_SAMPLE + " ON CONFLICT (day) DO NOTHING")
_PURGE_SAMPLES = Statement(
    "DELETE FROM seat_samples WHERE day IN (SELECT day FROM seat_samples"
    " WHERE day < (SELECT MAX(day) FROM seat_samples WHERE day <= $1) ORDER BY day LIMIT $2)"
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
        """Free seats, or None without a limit. Never negative, although the limit may be below the number in use."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached or exceeded, so that no further user can become active."""
        return self.available == 0

    def active(self, origin: UserOrigin) -> int:
        """Active users of one origin."""
        return self.users[origin, UserStatus.ACTIVE]


async def count_seats() -> SeatCount:
    """Return the current count. A user whose access has ended is not counted as active from that moment on."""
    row = await fetch_one(_COUNT, now())
    return _count_of(row, row)


async def lock_seats() -> SeatCount:
    """Lock the seats until the transaction ends, and return the count.

    Prevents these races: two new users take the last free seat, or two simultaneous requests create the same user.
    After taking the lock, look the user up again, and do not use a limit that was read before.
    """
    row = await fetch_one(_LOCK)
    return _count_of(row, await fetch_one(_COUNT_LAPSED, now()))


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
    """Set how many users may be active (None: any number), and return the new count.

    A limit below the number in use deactivates no user; new users are refused. Raises `BadUserInput`.
    """
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
    """The count at the end of a day."""

    day: date
    used: int
    limit: int | None


async def seat_history(days: int) -> list[DayOfSeats]:
    """Return one entry per day (UTC), oldest first, today last. A day without a change repeats the day before.

    Raises `BadUserInput` if `days` is not between 1 and 3660.
    """
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


async def sample_today() -> int:
    """Keep the count of today if it is the first of the day, so that there is one sample a day. Returns how many were kept."""
    return await write(_SAMPLE_ONCE, now().date())


async def purge_samples(days: int | None, batch: int) -> int:
    """Delete at most `batch` samples that are older, and return how many were deleted. Without `days`, none is.

    The last one of those stays while days after it have no sample: their count is that of the last sample before.
    """
    if days is None:
        return 0
    return await write(_PURGE_SAMPLES, now().date() - timedelta(days=days), batch)


async def _sample() -> None:
    await write(_SAMPLE, now().date())


def _count_of(row: Row | None, lapsed: Row | None) -> SeatCount:
    assert row is not None, "the first migration makes this row"
    assert lapsed is not None, "it counts"
    users = {}
    for origin in UserOrigin:
        moved = lapsed[f"lapsed_{origin.lower()}"]
        users[origin, UserStatus.ACTIVE] = row[f"active_{origin.lower()}"] - moved
        users[origin, UserStatus.DEACTIVATED] = row[f"deactivated_{origin.lower()}"] + moved
    return SeatCount(limit=row["seat_limit"], users=users)
