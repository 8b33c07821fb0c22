"""A code: 6 digits, 10 minutes, 5 tries, one use, for the one request that asked for it (contract §3)."""

import asyncio
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet

from service.accounts import administration
from service.accounts.models import UserStatus
from service.accounts.seats import set_seat_limit
from service.clock import now
from service.database import transaction
from service.email_login import codes
from service.email_login.configuration import update_configuration
from service.encryption import Cipher
from service.errors import BadUserInput, SignInRefused
from service.instance import Instance, open_instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod, TokenTransport
from service.settings import Settings
from service.sign_in.attempt import SignInResult
from tests.actions import TESTER, admin, count, member, rows
from tests.email_login.dependencies import (
    INVALID,
    answer_to,
    ask,
    audited,
    open_to_anyone,
    queued_mails,
    sign_in,
    wrong,
)


async def test_code_signs_in_whom_it_was_sent_to(instance: Instance) -> None:
    user = await member("ada@example.com")
    request, code = await ask(instance, " ADA@Example.COM ")
    result = await sign_in(instance, request.id, code)
    assert result.session.user.serial == user.serial
    assert (result.session.method, result.session.token_transport) == (SignInMethod.EMAIL, TokenTransport.BEARER)
    assert not result.new_user
    lifetime = timedelta(seconds=instance.settings.session_lifetime)
    assert result.session.expires_at - result.session.created_at == pytest.approx(lifetime, abs=timedelta(seconds=1))
    found = await find_session(result.token)
    assert found
    assert found.id == result.session.id
    seen = await administration.set_role(user.id, user.role, TESTER)
    assert seen.last_seen_at


async def test_code_has_six_digits_and_the_request_128_random_bits(instance: Instance) -> None:
    before = now()
    request, code = await ask(instance)
    assert re.fullmatch(r"[0-9]{6}", code)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", request.id)
    assert request.expires_at - before == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=2))
    assert request.resend_after - before == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=2))


async def test_codes_are_drawn_from_all_there_are(instance: Instance) -> None:
    async with transaction():
        made = [await codes.make_code(f"a{n}@example.com", instance.cipher) for n in range(300)]
    assert len({code.id for code in made}) == 300
    assert len({code.digits for code in made}) > 290
    assert {len(code.digits) for code in made} == {6}
    assert len({code.digits[0] for code in made}) == 10  # a leading zero is as good as any


async def test_email_sign_in_always_opens_a_new_session(instance: Instance) -> None:
    await member("ada@example.com")
    tokens = set()
    for _ in range(3):
        request, code = await ask(instance)
        tokens.add((await sign_in(instance, request.id, code)).token)
    assert len(tokens) == await count("sessions") == 3


@pytest.mark.parametrize("token_transport", TokenTransport)
async def test_admin_rights_come_with_the_method_and_the_carrier(
    instance: Instance, token_transport: TokenTransport
) -> None:
    await admin("ada@example.com")
    request, code = await ask(instance)
    result = await sign_in(instance, request.id, code, token_transport=token_transport)
    assert result.session.has_admin_rights is (token_transport is not TokenTransport.COOKIE)


@pytest.mark.parametrize("write", ["{}", " {} ", "{:.3} {:.3}", "{:.3}-{:.3}", "\u00a0{}\u200b\n", "{:.3}\u2009{:.3}"])
async def test_code_may_be_pasted_as_it_was_copied(instance: Instance, write: str) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    typed = write.replace("{:.3}", code[:3], 1).replace("{:.3}", code[3:], 1).replace("{}", code)
    assert await answer_to(instance, request.id, typed) is None


@pytest.mark.parametrize("zero", ["\uff10", "\u0660", "\u06f0", "\u0966", "\U0001d7ce"])
async def test_code_may_be_typed_in_the_digits_of_another_script(instance: Instance, zero: str) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    typed = "".join(chr(ord(zero) + int(digit)) for digit in code)
    assert await answer_to(instance, request.id, typed) is None


@pytest.mark.parametrize(
    "typed",
    ["", " ", "12345", "1234567", "abcdef", "12345x", "١٢٣٤٥٦", "\x00", "\ud800", "0" * 60_000, "+12345", "1e5"],
)
async def test_what_is_no_code_is_a_wrong_one(instance: Instance, typed: str) -> None:
    await member("ada@example.com")
    request, _ = await ask(instance)
    assert await answer_to(instance, request.id, typed) is INVALID
    assert [row["tries"] for row in await rows("email_codes")] == [1]


