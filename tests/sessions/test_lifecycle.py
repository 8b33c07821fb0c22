"""Sessions (contract §3): what is stored of one, how it lives, how it ends, and how its rows go away."""

import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.accounts.models import User, UserRole
from service.audit.models import AuditEvent
from service.clock import now
from service.database import write_rest_of_marks
from service.database.purging import SAFETY_MARGIN
from service.errors import NotFound
from service.instance import Instance
from service.sessions.administration import end_one_session, end_user_sessions
from service.sessions.lifecycle import (
    Client,
    OpenedSession,
    Opening,
    count_live_sessions,
    end_session,
    find_session,
    open_session,
    purge_expired_sessions,
)
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import (
    CLIENT,
    HASHES,
    TESTER,
    admin,
    attempt,
    code_of,
    count,
    enable,
    everything,
    member,
    open_for,
    rows,
    sign_in,
    user,
)
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ADA = {"user": {"id": "ada", "email": "ada@example.com"}}


async def test_token_is_256_random_bits_behind_a_prefix_and_only_its_hash_is_stored(instance: Instance) -> None:
    code = code_of(await enable(instance), ADA)
    tokens = [(await sign_in(instance, code)).token for _ in range(5)]
    assert len(set(tokens)) == 5
    for token in tokens:
        assert re.fullmatch(r"dcs_[A-Za-z0-9_-]{43}", token)
    assert {row["token_hash"] for row in await rows("sessions")} == {
        hashlib.sha256(token.encode()).hexdigest() for token in tokens
    }
    written = repr(await everything())
    if instance.settings.uses_sqlite:
        for path in instance.settings.sqlite_path.parent.glob("doorcode.sqlite3*"):
            written += path.read_bytes().decode("latin-1")
    for token in tokens:
        assert token not in written
        assert token.removeprefix("dcs_")[:12] not in written


@pytest.mark.parametrize(
    "token", ["", "dcs_", "dcs_" + "x" * 43, "DCS_" + "x" * 43, "x" * 10_000, "dcs_\u00e9", "dcs_\0"]
)
async def test_token_of_nobody_is_nobody(instance: Instance, token: str) -> None:
    await open_for(await member("grace@example.com"))
    assert await find_session(token) is None


async def test_token_is_compared_exactly(instance: Instance) -> None:
    token = (await open_for(await member("grace@example.com"))).token
    for other in (token + " ", token[:-1], token.swapcase(), token + "A", " " + token):
        assert await find_session(other) is None


async def test_session_remembers_where_it_was_opened(instance: Instance) -> None:
    code = code_of(await enable(instance), ADA)
    result = await sign_in(instance, code, client=Client("2001:db8::1", "x" * 300))
    found = await find_session(result.token)
    assert found
    assert (found.ip_address, found.user_agent) == ("2001:db8::1", "x" * 256)


