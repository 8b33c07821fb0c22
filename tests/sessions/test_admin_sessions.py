"""Sessions with admin rights: a shorter lifetime, an end when they are idle, and a mail about a new network."""

from datetime import timedelta

import pytest
import time_machine

from service.accounts.models import UserRole
from service.authority import by_session_token
from service.clock import now
from service.database import write_rest_of_marks
from service.email_login.invitations import invite_admin
from service.email_login.link_sign_in import use_invitation
from service.email_login.mail import compose
from service.email_login.mail_queue import MailKind
from service.instance import Instance, open_instance
from service.sessions.lifecycle import Client, LiveSession, count_live_sessions, find_session
from service.sessions.models import TokenTransport
from service.settings import Settings, load_settings
from service.sign_in.attempt import SignInAttempt, SignInResult
from tests.actions import TESTER, add_invited, admin, code_of, enable, member
from tests.actions import sign_in as sign_in_by_code
from tests.email_login.dependencies import ask, queued_mails, sign_in, sign_in_from

HOME, OFFICE = Client("198.51.100.1"), Client("203.0.113.9")
ANY_TRANSPORT = frozenset(TokenTransport)
IN_PANEL = [transport for transport in TokenTransport if transport is not TokenTransport.COOKIE]


async def opened(instance: Instance, email: str, transport: TokenTransport = TokenTransport.BEARER) -> SignInResult:
    request, code = await ask(instance, email)
    return await sign_in(instance, request.id, code, token_transport=transport)


def lifetime(session: LiveSession) -> timedelta:
    return session.expires_at - session.created_at


async def announced(instance: Instance) -> list[tuple[str, str]]:
    return [(mail.email, mail.secret) for mail in await queued_mails(instance) if mail.kind is MailKind.ADMIN_SIGN_IN]


@pytest.mark.parametrize("transport", IN_PANEL)
async def test_admin_session_lasts_twelve_hours(instance: Instance, transport: TokenTransport) -> None:
    await admin("boss@example.com")
    session = (await opened(instance, "boss@example.com", transport)).session
    assert session.has_admin_rights
    assert lifetime(session) == pytest.approx(timedelta(hours=12), abs=timedelta(seconds=1))


async def test_other_sessions_of_an_admin_and_those_of_members_last_as_before(instance: Instance) -> None:
    await admin("boss@example.com")
    await member("ada@example.com")
    secret = await enable(instance)
    by_code = await sign_in_by_code(instance, code_of(secret, {"user": {"id": "crm-1"}}))
    results = [
        await opened(instance, "boss@example.com", TokenTransport.COOKIE),
        await opened(instance, "ada@example.com"),
        by_code,
    ]
    with time_machine.travel(now() + timedelta(days=6)):
        for result in results:
            assert lifetime(result.session) == pytest.approx(timedelta(days=7), abs=timedelta(seconds=1))
            assert result.session.idle_until is None
            assert await find_session(result.token), "it has no idle end"


async def test_shorter_lifetime_of_all_sessions_holds_for_admins_too(
    settings: Settings, environ: dict[str, str]
) -> None:
    async with open_instance(load_settings({**environ, "DOORCODE_SESSION_LIFETIME": "60"})) as instance:
        await admin("boss@example.com")
        session = (await opened(instance, "boss@example.com")).session
        assert lifetime(session) == pytest.approx(timedelta(minutes=1), abs=timedelta(seconds=1))


async def test_session_by_a_one_time_link_is_an_admin_session(instance: Instance) -> None:
    invitation = await invite_admin("boss@example.com", TESTER, instance.email_login.page_urls)
    attempt = SignInAttempt(HOME, TokenTransport.ADMIN_COOKIE)
    result = await use_invitation(invitation.url.partition("token=")[2], attempt, instance.email_login)
    assert lifetime(result.session) == pytest.approx(timedelta(hours=12), abs=timedelta(seconds=1))
    assert result.session.idle_until


async def test_admin_session_ends_after_two_hours_without_a_request(instance: Instance) -> None:
    await admin("boss@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        token = (await opened(instance, "boss@example.com", TokenTransport.ADMIN_COOKIE)).token
        clock.shift(timedelta(hours=2, seconds=-1))
        assert await find_session(token)
        clock.shift(timedelta(seconds=1))
        assert await find_session(token) is None


async def test_requests_keep_an_admin_session_until_its_lifetime_ends(instance: Instance) -> None:
    await admin("boss@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        token = (await opened(instance, "boss@example.com", TokenTransport.ADMIN_COOKIE)).token
        for _ in range(11):
            clock.shift(timedelta(hours=1))
            assert (await by_session_token(token, HOME, ANY_TRANSPORT)).session
            await write_rest_of_marks()
        clock.shift(timedelta(hours=1))
        assert (await by_session_token(token, HOME, ANY_TRANSPORT)).session is None


async def test_idle_session_is_not_listed_and_not_counted(instance: Instance) -> None:
    boss = await admin("boss@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await opened(instance, "boss@example.com")
        assert await count_live_sessions(boss) == 1
        clock.shift(timedelta(hours=2))
        assert await count_live_sessions(boss) == 0


async def test_admin_is_told_of_a_sign_in_from_a_new_network_once(instance: Instance) -> None:
    await admin("boss@example.com")
    for client in (HOME, HOME, OFFICE, HOME):
        await sign_in_from(instance, client, email="boss@example.com")
    assert await announced(instance) == [("boss@example.com", HOME.ip_address), ("boss@example.com", OFFICE.ip_address)]
    [*_, mail] = [mail for mail in await queued_mails(instance) if mail.kind is MailKind.ADMIN_SIGN_IN]
    message = compose(mail, instance.settings)
    assert message["Subject"] == "New sign-in as an admin at 127.0.0.1"
    assert message.get_content_type() == "text/plain"
    assert str(OFFICE.ip_address) in message.get_content()


async def test_members_and_sessions_without_admin_rights_are_not_told(instance: Instance) -> None:
    await member("ada@example.com")
    await add_invited("boss@example.com", UserRole.ADMIN)
    await sign_in_from(instance, HOME)
    await opened(instance, "boss@example.com", TokenTransport.COOKIE)
    assert await announced(instance) == []