@pytest.mark.parametrize(
    "request_id", ["", "x", "A" * 22, "A" * 23, "\x00" * 22, "\ud800" * 22, "é" * 22, "' OR 1=1 --" * 2]
)
async def test_unknown_request_answers_like_a_wrong_code(instance: Instance, request_id: str) -> None:
    await member("ada@example.com")
    await ask(instance)
    assert await answer_to(instance, request_id, "123456") is INVALID


async def test_code_is_good_for_ten_minutes(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        (first, first_code), (second, second_code) = await ask(instance), await ask(instance)
        clock.shift(timedelta(minutes=9, seconds=59))
        assert await answer_to(instance, first.id, first_code) is None
        clock.shift(timedelta(seconds=1))
        assert await answer_to(instance, second.id, second_code) is INVALID


async def test_code_works_once(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    assert await answer_to(instance, request.id, code) is None
    assert await answer_to(instance, request.id, code) is INVALID
    assert await count("sessions") == 1


async def test_fifth_try_may_be_the_right_one(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    for _ in range(4):
        assert await answer_to(instance, request.id, wrong(code)) is INVALID
    assert await answer_to(instance, request.id, code) is None


async def test_sixth_try_is_never_right(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    for _ in range(5):
        assert await answer_to(instance, request.id, wrong(code)) is INVALID
    assert await answer_to(instance, request.id, code) is INVALID
    assert await count("sessions") == 0


async def test_tries_of_many_at_once_are_counted_exactly(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    guesses = [f"{(int(code) + n) % 1_000_000:06}" for n in range(1, 41)]
    assert set(await asyncio.gather(*(answer_to(instance, request.id, guess) for guess in guesses))) == {INVALID}
    assert [row["tries"] for row in await rows("email_codes")] == [5]
    assert await answer_to(instance, request.id, code) is INVALID


async def test_right_code_of_many_at_once_signs_in_once(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    answers = await asyncio.gather(*(answer_to(instance, request.id, code) for _ in range(20)))
    assert Counter(answers) == {None: 1, INVALID: 19}
    assert await count("sessions") == 1


async def test_try_counts_also_where_the_sign_in_is_rolled_back(instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(0, TESTER)
    request, code = await ask(instance)
    for _ in range(3):
        assert await answer_to(instance, request.id, code) is SignInErrorCode.SEAT_LIMIT_REACHED
    assert [(row["tries"], row["used_at"]) for row in await rows("email_codes")] == [(3, None)]
    await set_seat_limit(1, TESTER)
    assert await answer_to(instance, request.id, code) is None


async def test_right_code_that_is_always_rolled_back_has_five_tries_too(instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(0, TESTER)
    request, code = await ask(instance)
    answers = [await answer_to(instance, request.id, code) for _ in range(6)]
    assert answers == [SignInErrorCode.SEAT_LIMIT_REACHED] * 5 + [INVALID]


async def test_requests_know_nothing_of_each_other(instance: Instance) -> None:
    await member("ada@example.com")
    mine, code = await ask(instance)
    for _ in range(2):  # another client requests codes for the same address, and uses up all their tries
        theirs, other_code = await ask(instance)
        for _ in range(6):
            await answer_to(instance, theirs.id, wrong(other_code))
        assert await answer_to(instance, theirs.id, code) is INVALID
    assert await answer_to(instance, mine.id, code) is None


async def test_code_of_one_request_is_wrong_for_another(instance: Instance) -> None:
    await member("ada@example.com")
    (first, first_code), (second, second_code) = await ask(instance), await ask(instance)
    if first_code != second_code:
        assert await answer_to(instance, first.id, second_code) is INVALID
    assert await answer_to(instance, second.id, second_code) is None
    assert await answer_to(instance, first.id, first_code) is None


async def test_nobody_gets_a_code_for_nothing(instance: Instance) -> None:
    """Uninvited, or deactivated since: only a client with the right code is told, and the uninvited not even then."""
    stranger, code = await ask(instance, "stranger@example.com")
    assert await answer_to(instance, stranger.id, code) is INVALID
    await admin()
    user = await member("ada@example.com")
    request, code = await ask(instance)
    await administration.deactivate_user(user.id, TESTER)
    assert await answer_to(instance, request.id, wrong(code)) is INVALID
    assert await answer_to(instance, request.id, code) is SignInErrorCode.USER_DEACTIVATED
    assert await count("sessions") == 0
    assert await audited("sign_in.refused") == [("sign_in.refused", "email", user.id)]


async def test_code_goes_with_the_address_not_with_the_user(instance: Instance) -> None:
    user = await member("ada@example.com")
    request, code = await ask(instance)
    await administration.update_user(user.id, TESTER, email="ada@elsewhere.example")
    assert await answer_to(instance, request.id, code) is INVALID


async def test_session_of_a_user_who_is_deactivated_meanwhile_is_dead(instance: Instance) -> None:
    await admin()
    user = await member("ada@example.com")
    request, code = await ask(instance)
    result, _ = await asyncio.gather(
        _or_none(sign_in(instance, request.id, code)), administration.deactivate_user(user.id, TESTER)
    )
    if result is not None:
        assert await find_session(result.token) is None


async def _or_none(signing_in: Awaitable[SignInResult]) -> SignInResult | None:
    try:
        return await signing_in
    except SignInRefused:
        return None


async def test_database_holds_no_code(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    stored = repr([dict(row) for table in ("email_codes", "outgoing_mails") for row in await rows(table)])
    assert code not in stored
    [row] = await rows("email_codes")
    plain = (f"{code}", f"{request.id}{code}", f"{code}{request.id}", f"email code\n{request.id}\n{code}")
    for salt, hashed in itertools.product(plain, (hashlib.sha256, hashlib.sha1, hashlib.sha512)):
        assert row["code_hash"] != hashed(salt.encode()).hexdigest()
    assert (await queued_mails(instance))[0].secret == code  # readable with the operator's key alone


async def test_code_outlives_a_new_encryption_key_in_front_of_the_old(settings: Settings) -> None:
    keys = tuple(Fernet.generate_key().decode() for _ in range(2))
    async with open_instance(settings.model_copy(update={"encryption_keys": keys[:1]})) as instance:
        await member("ada@example.com")
        request, code = await ask(instance)
    async with open_instance(settings.model_copy(update={"encryption_keys": keys[::-1]})) as instance:
        assert await answer_to(instance, request.id, wrong(code)) is INVALID
        assert await answer_to(instance, request.id, code) is None


def test_hash_depends_on_the_key() -> None:
    ciphers = [Cipher((Fernet.generate_key().decode(),)) for _ in range(2)]
    hashes = [cipher.keyed_hash("123456") for cipher in ciphers]
    assert hashes[0] != hashes[1]
    assert ciphers[0].fits("123456", hashes[0])
    assert not ciphers[0].fits("123457", hashes[0])
    assert not ciphers[1].fits("123456", hashes[0])


async def test_while_email_login_is_off_nobody_signs_in_by_it(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance)
    await update_configuration(TESTER, enabled=False)
    assert await answer_to(instance, request.id, code) is SignInErrorCode.EMAIL_LOGIN_DISABLED
    assert [row["tries"] for row in await rows("email_codes")] == [0]
    await update_configuration(TESTER, enabled=True)
    assert await answer_to(instance, request.id, code) is None


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b@c", "a\r\nBcc: x@example.com@example.com", "\x00@example.com", "\ud800@x.y"]
)
async def test_what_is_no_address_is_refused_as_such(instance: Instance, email: str) -> None:
    with pytest.raises(BadUserInput):
        await ask(instance, email)
    assert await count("email_codes") == await count("email_code_allowances") == 0


async def test_expired_requests_are_purged_in_batches(instance: Instance) -> None:
    with time_machine.travel(now() - timedelta(minutes=11)):
        for n in range(3):
            await ask(instance, f"a{n}@example.com")
    kept, _ = await ask(instance)
    assert [await codes.purge_codes(2) for _ in range(3)] == [2, 1, 0]
    assert [row["id"] for row in await rows("email_codes")] == [kept.id]


async def test_deactivated_user_stays_deactivated(instance: Instance) -> None:
    await open_to_anyone()
    await admin()
    user = await member("ada@example.com")
    await administration.deactivate_user(user.id, TESTER)
    request, code = await ask(instance)
    assert await answer_to(instance, request.id, code) is SignInErrorCode.USER_DEACTIVATED
    assert [row["status"] for row in await rows("users", "WHERE email = 'ada@example.com'")] == [UserStatus.DEACTIVATED]
