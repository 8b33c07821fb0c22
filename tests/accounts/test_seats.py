"""Seats (contract §3): who takes one, what a limit does, and that the counters are what the table says."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.accounts.seats import MAX_LIMIT, SeatCount, count_seats, seat_history, set_seat_limit
from service.audit.models import AuditEvent
from service.errors import BadUserInput, SeatLimitReached
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from tests.actions import HASHES, TESTER, add_invited, answer_to, code_of, count, enable, everything, member, sign_in
from tests.seats import assert_counters_equal_table

NOON = datetime(2030, 1, 10, 12, tzinfo=UTC)


async def test_new_instance_has_no_limit_and_nobody(instance: Instance) -> None:
    seats = await count_seats()
    assert (seats.used, seats.limit, seats.available, seats.is_full) == (0, None, None, False)


async def test_active_users_of_every_origin_take_a_seat_and_deactivated_ones_do_not(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada"}}))
    await sign_in(instance, code_of(secret, {"user": {"id": "bob"}}))
    await member("grace@example.com")
    await add_invited("boss@example.com", UserRole.ADMIN)
    await administration.deactivate_user("bob", TESTER)
    seats = await count_seats()
    assert seats.used == 3
    assert {origin: seats.active(origin) for origin in UserOrigin} == {
        UserOrigin.EMAIL: 0,
        UserOrigin.INVITATION: 2,
        UserOrigin.EXTERNAL_JWT: 1,
    }
    await assert_counters_equal_table()


async def test_signing_in_again_takes_no_other_seat(instance: Instance) -> None:
    secret = await enable(instance)
    for _ in range(3):
        await sign_in(instance, code_of(secret, {"user": {"id": "ada", "x": 1}}))
    assert (await count_seats()).used == 1
    await assert_counters_equal_table()


async def test_limit_below_what_is_used_evicts_nobody_and_lets_nobody_in(instance: Instance) -> None:
    secret = await enable(instance)
    for name in ("a", "b", "c"):
        await sign_in(instance, code_of(secret, {"user": {"id": name}}))
    seats = await set_seat_limit(1, TESTER)
    assert (seats.used, seats.limit, seats.available) == (3, 1, 0)
    for name in ("a", "b", "c"):
        assert await answer_to(instance, code_of(secret, {"user": {"id": name}})) is None
    assert await answer_to(instance, code_of(secret, {"user": {"id": "d"}})) == SignInErrorCode.SEAT_LIMIT_REACHED
    await administration.deactivate_user("a", TESTER)
    await administration.deactivate_user("b", TESTER)
    assert await answer_to(instance, code_of(secret, {"user": {"id": "d"}})) == SignInErrorCode.SEAT_LIMIT_REACHED
    await administration.deactivate_user("c", TESTER)
    assert await answer_to(instance, code_of(secret, {"user": {"id": "d"}})) is None
    await assert_counters_equal_table()


async def test_limit_of_zero_lets_nobody_in_and_none_lets_anybody(instance: Instance) -> None:
    secret = await enable(instance)
    await set_seat_limit(0, TESTER)
    assert await answer_to(instance, code_of(secret, {"user": {"id": "a"}})) == SignInErrorCode.SEAT_LIMIT_REACHED
    await set_seat_limit(None, TESTER)
    assert await answer_to(instance, code_of(secret, {"user": {"id": "a"}})) is None


async def test_raised_limit_holds_for_the_next_newcomer(instance: Instance) -> None:
    secret = await enable(instance)
    await set_seat_limit(1, TESTER)
    answers = [await answer_to(instance, code_of(secret, {"user": {"id": name}})) for name in ("a", "b")]
    assert answers == [None, SignInErrorCode.SEAT_LIMIT_REACHED]
    await set_seat_limit(2, TESTER)
    assert await answer_to(instance, code_of(secret, {"user": {"id": "b"}})) is None


@pytest.mark.parametrize("limit", [-1, MAX_LIMIT + 1])
async def test_limit_that_cannot_be_is_bad_input(instance: Instance, limit: int) -> None:
    before = await everything()
    with pytest.raises(BadUserInput):
        await set_seat_limit(limit, TESTER)
    assert await everything() == before


async def test_limit_is_one_event_with_before_and_after(instance: Instance) -> None:
    await set_seat_limit(5, TESTER)
    await set_seat_limit(None, TESTER)
    events = await AuditEvent.filter(action="seats.limit_set").order_by("id")
    assert [event.detail for event in events] == ['{"from": null, "to": 5}', '{"from": 5, "to": null}']


async def test_invitation_and_reactivation_need_a_free_seat(instance: Instance) -> None:
    grace = await member("grace@example.com")
    await administration.deactivate_user(grace.id, TESTER)
    await member("ada@example.com")
    await set_seat_limit(1, TESTER)
    before = await everything()
    with pytest.raises(SeatLimitReached):
        await member("new@example.com")
    with pytest.raises(SeatLimitReached):
        await add_invited("boss@example.com", UserRole.ADMIN)
    with pytest.raises(SeatLimitReached):
        await administration.reactivate_user(grace.id, TESTER)
    assert await everything() == before
    await assert_counters_equal_table()


async def test_deactivating_and_deleting_free_a_seat_once(instance: Instance) -> None:
    await set_seat_limit(2, TESTER)
    first, second = await member("1@example.com"), await member("2@example.com")
    for _ in range(2):
        await administration.deactivate_user(first.id, TESTER)
    assert (await count_seats()).used == 1
    for _ in range(2):
        await administration.reactivate_user(first.id, TESTER)
    assert (await count_seats()).used == 2
    await administration.deactivate_user(first.id, TESTER)
    await administration.delete_user(first.id, TESTER, HASHES)
    assert (await count_seats()).used == 1
    await administration.delete_user(second.id, TESTER, HASHES)
    assert (await count_seats()).used == 0
    assert await count("users") == 0
    await assert_counters_equal_table()


async def test_available_is_never_negative() -> None:
    users = {(origin, status): 3 for origin in UserOrigin for status in UserStatus}
    assert (SeatCount(5, users).used, SeatCount(5, users).available) == (9, 0)


# ---------------------------------------------------------------- history


async def test_history_has_one_sample_a_day_oldest_first_today_last(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        await sign_in(instance, code_of(secret, {"user": {"id": "a"}}))
        await sign_in(instance, code_of(secret, {"user": {"id": "b"}}))
        clock.shift(timedelta(days=2))
        await set_seat_limit(5, TESTER)
        await administration.deactivate_user("a", TESTER)
        clock.shift(timedelta(days=2))
        days = [(day.day, day.used, day.limit) for day in await seat_history(6)]
    assert days == [
        (date(2030, 1, 9), 0, None),
        (date(2030, 1, 10), 2, None),
        (date(2030, 1, 11), 2, None),
        (date(2030, 1, 12), 1, 5),
        (date(2030, 1, 13), 1, 5),
        (date(2030, 1, 14), 1, 5),
    ]


async def test_history_shorter_than_the_last_change_still_knows_it(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        await member("grace@example.com")
        clock.shift(timedelta(days=500))
        assert [(day.used, day.limit) for day in await seat_history(2)] == [(1, None)] * 2


async def test_day_begins_at_midnight_in_utc(instance: Instance) -> None:
    with time_machine.travel(datetime(2030, 1, 10, 23, 59, 59, tzinfo=UTC), tick=False) as clock:
        await member("1@example.com")
        clock.shift(1)
        await member("2@example.com")
        assert [(day.day.day, day.used) for day in await seat_history(2)] == [(10, 1), (11, 2)]


@pytest.mark.parametrize("days", [0, -1, 3661, 2**31 - 1])
async def test_history_of_no_or_too_many_days_is_bad_input(instance: Instance, days: int) -> None:
    with pytest.raises(BadUserInput):
        await seat_history(days)


async def test_longest_history_is_answered(instance: Instance) -> None:
    assert len(await seat_history(3660)) == 3660
