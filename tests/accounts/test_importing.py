"""Imports of more than one transaction: what happens between them, and what is promised then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.accounts.creation import create_user
from service.accounts.import_plan import BATCH, ImportResult
from service.accounts.importing import import_users
from service.accounts.models import User
from service.accounts.seats import count_seats, set_seat_limit
from service.audit.models import AuditEvent
from service.errors import Conflict, SeatLimitReached
from service.instance import Instance
from tests.actions import HASHES, TESTER, count
from tests.seats import assert_counters_equal_table

ROWS = 2 * BATCH + 100


def file_of(*rows: str) -> bytes:
    return ("external_id,email\n" + "\n".join(rows)).encode()


LARGE = file_of(*(f"crm-{number},u{number}@example.com" for number in range(ROWS)))


async def import_while(change: Callable[[], Awaitable[Any]], **how: Any) -> ImportResult:
    """Imports the large file. After its first transaction the change is made, before its second one."""
    changes: list[asyncio.Future[Any]] = []

    def progress(done: str, rows: int) -> None:
        if (done, rows) == ("Imported", BATCH):
            changes.append(asyncio.ensure_future(change()))

    try:
        return await import_users(LARGE, TESTER, HASHES, progress, **how)
    finally:
        await asyncio.gather(*changes)


async def events() -> list[tuple[str, str]]:
    return [(event.action, event.detail) for event in await AuditEvent.filter(action__startswith="users.import")]


async def test_other_users_are_created_while_a_large_file_is_imported(instance: Instance) -> None:
    made: list[int] = []

    async def newcomer() -> None:
        await create_user("newcomer", TESTER, HASHES)
        made.append(await count("users"))

    result = await import_while(newcomer)
    assert result == ImportResult(created=ROWS)
    assert made
    assert made[0] < ROWS, "the newcomer did not wait for the end of the import"
    assert await count("users") == ROWS + 1
    assert [action for action, _ in await events()] == ["users.import_started", "users.imported"]
    await assert_counters_equal_table()


async def test_large_file_stops_where_others_took_the_last_seats_and_goes_on_when_imported_again(
    instance: Instance,
) -> None:
    await set_seat_limit(ROWS, TESTER)
    with pytest.raises(SeatLimitReached) as stopped:
        await import_while(lambda: create_user("newcomer", TESTER, HASHES))
    assert f"stopped after {2 * BATCH} rows: {2 * BATCH} users are created" in stopped.value.message
    assert "Import the file again to go on" in stopped.value.message
    assert (await count_seats()).used == await count("users") == 2 * BATCH + 1
    assert '"stopped"' in (await events())[-1][1]
    await assert_counters_equal_table()

    await set_seat_limit(None, TESTER)
    result = await import_users(LARGE, TESTER, HASHES, lambda *_: None)
    assert result == ImportResult(created=100, unchanged=2 * BATCH)
    await assert_counters_equal_table()


async def test_large_file_stops_at_a_row_that_another_change_made_wrong(instance: Instance) -> None:
    taken = f"u{ROWS - 1}@example.com"
    with pytest.raises(Conflict) as stopped:
        await import_while(lambda: create_user("newcomer", TESTER, HASHES, email=taken))
    assert f"Line {ROWS + 1}: another user has this email" in stopped.value.message
    assert await count("users") == 2 * BATCH + 1
    await assert_counters_equal_table()


async def test_row_that_another_change_made_wrong_is_skipped_if_refused_rows_are(instance: Instance) -> None:
    taken, refused = f"u{ROWS - 1}@example.com", list[tuple[int, str]]()
    result = await import_while(
        lambda: create_user("newcomer", TESTER, HASHES, email=taken),
        skip_bad=lambda line, _, reason: refused.append((line, reason)),
    )
    assert result == ImportResult(created=ROWS - 1, refused=1)
    assert refused == [(ROWS + 1, "another user has this email")]
    await assert_counters_equal_table()


async def test_refused_rows_are_told_once_and_keep_the_others_in_place(instance: Instance) -> None:
    rows = [f"crm-{number},{'wrong' if number % 3 == 0 else f'u{number}@example.com'}" for number in range(ROWS)]
    lines: list[int] = []
    result = await import_users(
        file_of(*rows), TESTER, HASHES, lambda *_: None, skip_bad=lambda line, *_: lines.append(line)
    )
    assert len(lines) == len(set(lines)) == result.refused == len(range(0, ROWS, 3))
    assert result.created == await count("users") == ROWS - result.refused
    await assert_counters_equal_table()


async def test_file_of_one_transaction_is_one_event(instance: Instance) -> None:
    rows = [f"crm-{number},u{number}@example.com" for number in range(BATCH)]
    await import_users(file_of(*rows), TESTER, HASHES, lambda *_: None)
    assert [action for action, _ in await events()] == ["users.imported"]
    assert (await User.get(id="crm-7")).origin == "EXTERNAL_JWT"
