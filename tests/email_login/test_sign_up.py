"""Sign-up: with INVITATION only existing users get a code, with OPEN every address, if a seat is free (contract §3)."""

import asyncio
from collections import Counter

from service.accounts.models import UserOrigin, UserRole
from service.accounts.seats import count_seats, set_seat_limit
from service.email_login.configuration import read_configuration, update_configuration
from service.email_login.models import SignUpMode
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from tests import actions
from tests.actions import TESTER, add_invited, code_of, count, enable, member, rows
from tests.email_login.dependencies import INVALID, answer_to, ask, audited, forget_allowances, open_to_anyone, sign_in

FULL = SignInErrorCode.SEAT_LIMIT_REACHED


async def test_email_login_is_on_for_the_invited_by_default(instance: Instance) -> None:
    configuration = await read_configuration()
    assert (configuration.enabled, configuration.sign_up) == (True, SignUpMode.INVITATION)


async def test_user_that_a_code_made_may_sign_in_by_email_too(instance: Instance) -> None:
    secret = await enable(instance)
    await actions.sign_in(instance, code_of(secret, {"user": {"id": "crm-42", "email": "ada@example.com"}}))
    request, code = await ask(instance)
    assert (await sign_in(instance, request.id, code)).session.user.id == "crm-42"


async def test_stranger_does_not_come_in_by_invitation(instance: Instance) -> None:
    request, code = await ask(instance)
    assert await answer_to(instance, request.id, code) is INVALID
    assert await count("users") == await count("audit_events") == 0


async def test_first_sign_in_makes_the_user_where_anyone_may(instance: Instance) -> None:
    await open_to_anyone()
    request, code = await ask(instance, "Ada@Example.com")
    result = await sign_in(instance, request.id, code)
    user = result.session.user
    assert result.new_user
    assert user.id.startswith("usr_")
    assert (user.email, user.origin, user.role) == ("ada@example.com", UserOrigin.EMAIL, UserRole.MEMBER)
    assert (await count_seats()).active(UserOrigin.EMAIL) == 1
    assert await audited("user.created") == [("user.created", "email", user.id)]
    request, code = await ask(instance)
    again = await sign_in(instance, request.id, code)
    assert not again.new_user
    assert again.session.user.serial == user.serial


async def test_invited_user_stays_one_where_anyone_may(instance: Instance) -> None:
    user = await member("ada@example.com")
    await open_to_anyone()
    request, code = await ask(instance)
    result = await sign_in(instance, request.id, code)
    assert not result.new_user
    assert (result.session.user.serial, result.session.user.origin) == (user.serial, UserOrigin.INVITATION)


async def test_mode_that_holds_when_the_code_is_typed_is_what_counts(instance: Instance) -> None:
    await open_to_anyone()
    request, code = await ask(instance)
    await update_configuration(TESTER, sign_up=SignUpMode.INVITATION)
    assert await answer_to(instance, request.id, code) is INVALID
    await open_to_anyone()
    assert await answer_to(instance, request.id, code) is None


async def test_full_instance_refuses_newcomer_and_creates_nothing(instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(1, TESTER)
    await member("ada@example.com")
    request, code = await ask(instance, "grace@example.com")
    assert await answer_to(instance, request.id, code) is FULL
    assert [row["email"] for row in await rows("users")] == ["ada@example.com"]
    assert await audited("sign_in.refused") == [("sign_in.refused", "email", None)]
    request, code = await ask(instance)
    assert await answer_to(instance, request.id, code) is None, "who has a seat keeps it"


async def test_refusals_of_one_person_are_one_event_an_hour(instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(0, TESTER)
    request, code = await ask(instance)
    for _ in range(3):
        assert await answer_to(instance, request.id, code) is FULL
    assert [row["count"] for row in await rows("audit_events", "WHERE action = 'sign_in.refused'")] == [3]


async def test_seats_hold_however_many_sign_up_at_once(instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(3, TESTER)
    asked = [await ask(instance, f"a{n}@example.com") for n in range(20)]
    answers = Counter(await asyncio.gather(*(answer_to(instance, request.id, code) for request, code in asked)))
    assert answers == {None: 3, FULL: 17}
    assert (await count_seats()).used == await count("users") == await count("sessions") == 3


async def test_newcomer_with_several_codes_at_once_is_one_user(instance: Instance) -> None:
    await open_to_anyone()
    asked = []
    for _ in range(10):
        asked.append(await ask(instance))
        await forget_allowances()
    answers = await asyncio.gather(*(answer_to(instance, request.id, code) for request, code in asked))
    assert set(answers) == {None}
    assert await count("users") == (await count_seats()).used == 1
    assert await count("sessions") == 10


async def test_newcomer_and_an_invitation_at_once_are_one_user(instance: Instance) -> None:
    await open_to_anyone()
    request, code = await ask(instance)
    await asyncio.gather(
        answer_to(instance, request.id, code),
        add_invited("ada@example.com", UserRole.MEMBER),
        return_exceptions=True,
    )
    assert await count("users") == (await count_seats()).used == 1


async def test_change_of_the_switch_is_audited_where_it_is_one(instance: Instance) -> None:
    await update_configuration(TESTER)
    await update_configuration(TESTER, enabled=True, sign_up=SignUpMode.INVITATION)
    assert await audited("email_login.updated") == []
    await update_configuration(TESTER, enabled=False)
    after = await update_configuration(TESTER, sign_up=SignUpMode.OPEN)
    assert (after.enabled, after.sign_up) == (False, SignUpMode.OPEN)
    assert len(await audited("email_login.updated")) == 2
