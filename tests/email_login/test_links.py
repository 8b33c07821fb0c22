"""One-time links: set-up and invitations, 1 hour and 24 hours, one use; a new one voids the old (contract §3)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine

from service.accounts import administration
from service.accounts.admins import has_admin, make_admin
from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.accounts.seats import set_seat_limit
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.email_login.configuration import update_configuration
from service.email_login.invitations import invite, invite_admin, invite_again
from service.email_login.link_sign_in import LinkNotGood, use_invitation, use_setup_link
from service.email_login.links import find_invited, is_setup_link, make_invitation_token, make_setup_token, purge_links
from service.email_login.mail_queue import MailKind
from service.errors import BadUserInput, Conflict, Forbidden, NotFound, RequestRefused, SeatLimitReached, SignInRefused
from service.instance import Instance
from service.page_urls import PageUrls
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod, TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from tests.actions import (
    CLIENT,
    HASHES,
    TESTER,
    admin,
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
from tests.email_login.dependencies import audited, queued_mails

PANEL = SignInAttempt(CLIENT, TokenTransport.ADMIN_COOKIE)
DOOR = SignInAttempt(CLIENT, TokenTransport.COOKIE)


async def set_up(instance: Instance, token: str, email: str = "boss@example.com") -> SignInResult:
    return await use_setup_link(token, email, PANEL, instance.email_login)


async def accept(instance: Instance, token: str, attempt: SignInAttempt = DOOR) -> SignInResult:
    return await use_invitation(token, attempt, instance.email_login)


async def outcome(signing_in: Awaitable[SignInResult]) -> type[BaseException] | None:
    """The type of the refusal, or None if a user is signed in."""
    try:
        await signing_in
    except (LinkNotGood, SignInRefused, RequestRefused) as refused:
        return type(refused)
    return None


def token_in(url: str) -> str:
    [token] = parse_qs(urlsplit(url).query)["token"]
    return token


# ---------------------------------------------------------------- set-up


async def test_setup_link_makes_the_first_admin(instance: Instance) -> None:
    token = await make_setup_token()
    assert await is_setup_link(token)
    result = await set_up(instance, token, " Boss@Example.COM ")
    first = result.session.user
    assert (first.email, first.role, first.origin) == ("boss@example.com", UserRole.ADMIN, UserOrigin.INVITATION)
    assert (result.session.method, result.session.token_transport) == (SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE)
    assert result.session.has_admin_rights
    assert await audited("user.invited") == [("user.invited", "setup", first.id)]


async def test_looking_uses_nothing_up(instance: Instance) -> None:
    setup, invitation = await make_setup_token(), await make_invitation_token(await member("ada@example.com"))
    before = await everything()
    for _ in range(3):
        assert await is_setup_link(setup)
        assert await find_invited(invitation)
    assert await everything() == before


async def test_setup_link_works_once(instance: Instance) -> None:
    token = await make_setup_token()
    await set_up(instance, token)
    assert await outcome(set_up(instance, token, "second@example.com")) is LinkNotGood
    assert await count("users") == await count("sessions") == 1


async def test_setup_link_works_once_also_when_many_open_it_at_once(instance: Instance) -> None:
    token = await make_setup_token()
    answers = Counter(await asyncio.gather(*(outcome(set_up(instance, token, f"a{n}@example.com")) for n in range(12))))
    assert answers == {None: 1, LinkNotGood: 11}
    assert await count("users") == await count("sessions") == 1


async def test_setup_link_is_good_for_an_hour(instance: Instance) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        token = await make_setup_token()
        clock.shift(timedelta(minutes=59, seconds=59))
        assert await is_setup_link(token)
        clock.shift(timedelta(seconds=1))
        assert not await is_setup_link(token)
        assert await outcome(set_up(instance, token)) is LinkNotGood


async def test_setup_link_dies_once_there_is_an_admin(instance: Instance) -> None:
    token = await make_setup_token()
    await member("ada@example.com")
    assert await is_setup_link(token)
    await admin()
    assert not await is_setup_link(token)
    assert await outcome(set_up(instance, token)) is LinkNotGood


async def test_new_setup_link_voids_the_old(instance: Instance) -> None:
    old, new = await make_setup_token(), await make_setup_token()
    assert not await is_setup_link(old)
    assert await outcome(set_up(instance, old)) is LinkNotGood
    assert await outcome(set_up(instance, new)) is None


async def test_set_up_raises_whoever_has_the_email(instance: Instance) -> None:
    ada = await member("ada@example.com")
    result = await set_up(instance, await make_setup_token(), "ada@example.com")
    assert result.session.user.serial == ada.serial
    assert (await user(ada.id)).role is UserRole.ADMIN
    assert await audited("user.role_set") == [("user.role_set", "setup", ada.id)]


async def test_refused_set_up_leaves_the_link_good(instance: Instance) -> None:
    token = await make_setup_token()
    assert await outcome(set_up(instance, token, "no address")) is BadUserInput
    await set_seat_limit(0, TESTER)
    assert await outcome(set_up(instance, token)) is SeatLimitReached
    assert await is_setup_link(token)
    assert not await has_admin()
    await set_seat_limit(1, TESTER)
    assert await outcome(set_up(instance, token)) is None


async def test_links_of_the_two_kinds_are_not_taken_for_each_other(instance: Instance) -> None:
    setup, invitation = await make_setup_token(), await make_invitation_token(await member("ada@example.com"))
    assert await find_invited(setup) is None
    assert not await is_setup_link(invitation)
    assert await outcome(accept(instance, setup)) is LinkNotGood
    assert await outcome(set_up(instance, invitation)) is LinkNotGood


BAD_TOKENS = ["", "dcl_", "dcl_" + "A" * 43, "dcl_" + "A" * 44, "dcs_" + "A" * 43, "\x00", "\ud800", "dcl_" + "é" * 43]


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_what_is_no_token_is_no_link(instance: Instance, token: str) -> None:
    await make_setup_token()
    assert not await is_setup_link(token)
    assert await find_invited(token) is None
    assert await outcome(set_up(instance, token)) is LinkNotGood
    assert await outcome(accept(instance, token)) is LinkNotGood


async def test_only_hashes_are_stored(instance: Instance) -> None:
    tokens = [await make_setup_token(), await make_invitation_token(await member("ada@example.com"))]
    stored = repr([dict(row) for row in await rows("sign_in_links")])
    assert not any(token in stored or token[4:] in stored for token in tokens)


# ---------------------------------------------------------------- invitations


async def test_inviting_mails_a_link_that_signs_in(instance: Instance) -> None:
    invited = await invite("Ada@Example.com", UserRole.MEMBER, TESTER, instance.email_login)
    [queued_mail] = await queued_mails(instance)
    assert (queued_mail.kind, queued_mail.email) == (MailKind.INVITATION, "ada@example.com")
    assert queued_mail.secret.startswith(f"{instance.settings.public_url}/invitation?token=dcl_")
    result = await accept(instance, token_in(queued_mail.secret))
    assert result.session.user.serial == invited.serial
    assert (result.session.method, result.session.token_transport) == (SignInMethod.EMAIL, TokenTransport.COOKIE)
    assert instance.email_login.mail_queue.wake_up.is_set()


async def test_admin_is_invited_to_the_panel(instance: Instance) -> None:
    await invite("boss@example.com", UserRole.ADMIN, TESTER, instance.email_login)
    [queued_mail] = await queued_mails(instance)
    assert queued_mail.secret.startswith(f"{instance.settings.public_url}/admin/invitation?token=dcl_")
    assert (await accept(instance, token_in(queued_mail.secret), PANEL)).session.has_admin_rights


async def test_invitation_that_is_refused_sends_nothing(instance: Instance) -> None:
    await member("ada@example.com")
    with pytest.raises(Conflict):
        await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    await set_seat_limit(1, TESTER)
    with pytest.raises(SeatLimitReached):
        await invite("grace@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    assert await count("outgoing_mails") == await count("sign_in_links") == 0


async def test_invitation_takes_its_seat_at_once(instance: Instance) -> None:
    await set_seat_limit(1, TESTER)
    await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    with pytest.raises(SeatLimitReached):
        await invite("grace@example.com", UserRole.MEMBER, TESTER, instance.email_login)


async def test_invitation_works_once_also_when_many_open_it_at_once(instance: Instance) -> None:
    token = await make_invitation_token(await member("ada@example.com"))
    answers = Counter(await asyncio.gather(*(outcome(accept(instance, token)) for _ in range(12))))
    assert answers == {None: 1, LinkNotGood: 11}
    assert await count("sessions") == 1


async def test_invitation_is_good_for_a_day(instance: Instance) -> None:
    ada = await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        token = await make_invitation_token(ada)
        clock.shift(timedelta(hours=23, minutes=59, seconds=59))
        assert await find_invited(token)
        clock.shift(timedelta(seconds=1))
        assert await find_invited(token) is None
        assert await outcome(accept(instance, token)) is LinkNotGood


async def test_new_invitation_voids_the_old_and_nobody_elses(instance: Instance) -> None:
    ada, grace = await member("ada@example.com"), await member("grace@example.com")
    old, other, setup = await make_invitation_token(ada), await make_invitation_token(grace), await make_setup_token()
    new = await make_invitation_token(ada)
    assert await outcome(accept(instance, old)) is LinkNotGood
    assert await outcome(accept(instance, new)) is None
    assert await outcome(accept(instance, other)) is None
    assert await is_setup_link(setup)


async def test_of_many_invitations_made_at_once_one_is_good(instance: Instance) -> None:
    ada = await member("ada@example.com")
    tokens = await asyncio.gather(*(make_invitation_token(ada) for _ in range(10)))
    assert Counter([await outcome(accept(instance, token)) for token in tokens]) == {None: 1, LinkNotGood: 9}


async def test_invitation_is_void_once_the_email_is_another(instance: Instance) -> None:
    """For example the invitation went to a wrong address, and the admin has corrected it."""
    ada = await member("adda@example.com")
    token = await make_invitation_token(ada)
    await administration.update_user(ada.id, TESTER, email="ada@example.com")
    assert await find_invited(token) is None
    assert await outcome(accept(instance, token)) is LinkNotGood


async def test_invitation_is_void_once_the_user_is_deleted(instance: Instance) -> None:
    await admin()
    ada = await member("ada@example.com")
    token = await make_invitation_token(ada)
    await administration.delete_user(ada.id, TESTER, HASHES)
    await member("ada@example.com")
    assert await outcome(accept(instance, token)) is LinkNotGood


async def test_deactivated_user_does_not_come_in_by_an_invitation(instance: Instance) -> None:
    await admin()
    ada = await member("ada@example.com")
    token = await make_invitation_token(ada)
    await administration.deactivate_user(ada.id, TESTER)
    with pytest.raises(SignInRefused) as refused:
        await accept(instance, token)
    assert refused.value.code is SignInErrorCode.USER_DEACTIVATED
    await administration.reactivate_user(ada.id, TESTER)
    assert await outcome(accept(instance, token)) is None, "a refusal uses nothing up"


async def test_panel_is_for_admins_alone(instance: Instance) -> None:
    ada = await member("ada@example.com")
    token = await make_invitation_token(ada)
    assert await outcome(accept(instance, token, PANEL)) is LinkNotGood
    await administration.set_role(ada.id, UserRole.ADMIN, TESTER)
    assert (await accept(instance, token, PANEL)).session.has_admin_rights


async def test_while_email_login_is_off_members_are_not_invited_and_admins_are(instance: Instance) -> None:
    ada = await member("ada@example.com")
    token = await make_invitation_token(ada)
    await update_configuration(TESTER, enabled=False)
    with pytest.raises(SignInRefused) as refused:
        await accept(instance, token)
    assert refused.value.code is SignInErrorCode.EMAIL_LOGIN_DISABLED
    await invite("grace@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    assert await queued_mails(instance) == []
    await invite("boss@example.com", UserRole.ADMIN, TESTER, instance.email_login)
    [queued_mail] = await queued_mails(instance)
    assert await outcome(accept(instance, token_in(queued_mail.secret), PANEL)) is None


async def test_expired_links_are_purged_in_batches(instance: Instance) -> None:
    people = [await member(f"a{n}@example.com") for n in range(3)]
    with time_machine.travel(now() - timedelta(hours=25)):
        for person in people:
            await make_invitation_token(person)
    await make_setup_token()
    assert [await purge_links(2) for _ in range(3)] == [2, 1, 0]
    assert await count("sign_in_links") == 1


# ---------------------------------------------------------------- admins


async def admin_by_command(email: str) -> User:
    async with transaction():
        return await make_admin(email, TESTER)


async def test_admin_is_made_with_a_link_to_the_panel(instance: Instance) -> None:
    invitation = await invite_admin(" Boss@Example.com", TESTER, PageUrls("https://id.example.com"))
    assert invitation.url.startswith("https://id.example.com/admin/invitation?token=dcl_")
    assert await queued_mails(instance) == []
    result = await accept(instance, token_in(invitation.url), PANEL)
    assert result.session.has_admin_rights
    assert [mail.kind for mail in await queued_mails(instance)] == [MailKind.ADMIN_SIGN_IN]
    assert [action for action, _, _ in await audited("user.invited", "admin.link_made")] == [
        "user.invited",
        "admin.link_made",
    ]


async def test_way_back_in_works_whatever_is_switched_off(instance: Instance) -> None:
    await admin("boss@example.com")
    await update_configuration(TESTER, enabled=False)
    invitation = await invite_admin("boss@example.com", TESTER, PageUrls("https://id.example.com"))
    assert await outcome(accept(instance, token_in(invitation.url), PANEL)) is None
    assert await audited("user.role_set", "admin.link_made") == [("admin.link_made", "tester", invitation.user.id)]


async def test_member_is_raised_and_keeps_everything_but_its_sessions(instance: Instance) -> None:
    ada = await member("ada@example.com")
    opened = await open_for(ada)
    raised = await admin_by_command("ADA@example.com")
    assert (raised.serial, raised.role, raised.email) == (ada.serial, UserRole.ADMIN, ada.email)
    assert await find_session(opened.token) is None, "it was opened by a member"
    assert await audited("user.role_set") == [("user.role_set", "tester", ada.id)]


async def test_deactivated_user_is_reactivated_on_a_seat(instance: Instance) -> None:
    await admin()
    ada = await member("ada@example.com")
    await administration.deactivate_user(ada.id, TESTER)
    await set_seat_limit(1, TESTER)
    with pytest.raises(SeatLimitReached):
        await admin_by_command("ada@example.com")
    assert (await user(ada.id)).status is UserStatus.DEACTIVATED
    await set_seat_limit(2, TESTER)
    raised = await admin_by_command("ada@example.com")
    assert (raised.role, raised.status) == (UserRole.ADMIN, UserStatus.ACTIVE)
    assert [action for action, _, _ in await audited("user.reactivated", "user.role_set")] == [
        "user.reactivated",
        "user.role_set",
    ]


async def test_new_admin_takes_a_seat_like_anybody(instance: Instance) -> None:
    await set_seat_limit(0, TESTER)
    with pytest.raises(SeatLimitReached):
        await invite_admin("boss@example.com", TESTER, PageUrls("https://id.example.com"))
    assert (
        await count("users")
        == await count("sign_in_links")
        == await count("audit_events", "WHERE action <> 'seats.limit_set'")
        == 0
    )


async def test_same_admin_made_by_many_at_once_is_one(instance: Instance) -> None:
    makers: list[Callable[[], Awaitable[object]]] = [
        lambda: invite_admin("boss@example.com", TESTER, PageUrls("https://x"))
    ] * 8
    await asyncio.gather(*(make() for make in makers))
    assert await count("users") == await count("sign_in_links") == 1


# ---------------------------------------------------------------- another invitation


async def test_another_invitation_voids_the_one_before(instance: Instance) -> None:
    ada = await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    await invite_again(ada.id, TESTER, instance.email_login)
    first, second = [token_in(queued_mail.secret) for queued_mail in await queued_mails(instance)]
    assert await outcome(accept(instance, first)) is LinkNotGood
    assert await outcome(accept(instance, second)) is None
    assert [user_id for _, _, user_id in await audited("user.invited")] == [ada.id, ada.id]


async def test_who_has_been_here_is_not_invited_again(instance: Instance) -> None:
    boss, gone, off = await admin(), await member("gone@example.com"), await member("off@example.com")
    here, secret = await member("here@example.com"), await enable(instance)
    nobodys = (await sign_in(instance, code_of(secret, {"user": {"id": "crm-1"}}))).session.user
    await accept(instance, await make_invitation_token(here))
    await administration.deactivate_user(gone.id, TESTER)
    for person in (here, gone, nobodys):
        with pytest.raises(Conflict, match="has not signed in yet"):
            await invite_again(person.id, TESTER, instance.email_login)
    await update_configuration(TESTER, enabled=False)
    with pytest.raises(Conflict, match="Email login is off"):
        await invite_again(off.id, TESTER, instance.email_login)
    with pytest.raises(Forbidden):
        await invite_again(boss.id, Actor("api-key:key_1"), instance.email_login)
    with pytest.raises(NotFound):
        await invite_again("nobody", TESTER, instance.email_login)
    assert await queued_mails(instance) == []
    await invite_again(boss.id, TESTER, instance.email_login)
    assert "/admin/invitation?token=" in (await queued_mails(instance))[0].secret
