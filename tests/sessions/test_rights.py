"""Rights follow proof (contract §3): what changes a role or an email ends what was opened before."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from service.accounts import administration
from service.accounts.admins import make_admin
from service.accounts.models import User, UserRole
from service.database import Statement, transaction, write
from service.instance import Instance
from service.sessions.administration import end_user_sessions
from service.sessions.lifecycle import OpenedSession, find_session
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import TESTER, admin, code_of, enable, member, open_for, sign_in, user

CHANNELS = [(method, transport) for method in SignInMethod for transport in TokenTransport]


@dataclass(frozen=True)
class Change:
    """Something that changes a user's role or email, and which sessions of the user it ends."""

    of_role: UserRole
    apply: Callable[[Instance, User, str], Awaitable[object]]
    ends: frozenset[SignInMethod] = frozenset(SignInMethod)


async def _by_code(_: Instance, person: User, secret: str) -> None:
    await sign_in(_, code_of(secret, {"user": {"id": person.external_id, "email": "new@example.com"}}))


async def _make_admin(_: Instance, person: User, __: str) -> None:
    assert person.email
    async with transaction():
        await make_admin(person.email, TESTER)


CHANGES = {
    "made an admin": Change(
        UserRole.MEMBER, lambda _, person, __: administration.set_role(person.id, UserRole.ADMIN, TESTER)
    ),
    "made a member": Change(
        UserRole.ADMIN, lambda _, person, __: administration.set_role(person.id, UserRole.MEMBER, TESTER)
    ),
    "raised by command": Change(UserRole.MEMBER, _make_admin),
    "another email": Change(
        UserRole.MEMBER, lambda _, person, __: administration.update_user(person.id, TESTER, email="new@example.com")
    ),
    "no email": Change(
        UserRole.MEMBER, lambda _, person, __: administration.update_user(person.id, TESTER, email=None)
    ),
    "another email of an admin": Change(
        UserRole.ADMIN,
        lambda _, person, __: administration.update_user(person.id, TESTER, email="new@example.com"),
    ),
    "another email by a code": Change(UserRole.MEMBER, _by_code, frozenset({SignInMethod.EMAIL})),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_change_of_role_or_email_ends_the_sessions_of_the_user_and_of_no_one_else(
    instance: Instance, name: str
) -> None:
    change = CHANGES[name]
    secret, person, bystander = await _people(instance, change.of_role)
    opened = {channel: await open_for(person, *channel) for channel in CHANNELS}
    other = await open_for(bystander)
    await change.apply(instance, person, secret)
    for (method, transport), session in opened.items():
        assert (await find_session(session.token) is None) == (method in change.ends), (method, transport)
    assert await find_session(other.token)


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
async def test_no_token_has_more_rights_after_two_changes_than_before(
    instance: Instance, first: str, second: str
) -> None:
    """Tokens from before and between: the way back, such as an email that is changed and changed again, revives none."""
    secret, person, _ = await _people(instance, CHANGES[first].of_role)
    held = [await open_for(person, *channel) for channel in CHANNELS]
    for name in (first, second):
        change = CHANGES[name]
        now_user = await user(person.id)
        if now_user.role is not change.of_role or now_user.email is None:
            continue
        before = [await _rights(session) for session in held]
        await change.apply(instance, now_user, secret)
        after = [await _rights(session) for session in held]
        assert all(now <= then for now, then in zip(after, before, strict=True)), (name, before, after)
        held += [await open_for(await user(person.id), *channel) for channel in CHANNELS]


async def test_session_of_a_member_has_no_admin_rights_even_where_it_outlived_the_change(instance: Instance) -> None:
    """The second lock: the role is changed behind the service's back, so that no session ends."""
    person = await member("dan@example.com")
    opened = await open_for(person)
    await write(Statement("UPDATE users SET role = 'ADMIN' WHERE serial = $1"), person.serial)
    session = await find_session(opened.token)
    assert session
    assert session.user.role is UserRole.ADMIN
    assert not session.has_admin_rights
    assert (await open_for(await user(person.id))).session.has_admin_rights


async def test_session_that_opens_while_the_role_changes_is_dead(instance: Instance) -> None:
    """The sign-in has read its user, then the role changes, then the row is written."""
    before = await member("dan@example.com")
    await administration.set_role(before.id, UserRole.ADMIN, TESTER)
    assert await find_session((await open_for(before)).token) is None


async def test_metadata_and_external_id_end_no_session(instance: Instance) -> None:
    secret, person, _ = await _people(instance, UserRole.MEMBER)
    opened = await open_for(person)
    await sign_in(instance, code_of(secret, {"user": {"id": person.external_id, "plan": "gold"}}))
    await administration.update_user(person.id, TESTER, external_id="crm-10", email=person.email)
    assert await find_session(opened.token)
    await end_user_sessions(person.id, TESTER)
    assert await find_session(opened.token) is None


async def _people(instance: Instance, role: UserRole) -> tuple[str, User, User]:
    """The text of a secret, a user with this role, an email and an external ID, and another admin."""
    secret = await enable(instance)
    bystander = await admin("stays@example.com")
    await sign_in(instance, code_of(secret, {"user": {"id": "crm-9", "email": "dan@example.com"}}))
    person = await user("crm-9")
    if role is UserRole.ADMIN:
        person = await administration.set_role(person.id, role, TESTER)
    return secret, person, bystander


async def _rights(opened: OpenedSession) -> int:
    """0 for a session that has ended, 1 for one of a member, 2 for one with admin rights."""
    session = await find_session(opened.token)
    return 0 if session is None else 1 + session.has_admin_rights