async def test_session_is_seen_to_five_minutes_and_its_user_to_the_hour(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        opened = await open_for(await member("grace@example.com"), lifetime=100_000)
        seen: list[tuple[object, object]] = []
        for seconds in (0, 299, 1, 299, 3001):
            clock.shift(seconds)
            await attempt(opened.token)
            await write_rest_of_marks()
            found = await find_session(opened.token)
            assert found
            seen.append((found.last_seen_at - NOON, found.user.last_seen_at and found.user.last_seen_at - NOON))
    minutes = [timedelta(seconds=seconds) for seconds in (0, 0, 300, 300, 3600)]
    hours = [timedelta(seconds=seconds) for seconds in (0, 0, 0, 0, 3600)]
    assert seen == list(zip(minutes, hours, strict=True))


async def test_asking_with_a_session_costs_one_read_and_no_write(instance: Instance) -> None:
    opened = await open_for(await member("grace@example.com"))
    await attempt(opened.token)
    async with noted_statements() as noted:
        assert (await attempt(opened.token)).session
    assert (len(noted.reads), len(noted)) == (1, 1), noted


# ---------------------------------------------------------------- ending


async def test_ended_session_is_nobody_for_the_next_request_and_others_go_on(instance: Instance) -> None:
    person = await member("grace@example.com")
    first, second = await open_for(person), await open_for(person)
    assert await end_session(first.session.id)
    assert not await end_session(first.session.id)
    assert await find_session(first.token) is None
    assert await find_session(second.token)


async def test_member_ends_its_own_and_another_user_s_is_not_found(instance: Instance) -> None:
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    hers, mine = await open_for(grace), await open_for(ada)
    with pytest.raises(NotFound):
        await end_one_session(hers.session.id, TESTER, owner=ada)
    assert await find_session(hers.token)
    assert await end_one_session(mine.session.id, TESTER, owner=ada)
    assert await find_session(mine.token) is None
    for dead in (mine.session.id, "nobody", ""):
        assert not await end_one_session(dead, TESTER, owner=ada)


async def test_dead_session_of_another_user_is_as_unknown_as_one_that_never_was(instance: Instance) -> None:
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    expired = await open_for(grace, lifetime=-1)
    assert not await end_one_session(expired.session.id, TESTER, owner=ada)


async def test_admin_ends_anyone_s_and_the_audit_log_says_so(instance: Instance) -> None:
    grace = await member("grace@example.com")
    hers = await open_for(grace)
    assert await end_one_session(hers.session.id, TESTER, owner=None)
    assert await find_session(hers.token) is None
    events = await AuditEvent.filter(action="session.ended")
    assert [(event.actor, event.user_id) for event in events] == [("tester", grace.id)]


async def test_ending_all_of_a_user_ends_them_at_the_same_cost_for_any_number(instance: Instance) -> None:
    costs = []
    for number, sessions in enumerate((1, 40)):
        person = await member(f"{number}@example.com")
        tokens = [
            (await open_for(person, token_transport=token_transport)).token
            for token_transport in TokenTransport
            for _ in range(sessions)
        ]
        async with noted_statements() as noted:
            assert await end_user_sessions(person.id, TESTER) == 3 * sessions
        costs.append(len(noted))
        assert [await find_session(token) for token in tokens] == [None] * 3 * sessions
    assert costs[0] == costs[1]
    assert await count("sessions") == 123, "rows are purged when they expire, not now"


async def test_ending_all_of_a_user_spares_other_users_and_later_sessions(instance: Instance) -> None:
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    hers, mine = await open_for(grace), await open_for(ada)
    assert await end_user_sessions(grace.id, TESTER) == 1
    assert await end_user_sessions(grace.id, TESTER) == 0
    assert await find_session(hers.token) is None
    assert await find_session(mine.token)
    assert await find_session((await open_for(await user(grace.id))).token)
    with pytest.raises(NotFound):
        await end_user_sessions("nobody", TESTER)


async def test_session_that_opens_while_all_are_ended_is_dead(instance: Instance) -> None:
    """The sign-in has read its user, then all its sessions are ended, then the row is written."""
    before = await member("grace@example.com")
    await end_user_sessions(before.id, TESTER)
    assert await find_session((await open_for(before)).token) is None


async def test_deactivating_ends_and_reactivating_revives_none(instance: Instance) -> None:
    person = await member("grace@example.com")
    opened = await open_for(person)
    await administration.deactivate_user(person.id, TESTER)
    assert await find_session(opened.token) is None
    assert await count_live_sessions(person) == 0
    await administration.reactivate_user(person.id, TESTER)
    assert await find_session(opened.token) is None
    assert await find_session((await open_for(await user(person.id))).token)


async def test_deleting_ends_and_a_user_made_anew_has_none_of_them(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, ADA))
    await administration.delete_user("ada", TESTER, HASHES)
    assert await find_session(first.token) is None
    again = await sign_in(instance, code_of(secret, ADA), session_token=first.token)
    assert again.new_user
    assert again.session.user.serial != first.session.user.serial
    assert again.token != first.token
    assert await find_session(first.token) is None
    assert await count_live_sessions(again.session.user) == 1


# ---------------------------------------------------------------- rights


