"""Verified and claimed addresses: what a code says of its email, and what an address that is only claimed does not do."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from service.accounts import administration
from service.accounts.admins import make_admin
from service.accounts.directory import UserFilter, UserOrder, list_users
from service.accounts.lookup import find_by_email
from service.accounts.models import User, UserRole
from service.audit.models import AuditEvent
from service.clock import now
from service.database import transaction
from service.email_login.invitations import invite, invite_again
from service.email_login.link_sign_in import use_setup_link
from service.email_login.links import make_setup_token
from service.errors import Conflict
from service.external_auth.inspection import inspect
from service.external_auth.policy import EmailLinking
from service.instance import Instance
from service.paging import Slice
from service.refusal_texts import SignInErrorCode
from service.sessions.access_tokens import issue_access_token
from service.sessions.lifecycle import find_session
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt
from tests.actions import (
    CLIENT,
    TESTER,
    admin,
    answer_to,
    audited,
    code_of,
    count,
    enable,
    everything,
    member,
    open_for,
    refusal_of,
    rows,
    set_policy,
    sign_in,
    user,
)
from tests.email_login.dependencies import answer_to as answer_to_email
from tests.email_login.dependencies import ask, open_to_anyone
from tests.email_login.dependencies import sign_in as sign_in_by_email
from tests.statements import noted_statements

ADDRESS = "victim@example.com"
CLAIMED = [False, "false", 0, "0"]
VERIFIED = [True, "true", 1, "1"]
ODD: list[Any] = [
    "",
    " ",
    "False",
    "TRUE",
    "yes",
    "no",
    "null",
    2,
    -1,
    10**400,
    0.0,
    1.0,
    0.5,
    [],
    [True],
    {},
    {"a": 1},
]


def claims_of(user_id: str, email: str | None = ADDRESS, **members: Any) -> dict[str, object]:
    return {"user": {"id": user_id, **({} if email is None else {"email": email}), **members}}


def state(person: User) -> tuple[str | None, bool]:
    return person.shown_email, person.email_verified


async def claim(instance: Instance, secret: str, user_id: str = "crm-666", email: str = ADDRESS) -> User:
    """A user whose address a code only claims."""
    return (await sign_in(instance, code_of(secret, claims_of(user_id, email, email_verified=False)))).session.user


# ---------------------------------------------------------------- what a code says


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("said", "verified"), [*((v, True) for v in VERIFIED), *((v, False) for v in CLAIMED)], ids=repr
)
async def test_code_says_whether_its_email_is_verified_whatever_the_policy(
    instance: Instance, said: object, verified: bool, trusted: bool
) -> None:
    secret = await enable(instance)
    await set_policy(trust_emails=trusted)
    result = await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=said, plan="gold")))
    assert state(result.session.user) == state(await user("crm-42")) == (ADDRESS, verified)
    assert json.loads((await user("crm-42")).metadata) == {"plan": "gold"}


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("members", [{}, {"email_verified": None}])
async def test_policy_decides_where_the_code_does_not_say(
    instance: Instance, members: dict[str, Any], trusted: bool
) -> None:
    secret = await enable(instance)
    await set_policy(trust_emails=trusted)
    await sign_in(instance, code_of(secret, claims_of("crm-42", **members)))
    assert state(await user("crm-42")) == (ADDRESS, trusted)
    assert (await user("crm-42")).metadata == "{}"


@pytest.mark.parametrize("email", [ADDRESS, None, "no address"])
@pytest.mark.parametrize("said", ODD, ids=lambda value: repr(value)[:12])
async def test_any_other_value_is_invalid_for_new_and_known_users(
    instance: Instance, said: object, email: str | None
) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("known")))
    before = await rows("users")
    for user_id in ("new", "known"):
        refused = await refusal_of(instance, code_of(secret, claims_of(user_id, email, email_verified=said)))
        assert refused.code is SignInErrorCode.INVALID_CLAIMS
        assert "user.email_verified" in (refused.reason or "")
    assert await rows("users") == before


async def test_emails_are_trusted_by_default(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    assert state(await user("crm-42")) == (ADDRESS, True)


async def test_user_without_an_email_has_no_verified_one(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42", None, email_verified=True)))
    assert state(await user("crm-42")) == (None, False)


async def test_member_of_that_name_alone_leaves_the_metadata_as_it_is(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42", plan="gold")))
    await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=True)))
    assert json.loads((await user("crm-42")).metadata) == {"plan": "gold"}


# ---------------------------------------------------------------- a claimed address does nothing else


async def test_claimed_address_signs_no_one_in_by_email(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret)
    request, digits = await ask(instance, ADDRESS)
    assert await answer_to_email(instance, request.id, digits) is SignInErrorCode.INVALID_EMAIL_CODE
    await open_to_anyone()
    request, digits = await ask(instance, ADDRESS)
    owner = (await sign_in_by_email(instance, request.id, digits)).session.user
    assert owner.id != "crm-666"
    assert state(owner) == (ADDRESS, True)
    assert state(await user("crm-666")) == (ADDRESS, False), "the other user's copy stays claimed"
    stranger = await sign_in(instance, code_of(secret, claims_of("crm-666", email_verified=False)))
    assert stranger.session.user.serial != owner.serial


async def test_claimed_address_is_found_by_no_email_code_even_beside_a_session_of_its_user(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, claims_of("crm-666", email_verified=False)))
    by_email = code_of(secret, {"email": ADDRESS})
    assert await answer_to(instance, by_email) is SignInErrorCode.UNKNOWN_USER
    assert await answer_to(instance, by_email, session_token=first.token) is SignInErrorCode.UNKNOWN_USER
    owner = await member(ADDRESS)
    assert (await sign_in(instance, by_email, session_token=first.token)).session.user.id == owner.id


@pytest.mark.parametrize("linking", list(EmailLinking))
async def test_claimed_address_links_no_one_and_is_not_taken(instance: Instance, linking: EmailLinking) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=linking)
    await claim(instance, secret)
    honest = await sign_in(instance, code_of(secret, claims_of("crm-1", email_verified=True)))
    assert honest.new_user
    assert state(honest.session.user) == (ADDRESS, True)
    late = await sign_in(instance, code_of(secret, claims_of("crm-2", email_verified=False)))
    assert late.new_user
    assert state(late.session.user) == (ADDRESS, False)
    assert await count("users") == 3


@pytest.mark.parametrize("linking", list(EmailLinking))
async def test_claimed_address_of_a_code_reaches_no_user_who_has_it_verified(
    instance: Instance, linking: EmailLinking
) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=linking)
    owner = await member(ADDRESS)
    stranger = await claim(instance, secret)
    assert stranger.serial != owner.serial
    assert (await user(owner.id)).external_id is None


async def test_claimed_address_blocks_no_invitation_and_no_change_by_an_admin(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret)
    invited = await invite(ADDRESS, UserRole.ADMIN, TESTER, instance.email_login)
    assert (invited.id != "crm-666", *state(invited)) == (True, ADDRESS, True)
    await claim(instance, secret, "crm-667", "other@example.com")
    other = await member("some@example.com")
    changed = await administration.update_user(other.id, TESTER, email="other@example.com")
    assert state(changed) == ("other@example.com", True)
    assert state(await user("crm-667")) == ("other@example.com", False)


async def test_claimed_address_raises_no_one_to_admin(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret)
    async with transaction():
        boss = await make_admin(ADDRESS, TESTER)
    assert boss.id != "crm-666"
    assert (await user("crm-666")).role is UserRole.MEMBER
    with pytest.raises(Conflict, match="verified email"):
        await administration.set_role("crm-666", UserRole.ADMIN, TESTER)


async def test_set_up_link_raises_no_one_who_claimed_the_address(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret)
    token = await make_setup_token()
    attempt = SignInAttempt(CLIENT, TokenTransport.ADMIN_COOKIE)
    boss = (await use_setup_link(token, ADDRESS, attempt, instance.email_login)).session.user
    assert (boss.id != "crm-666", boss.role, *state(boss)) == (True, UserRole.ADMIN, ADDRESS, True)
    assert (await user("crm-666")).role is UserRole.MEMBER


async def test_user_whose_address_is_claimed_is_sent_no_invitation(instance: Instance) -> None:
    secret = await enable(instance)
    person = await claim(instance, secret)
    async with transaction():
        await User.filter(serial=person.serial).update(last_seen_at=None)
    with pytest.raises(Conflict, match="verified email"):
        await invite_again("crm-666", TESTER, instance.email_login)
    assert await count("outgoing_mails") == await count("sign_in_links") == 0


async def test_claimed_address_is_shown_filtered_and_searched(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret)
    owner = await member(ADDRESS)
    for wanted in (UserFilter(email="Victim@Example.com"), UserFilter(search="victim@")):
        page = await list_users(wanted, UserOrder.EMAIL_ASC).page(Slice(first=1))
        rest = await list_users(wanted, UserOrder.EMAIL_ASC).page(
            Slice(first=9, after=page.listing.cursor(page.rows[0]))
        )
        found = [row["id"] for row in (*page.rows, *rest.rows)]
        assert found == sorted(["crm-666", owner.id])


async def test_access_token_tells_whether_the_email_is_verified(instance: Instance) -> None:
    secret = await enable(instance)
    for user_id, said in (("crm-1", True), ("crm-2", False)):
        result = await sign_in(instance, code_of(secret, claims_of(user_id, email_verified=said)))
        token = (await issue_access_token(result.session, instance.settings, instance.cipher)).token
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["email"], claims["email_verified"]) == (ADDRESS, said)


# ---------------------------------------------------------------- what later codes change


async def test_later_verified_code_verifies_a_claimed_address(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret, "crm-42")
    result = await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=True)))
    assert state(result.session.user) == state(await user("crm-42")) == (ADDRESS, True)
    [event] = await AuditEvent.filter(action="user.updated")
    assert json.loads(event.detail)["changed"] == ["emailVerified"]
    found = await find_by_email(ADDRESS)
    assert found
    assert found.id == "crm-42"


async def test_later_verified_code_leaves_the_address_claimed_where_another_user_has_it(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret, "crm-42")
    await member(ADDRESS)
    for _ in range(2):
        await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=True)))
    assert state(await user("crm-42")) == (ADDRESS, False)
    assert await kept() == [("crm-42", "email taken", 2)]


async def kept() -> list[tuple[str | None, str, int]]:
    """The events about emails of codes that changed nothing."""
    events = await AuditEvent.filter(action="user.email_kept").order_by("created_at", "id")
    return [(event.user_id, json.loads(event.detail)["reason"], event.count) for event in events]


@pytest.mark.parametrize("email", [ADDRESS, "other@example.com"])
@pytest.mark.parametrize("role", list(UserRole))
async def test_claimed_address_neither_replaces_nor_unverifies_a_verified_one(
    instance: Instance, email: str, role: UserRole
) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    await administration.set_role("crm-42", role, TESTER)
    for _ in range(3):
        await sign_in(instance, code_of(secret, claims_of("crm-42", email, email_verified=False)))
    assert state(await user("crm-42")) == (ADDRESS, True)
    assert await kept() == [("crm-42", "email not verified", 3)]


async def test_claimed_address_by_policy_replaces_no_verified_one(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    await set_policy(trust_emails=False)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    assert await kept() == [], "the same address is no attempt to change it"
    await sign_in(instance, code_of(secret, claims_of("crm-42", "other@example.com")))
    assert state(await user("crm-42")) == (ADDRESS, True)
    assert await kept() == [("crm-42", "email not verified", 1)]


async def test_claimed_address_follows_the_codes_while_none_is_verified(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42", None)))
    for email in (ADDRESS, "other@example.com"):
        await claim(instance, secret, "crm-42", email)
        assert state(await user("crm-42")) == (email, False)
    assert await audited("user.updated") == [("user.updated", "crm-42")] * 2


async def test_verified_address_of_a_code_replaces_a_verified_one(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    await sign_in(instance, code_of(secret, claims_of("crm-42", "new@example.com")))
    assert state(await user("crm-42")) == ("new@example.com", True)
    assert await find_by_email(ADDRESS) is None


async def test_admin_who_sets_the_claimed_address_verifies_it_and_ends_no_session(instance: Instance) -> None:
    secret = await enable(instance)
    result = await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=False)))
    changed = await administration.update_user("crm-42", TESTER, email=ADDRESS)
    assert state(changed) == state(await user("crm-42")) == (ADDRESS, True)
    assert await find_session(result.token)
    await claim(instance, secret, "crm-43")
    with pytest.raises(Conflict, match="Another user has this email"):
        await administration.update_user("crm-43", TESTER, email=ADDRESS)
    assert state(await administration.update_user("crm-43", TESTER, email=None)) == (None, False)


async def test_change_of_the_external_id_and_a_link_leave_the_state_of_the_address(instance: Instance) -> None:
    secret = await enable(instance)
    await claim(instance, secret, "crm-42")
    assert state(await administration.update_user("crm-42", TESTER, external_id="crm-43")) == (ADDRESS, False)
    await set_policy(email_linking=EmailLinking.LINK)
    owner = await member("owner@example.com")
    linked = await sign_in(instance, code_of(secret, claims_of("crm-1", "owner@example.com")))
    assert (linked.session.user.id, *state(linked.session.user)) == (owner.id, "owner@example.com", True)


async def test_last_admin_with_a_verified_address_stays_one(instance: Instance) -> None:
    boss = await admin()
    with pytest.raises(Conflict):
        await administration.update_user(boss.id, TESTER, email=None)
    with pytest.raises(Conflict):
        await administration.deactivate_user(boss.id, TESTER)


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("trusted", "said"), [(True, {"email_verified": False}), (False, {}), (False, {"email_verified": True})]
)
@pytest.mark.parametrize("verified_before", [True, False])
async def test_exchange_with_an_unchanged_address_costs_one_read_and_one_write(
    instance: Instance, trusted: bool, said: dict[str, Any], verified_before: bool
) -> None:
    secret = await enable(instance)
    await set_policy(trust_emails=trusted)
    if verified_before and "email_verified" not in said:
        await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=True)))
    code = code_of(secret, claims_of("crm-42", **said))
    await sign_in(instance, code)
    async with noted_statements() as noted:
        await sign_in(instance, code)
    assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 1, 2), noted


# ---------------------------------------------------------------- inspection


@pytest.mark.parametrize(
    ("before", "claims", "words"),
    [
        (None, claims_of("crm-42"), ("(verified)", "creates the user 'crm-42', whose email is verified")),
        (
            None,
            claims_of("crm-42", email_verified=0),
            ("(claimed)", "creates the user 'crm-42', whose email is claimed"),
        ),
        (False, claims_of("crm-42"), ("(verified)", "Its email is then verified.")),
        (
            True,
            claims_of("crm-42", email_verified=False),
            ("(claimed)", "only claimed, and the user has a verified one"),
        ),
        (None, claims_of("crm-42", None), ("email none", "creates the user 'crm-42'.")),
    ],
)
async def test_inspection_tells_what_would_become_of_the_address(
    instance: Instance, before: bool | None, claims: dict[str, object], words: tuple[str, str]
) -> None:
    secret = await enable(instance)
    if before is not None:
        await sign_in(instance, code_of(secret, claims_of("crm-42", email_verified=before)))
    stored = await everything()
    found = {
        check.name: check.detail for check in (await inspect(code_of(secret, claims), instance.external_auth)).checks
    }
    assert words[0] in found["claims"]
    assert words[1] in found["user"]
    assert await everything() == stored


async def test_inspection_refuses_another_value(instance: Instance) -> None:
    secret = await enable(instance)
    result = await inspect(code_of(secret, claims_of("crm-42", email_verified="maybe")), instance.external_auth)
    assert not result.accepted
    assert result.refusal
    assert result.refusal.code is SignInErrorCode.INVALID_CLAIMS


# ---------------------------------------------------------------- at once


async def test_two_codes_that_verify_one_address_at_once_give_it_to_one_user(instance: Instance) -> None:
    secret = await enable(instance)
    for number in range(6):
        await claim(instance, secret, f"crm-{number}")
    codes = [code_of(secret, claims_of(f"crm-{number}", email_verified=True)) for number in range(6)]
    codes += [code_of(secret, claims_of(f"new-{number}", email_verified=True)) for number in range(4)]
    answers = await asyncio.gather(*(answer_to(instance, code) for code in codes))
    assert set(answers[:6]) == {None}
    assert set(answers[6:]) <= {None, SignInErrorCode.EMAIL_TAKEN}
    assert await count("users", f"WHERE email = '{ADDRESS}'") == 1
    newcomers = answers[6:].count(None)
    assert newcomers <= 1
    assert await count("users", f"WHERE claimed_email = '{ADDRESS}'") == 5 + newcomers


async def test_email_sign_up_against_a_verified_code_makes_one_owner(instance: Instance) -> None:
    secret = await enable(instance)
    await open_to_anyone()
    await claim(instance, secret, "crm-1")
    request, digits = await ask(instance, ADDRESS)
    by_mail, by_code = await asyncio.gather(
        sign_in_by_email(instance, request.id, digits),
        sign_in(instance, code_of(secret, claims_of("crm-1", email_verified=True))),
    )
    [owner] = await rows("users", f"WHERE email = '{ADDRESS}'")
    assert by_mail.session.user.id == owner["id"]
    assert by_code.session.user.id == "crm-1"
    assert (await user("crm-1")).email_verified is (owner["id"] == "crm-1")


async def test_session_opened_by_email_ends_with_its_address_and_not_by_a_claim(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of("crm-42")))
    opened = await open_for(await user("crm-42"), lifetime=timedelta(hours=1).total_seconds())
    await sign_in(instance, code_of(secret, claims_of("crm-42", "other@example.com", email_verified=False)))
    assert await find_session(opened.token)
    await sign_in(instance, code_of(secret, claims_of("crm-42", "other@example.com", email_verified=True)))
    assert await find_session(opened.token) is None
    assert opened.session.expires_at > now()
