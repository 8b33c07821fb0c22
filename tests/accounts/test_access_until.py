"""The end of a user's access: treated as deactivated from its moment, not from the next purge (contract §3)."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.accounts.access import end_lapsed_accesses
from service.accounts.admins import has_admin, make_admin
from service.accounts.directory import UserFilter, UserOrder, count_users, list_users
from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.accounts.seats import count_seats, set_seat_limit
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.database import transaction
from service.errors import Conflict, Forbidden, SeatLimitReached
from service.instance import Instance
from service.paging import Slice
from service.sessions.access_tokens import issue_access_token
from service.sessions.lifecycle import find_session
from tests.actions import TESTER, admin, answer_to, code_of, enable, member, open_for, refusal_of, sign_in, user
from tests.seats import assert_counters_equal_table

HOUR = timedelta(hours=1)


async def lasting(person: User, ends_in: timedelta = HOUR) -> datetime:
    """Gives the access of a user an end; when it is."""
    until = datetime.now(UTC) + ends_in
    await administration.update_user(person.id, TESTER, access_until=until)
    return until


async def listed(status: UserStatus) -> list[str]:
    listing = list_users(UserFilter(status=status), UserOrder.CREATED_AT_ASC)
    rows = (await listing.page(Slice(first=50))).rows
    assert len(rows) == await count_users(UserFilter(status=status), listing)
    return [str(row["id"]) for row in rows]


async def test_every_rule_follows_at_the_moment_and_no_purge_is_needed(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}})
    ada = (await sign_in(instance, code)).session.user
    by_code, by_email = await sign_in(instance, code), await open_for(ada)
    until = await lasting(ada)
    await set_seat_limit(1, TESTER)

    with time_machine.travel(until - timedelta(seconds=1), tick=False):
        assert (await user("ada")).current_status is UserStatus.ACTIVE
        assert await find_session(by_code.token)
        assert await answer_to(instance, code) is None
        assert (await count_seats()).used == 1
        assert await listed(UserStatus.ACTIVE) == ["ada"]
        assert await answer_to(instance, code_of(secret, {"user": {"id": "new"}})) == "SEAT_LIMIT_REACHED"
    with time_machine.travel(until, tick=False):
        assert (await user("ada")).status is UserStatus.ACTIVE, "the row says so later"
        assert (await user("ada")).current_status is UserStatus.DEACTIVATED
        assert await find_session(by_code.token) is None
        assert await find_session(by_email.token) is None
        refused = await refusal_of(instance, code)
        assert (refused.code, refused.cause) == ("USER_DEACTIVATED", "the access of the user ended")
        count = await count_seats()
        assert (count.used, count.available) == (0, 1)
        assert count.users[UserOrigin.EXTERNAL_JWT, UserStatus.DEACTIVATED] == 1
        assert (await listed(UserStatus.ACTIVE), await listed(UserStatus.DEACTIVATED)) == ([], ["ada"])
        assert await answer_to(instance, code_of(secret, {"user": {"id": "new"}})) is None
        assert await answer_to(instance, code_of(secret, {"user": {"id": "newer"}})) == "SEAT_LIMIT_REACHED"

        assert await end_lapsed_accesses(500) == 1
        assert await end_lapsed_accesses(500) == 0
        assert (await count_seats()).used == 1
        assert (await user("ada")).status is UserStatus.DEACTIVATED
        assert await find_session(by_code.token) is None
        [event] = await AuditEvent.filter(action="user.access_ended")
        assert (event.actor, event.user_id) == ("clock", "ada")
    await assert_counters_equal_table()


@pytest.mark.parametrize("purged", [False, True])
@pytest.mark.parametrize("later", [None, 2 * HOUR])
async def test_later_end_or_none_takes_a_seat_again(instance: Instance, purged: bool, later: timedelta | None) -> None:
    ada = await member("ada@example.com")
    session = await open_for(ada, lifetime=24 * 3600)
    until = await lasting(ada)
    with time_machine.travel(until, tick=False):
        if purged:
            await end_lapsed_accesses(500)
        await set_seat_limit(0, TESTER)
        with pytest.raises(SeatLimitReached):
            await administration.update_user(ada.id, TESTER, access_until=None if later is None else until + later)
        assert (await user(ada.id)).current_status is UserStatus.DEACTIVATED
        await set_seat_limit(1, TESTER)
        changed = await administration.update_user(
            ada.id, TESTER, access_until=None if later is None else until + later
        )
        assert changed.current_status is UserStatus.ACTIVE
        assert (await count_seats()).used == 1
        assert await find_session(session.token) is None, "sessions that ended stay ended"
    await assert_counters_equal_table()


async def test_reactivating_clears_it(instance: Instance) -> None:
    ada = await member("ada@example.com")
    until = await lasting(ada)
    with time_machine.travel(until, tick=False):
        active = await administration.reactivate_user(ada.id, TESTER)
        assert (active.current_status, active.access_until) == (UserStatus.ACTIVE, None)
    await assert_counters_equal_table()


async def test_deactivation_by_an_admin_is_not_undone_by_a_later_end(instance: Instance) -> None:
    ada, grace = await member("ada@example.com"), await member("grace@example.com")
    until = await lasting(ada)
    await lasting(grace)
    await administration.deactivate_user(ada.id, TESTER)
    with time_machine.travel(until + HOUR, tick=False):
        await end_lapsed_accesses(500)
        await administration.deactivate_user(grace.id, TESTER)  # its access had ended already
        for person in (ada, grace):
            changed = await administration.update_user(person.id, TESTER, access_until=None)
            assert changed.current_status is UserStatus.DEACTIVATED
    await assert_counters_equal_table()


async def test_end_in_the_past_holds_at_once(instance: Instance) -> None:
    ada = await member("ada@example.com")
    session = await open_for(ada)
    ended = await administration.update_user(ada.id, TESTER, access_until=datetime.now(UTC) - HOUR)
    assert ended.status is UserStatus.DEACTIVATED
    assert await find_session(session.token) is None
    assert (await count_seats()).used == 0
    await administration.delete_user(ada.id, TESTER, instance.subject_hashes)
    await assert_counters_equal_table()


async def test_user_whose_access_just_ended_can_be_deleted(instance: Instance) -> None:
    ada = await member("ada@example.com")
    until = await lasting(ada)
    with time_machine.travel(until, tick=False):
        await administration.delete_user(ada.id, TESTER, instance.subject_hashes)
        assert (await count_seats()).users[UserOrigin.INVITATION, UserStatus.DEACTIVATED] == 0
    await assert_counters_equal_table()


async def test_an_admin_whose_access_has_no_end_always_remains(instance: Instance) -> None:
    boss = await admin("boss@example.com")
    until = datetime.now(UTC) + HOUR
    with pytest.raises(Conflict):
        await administration.update_user(boss.id, TESTER, access_until=until)
    second = await admin("second@example.com")
    await administration.update_user(boss.id, TESTER, access_until=until)
    with pytest.raises(Conflict):
        await administration.update_user(second.id, TESTER, access_until=until)
    with pytest.raises(Conflict):
        await administration.deactivate_user(second.id, TESTER)
    with pytest.raises(Forbidden):
        await administration.update_user(boss.id, Actor.of_api_key("key", None), access_until=None)
    with time_machine.travel(until, tick=False):
        assert await has_admin()
        await administration.set_role(boss.id, UserRole.MEMBER, TESTER)


async def test_operator_s_invitation_gives_an_admin_access_without_an_end(instance: Instance) -> None:
    ada = await member("ada@example.com")
    until = await lasting(ada)
    with time_machine.travel(until, tick=False):
        async with transaction():
            made = await make_admin("ada@example.com", TESTER)
        assert (made.role, made.current_status, made.access_until) == (UserRole.ADMIN, UserStatus.ACTIVE, None)
    await assert_counters_equal_table()


async def test_access_token_ends_with_the_access(instance: Instance) -> None:
    ada = await member("ada@example.com")
    until = await lasting(ada, timedelta(minutes=3))
    found = await find_session((await open_for(await user(ada.id))).token)
    assert found
    token = await issue_access_token(found, instance.settings, instance.cipher)
    assert token.expires_at == until.replace(microsecond=0)