@pytest.mark.parametrize(
    ("role", "method", "token_transport", "rights"),
    [
        (UserRole.ADMIN, SignInMethod.EMAIL, TokenTransport.BEARER, True),
        (UserRole.ADMIN, SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE, True),
        (UserRole.ADMIN, SignInMethod.EMAIL, TokenTransport.COOKIE, False),
        *((UserRole.ADMIN, SignInMethod.EXTERNAL_JWT, token_transport, False) for token_transport in TokenTransport),
        *(
            (UserRole.MEMBER, method, token_transport, False)
            for method in SignInMethod
            for token_transport in TokenTransport
        ),
    ],
)
async def test_only_an_admin_by_email_off_the_members_cookie_has_rights(
    instance: Instance, role: UserRole, method: SignInMethod, token_transport: TokenTransport, rights: bool
) -> None:
    person = await admin() if role is UserRole.ADMIN else await member("grace@example.com")
    found = await find_session((await open_for(person, method, token_transport)).token)
    assert found
    assert found.has_admin_rights is rights


async def test_rights_go_with_the_role_at_the_next_request(instance: Instance) -> None:
    await admin("other@example.com")
    person = await admin()
    token = (await open_for(person)).token
    await administration.set_role(person.id, UserRole.MEMBER, TESTER)
    assert await find_session(token) is None
    found = await find_session((await open_for(await user(person.id))).token)
    assert found
    assert not found.has_admin_rights


# ---------------------------------------------------------------- rows go away


async def test_expired_rows_are_purged_in_batches_and_live_ones_are_not(instance: Instance) -> None:
    person = await member("grace@example.com")
    for _ in range(5):
        await open_for(person, lifetime=-SAFETY_MARGIN.total_seconds() - 10)
    await open_for(person, lifetime=-10)  # within the margin for a clock that jumped ahead
    live = await open_for(person)
    assert [await purge_expired_sessions(2) for _ in range(4)] == [2, 2, 1, 0]
    assert await count("sessions") == 2
    assert await find_session(live.token)


async def test_rows_of_ended_sessions_are_purged_when_they_expire(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await end_user_sessions("ada", TESTER)
    assert await purge_expired_sessions(10) == 0
    with time_machine.travel(datetime.now(UTC) + timedelta(days=7, seconds=1) + SAFETY_MARGIN):
        assert await purge_expired_sessions(10) == 1
    assert await count("sessions") == 0


# ---------------------------------------------------------------- so many a user


async def open_with(person: User, limit: int, lifetime: float = 3600) -> OpenedSession:
    opening = Opening(SignInMethod.EMAIL, TokenTransport.BEARER, CLIENT, sessions_per_user=limit)
    return await open_session(person, opening, now() + timedelta(seconds=lifetime))


async def test_one_session_more_than_a_user_may_have_ends_the_oldest(instance: Instance) -> None:
    person, other = await member("grace@example.com"), await member("ada@example.com")
    theirs = await open_with(other, 3)
    opened = [await open_with(person, 3) for _ in range(5)]
    assert [await find_session(one.token) is not None for one in opened] == [False, False, True, True, True]
    assert await find_session(theirs.token)
    assert await count("sessions") == 4


async def test_sessions_that_have_ended_take_no_place(instance: Instance) -> None:
    person = await member("grace@example.com")
    first = await open_with(person, 3)
    for _ in range(4):
        await open_with(person, 3, lifetime=-1)
    second = await open_with(person, 3)
    assert await find_session(first.token)
    assert await find_session(second.token)
    alone = await open_with(person, 1)
    assert [await find_session(one.token) is not None for one in (first, second, alone)] == [False, False, True]


async def test_limit_costs_nothing_more_until_it_is_reached(instance: Instance) -> None:
    person = await member("grace@example.com")
    for expected in (1, 1, 1, 3):
        async with noted_statements() as noted:
            await open_with(person, 3)
        assert len(noted.writes) == len(noted) == expected, noted


async def test_many_that_open_at_once_at_the_limit_stay_within_it(instance: Instance) -> None:
    person = await member("grace@example.com")
    await asyncio.gather(*(open_with(person, 5) for _ in range(20)))
    await open_with(person, 5)
    assert await count_live_sessions(person) == 5


async def test_rows_of_a_deleted_user_go_at_once(instance: Instance) -> None:
    person = await member("grace@example.com")
    await open_for(person)
    await administration.delete_user(person.id, TESTER, HASHES)
    assert await count("sessions") == 0
