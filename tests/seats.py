"""What must be true of the seats after every change."""

from service.accounts.models import UserOrigin, UserStatus
from service.accounts.seats import count_seats
from service.database import Statement, fetch


async def assert_counters_equal_table() -> None:
    """The counters, which each change updates, equal a count of the table."""
    counted = {
        (row["origin"], row["status"]): int(row["number"])
        for row in await fetch(
            Statement("SELECT origin, status, COUNT(*) AS number FROM users GROUP BY origin, status")
        )
    }
    expected = {(origin, status): counted.get((origin, status), 0) for origin in UserOrigin for status in UserStatus}
    assert (await count_seats()).users == expected
