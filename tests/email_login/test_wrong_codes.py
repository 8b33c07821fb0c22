"""Wrong codes in a row make an address wait, and then refuse codes. Known clients do not wait for what others did."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet

from service.accounts.administration import delete_user, update_user
from service.audit.log import Actor
from service.clock import now
from service.email_login import wrong_codes
from service.email_login.invitations import invite_admin
from service.email_login.known_clients import MOST_OF_USER, new_device_token, purge_known_clients
from service.email_login.link_sign_in import use_invitation
from service.email_login.wrong_codes import (
    FREE,
    KEPT,
    MOST,
    MOST_OF_KNOWN,
    MOST_OF_OTHERS,
    WAITS,
    purge_wrong_codes,
    unlock_email_sign_in,
)
from service.errors import Forbidden
from service.instance import Instance, open_instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.settings import Settings, load_settings
from service.sign_in.attempt import SignInAttempt
from tests.actions import HASHES, TESTER, admin, audited, code_of, count, enable, member, rows
from tests.actions import answer_to as answer_to_code
from tests.email_login.dependencies import (
    INVALID,
    answer_to,
    ask,
    forget_allowances,
    guess_wrong,
    refusal_to_ask,
    refusal_to_sign_in,
    sign_in_from,
    wrong,
)

HOME, ELSEWHERE = Client("198.51.100.1"), Client("203.0.113.9")
TOO_MANY = SignInErrorCode.TOO_MANY_ATTEMPTS
API_KEY = Actor.of_api_key("key", None)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Without the limit by network, which has tests of its own."""
    return {**environ, "DOORCODE_FAILED_SIGN_INS": "off"}


async def lock(instance: Instance, *, email: str = "ada@example.com", client: Client = ELSEWHERE) -> None:
    """Wrong codes until codes are refused."""
    with time_machine.travel(now() - timedelta(days=60), tick=False) as clock:
        await guess_wrong(instance, FREE, email=email, client=client)
        for _ in range(MOST_OF_OTHERS - FREE):
            clock.shift(WAITS[-1])
            assert await guess_wrong(instance, 1, email=email, client=client) == [INVALID]


async def test_waits_begin_after_fifteen_wrong_codes_and_grow(instance: Instance) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        assert await guess_wrong(instance, FREE) == [INVALID] * FREE
        waits: list[timedelta] = []
        for _ in range(len(WAITS) + 1):
            request, code = (await ask(instance)) if len(waits) < 2 else (None, "")
            if request is not None:  # a wait that a code does not outlive refuses the request instead
                refused = await refusal_to_sign_in(instance, request.id, wrong(code))
            else:
                refused = await refusal_to_ask(instance)
            assert refused.code is TOO_MANY
            assert refused.retry_after
            waits.append(timedelta(seconds=refused.retry_after))
            clock.shift(waits[-1])
            assert await guess_wrong(instance, 1) == [INVALID]
    assert waits == [*WAITS, WAITS[-1]]
    assert waits == sorted(waits)


async def test_right_code_waits_too_and_is_not_spent(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await guess_wrong(instance, FREE)
        request, code = await ask(instance)
        for transport in TokenTransport:
            refused = await refusal_to_sign_in(instance, request.id, code, token_transport=transport)
            assert (refused.code, refused.retry_after) == (TOO_MANY, 60)
        assert [row["tries"] for row in await rows("email_codes") if row["id"] == request.id] == [0]
        clock.shift(WAITS[0])
        assert await answer_to(instance, request.id, code) is None


async def test_success_resets_the_count(instance: Instance) -> None:
    await member("ada@example.com")
    for _ in range(3):
        assert await guess_wrong(instance, FREE - 1) == [INVALID] * (FREE - 1)
        await forget_allowances()
        await sign_in_from(instance)
    assert await count("wrong_codes") == 0


async def test_success_of_a_known_client_resets_what_others_did(instance: Instance) -> None:
    await member("ada@example.com")
    await sign_in_from(instance, HOME)
    await guess_wrong(instance, FREE, client=ELSEWHERE)
    await sign_in_from(instance, HOME)
    assert await guess_wrong(instance, 1, client=ELSEWHERE) == [INVALID]


async def test_other_addresses_do_not_wait(instance: Instance) -> None:
    await guess_wrong(instance, FREE)
    assert await guess_wrong(instance, 1, email="grace@example.com") == [INVALID]


async def test_unknown_address_waits_like_a_known_one(instance: Instance) -> None:
    await member("ada@example.com")
    answers = []
    with time_machine.travel(now(), tick=False):
        for email in ("ada@example.com", "unknown@example.com"):
            guesses = await guess_wrong(instance, FREE + 3, email=email)
            request, code = await ask(instance, email)
            refused = await refusal_to_sign_in(instance, request.id, code)
            answers.append((guesses, refused.retry_after, refused.message))
    assert answers[0] == answers[1]


async def test_guesses_at_the_same_moment_are_counted_exactly(instance: Instance) -> None:
    requests = []
    for _ in range(6):
        await forget_allowances()
        requests.append(await ask(instance))
    answers = await asyncio.gather(
        *(answer_to(instance, request.id, wrong(code)) for request, code in requests for _ in range(5))
    )
    assert Counter(answers) == {INVALID: FREE, TOO_MANY: 30 - FREE}
    assert sum(row["tries"] for row in await rows("email_codes")) == FREE


async def test_tries_that_cannot_be_right_are_not_counted_for_the_address(instance: Instance) -> None:
    request, code = await ask(instance)
    for _ in range(FREE + 5):
        assert await answer_to(instance, request.id, wrong(code)) is INVALID
    assert [row["in_a_row"] for row in await rows("wrong_codes")] == [5]


async def test_known_network_does_not_wait_for_what_strangers_did(instance: Instance) -> None:
    await member("ada@example.com")
    await sign_in_from(instance, HOME)
    await lock(instance)
    assert (await refusal_to_ask(instance, client=ELSEWHERE)).code is TOO_MANY
    await sign_in_from(instance, HOME)


async def test_strangers_cannot_use_up_the_requests_of_a_known_network(instance: Instance) -> None:
    await member("ada@example.com")
    await sign_in_from(instance, HOME)
    await forget_allowances()
    for n in range(15):
        await ask(instance, client=Client(f"203.0.113.{n}"))
    assert (await refusal_to_ask(instance, client=Client("203.0.113.200"))).code is TOO_MANY
    for _ in range(5):
        await sign_in_from(instance, HOME)
    assert (await refusal_to_ask(instance, client=HOME)).code is TOO_MANY


async def test_network_is_known_by_its_64_bits_and_for_its_address_only(instance: Instance) -> None:
    await member("ada@example.com")
    await member("grace@example.com")
    await sign_in_from(instance, Client("2001:db8:1:2::1"))
    for email, client, known in (
        ("ada@example.com", Client("2001:db8:1:2:ffff::9"), True),
        ("ada@example.com", Client("2001:db8:1:3::1"), False),
        ("grace@example.com", Client("2001:db8:1:2::1"), False),
    ):
        await guess_wrong(instance, FREE, email=email)
        assert (await guess_wrong(instance, 1, email=email, client=client) == [INVALID]) is known


async def test_client_without_an_address_is_never_a_known_network(instance: Instance) -> None:
    await member("ada@example.com")
    await sign_in_from(instance, Client())
    assert await count("known_clients") == 0


async def test_known_browser_has_its_own_allowance_and_copies_of_its_cookie_share_it(instance: Instance) -> None:
    await member("ada@example.com")
    device = new_device_token()
    await sign_in_from(instance, HOME, device=device)
    await lock(instance)
    assert await guess_wrong(instance, FREE, client=ELSEWHERE, device=device) == [INVALID] * FREE
    assert await guess_wrong(instance, 1, client=Client("203.0.113.77"), device=device) == [TOO_MANY]
    await forget_allowances()
    await sign_in_from(instance, HOME, device=device)  # the cookie is used up, and the network is not


async def test_device_token_of_another_address_gives_nothing(instance: Instance) -> None:
    await member("ada@example.com")
    await member("grace@example.com")
    device = new_device_token()
    await sign_in_from(instance, HOME, email="grace@example.com", device=device)
    await guess_wrong(instance, FREE)
    assert await guess_wrong(instance, 1, client=ELSEWHERE, device=device) == [TOO_MANY]


async def test_known_client_is_bounded_and_the_account_by_a_hundred(instance: Instance) -> None:
    await member("ada@example.com")
    networks = [Client(f"198.51.100.{n}") for n in range(4)]
    with time_machine.travel(now() - timedelta(days=100), tick=False) as clock:
        for client in networks:
            await sign_in_from(instance, client)
        for client in networks:
            await guess_wrong(instance, FREE, client=client)
            for _ in range(MOST_OF_KNOWN - FREE):
                clock.shift(WAITS[-1])
                assert await guess_wrong(instance, 1, client=client) == [INVALID]
            clock.shift(WAITS[-1])
            await forget_allowances()
            assert (await refusal_to_ask(instance, client=client)).retry_after == 86_400
        assert (await refusal_to_ask(instance, client=ELSEWHERE)).retry_after == 86_400
    assert sum(row["in_a_row"] for row in await rows("wrong_codes")) == MOST


async def test_after_fifty_wrong_codes_only_help_lifts_the_lock(instance: Instance) -> None:
    user = await member("ada@example.com")
    await lock(instance)
    with time_machine.travel(now() + timedelta(days=300)):
        refused = await refusal_to_ask(instance, client=ELSEWHERE)
        assert (refused.code, refused.retry_after) == (TOO_MANY, 86_400)
        assert "Ask an administrator" in refused.message
    await unlock_email_sign_in(user.id, API_KEY, instance.cipher)
    await forget_allowances()
    await sign_in_from(instance, ELSEWHERE)
    assert ("user.email_sign_in_unlocked", user.id) in await audited("user.email_sign_in_unlocked")


async def test_code_that_was_requested_before_the_lock_is_refused(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now() - timedelta(minutes=5)):
        request, code = await ask(instance, client=ELSEWHERE)
    await lock(instance)
    assert (await refusal_to_sign_in(instance, request.id, code)).retry_after == 86_400


async def test_one_time_link_lifts_the_lock(instance: Instance) -> None:
    await admin("ada@example.com")
    await lock(instance)
    invitation = await invite_admin("ada@example.com", TESTER, instance.email_login.page_urls)
    attempt = SignInAttempt(ELSEWHERE, TokenTransport.ADMIN_COOKIE)
    await use_invitation(invitation.url.partition("token=")[2], attempt, instance.email_login)
    await forget_allowances()
    await sign_in_from(instance, Client("203.0.113.44"))


async def test_only_an_admin_in_person_unlocks_an_admin(instance: Instance) -> None:
    boss = await admin("ada@example.com")
    await guess_wrong(instance, FREE)
    with pytest.raises(Forbidden):
        await unlock_email_sign_in(boss.id, API_KEY, instance.cipher)
    assert await guess_wrong(instance, 1) == [TOO_MANY]
    await unlock_email_sign_in(boss.id, TESTER, instance.cipher)
    assert await guess_wrong(instance, 1) == [INVALID]


async def test_unlocking_what_is_not_locked_leaves_no_event(instance: Instance) -> None:
    user = await member("ada@example.com")
    await unlock_email_sign_in(user.id, TESTER, instance.cipher)
    assert await audited("user.email_sign_in_unlocked") == []


async def test_tables_hold_no_address_and_no_network(instance: Instance) -> None:
    await member("ada@example.com")
    device = new_device_token()
    await sign_in_from(instance, HOME, device=device)
    await guess_wrong(instance, 1, client=HOME)
    stored = repr([dict(row) for table in ("known_clients", "wrong_codes") for row in await rows(table)])
    for text in ("ada@", "198.51.100", device):
        assert text not in stored


async def test_newest_twenty_networks_of_a_user_are_known(instance: Instance) -> None:
    await member("ada@example.com")
    clients = [Client(f"198.51.100.{n}") for n in range(MOST_OF_USER + 2)]
    with time_machine.travel(now(), tick=False) as clock:
        for client in clients:
            clock.shift(timedelta(minutes=1))
            await forget_allowances()
            await sign_in_from(instance, client)
        assert await count("known_clients") == MOST_OF_USER
        await guess_wrong(instance, FREE)
        assert await guess_wrong(instance, 1, client=clients[1]) == [TOO_MANY]
        assert await guess_wrong(instance, 1, client=clients[2]) == [INVALID]


async def test_deleting_a_user_forgets_its_networks(instance: Instance) -> None:
    user = await member("ada@example.com")
    await sign_in_from(instance, HOME)
    await delete_user(user.id, TESTER, HASHES)
    assert await count("known_clients") == 0


async def test_network_is_not_known_for_a_new_address_of_the_user(instance: Instance) -> None:
    user = await member("ada@example.com")
    await sign_in_from(instance, HOME)
    await update_user(user.id, TESTER, email="new@example.com")
    await guess_wrong(instance, FREE, email="new@example.com")
    assert await guess_wrong(instance, 1, email="new@example.com", client=HOME) == [TOO_MANY]


async def test_known_network_stays_known_when_the_encryption_key_is_replaced(
    settings: Settings, environ: dict[str, str]
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    async with open_instance(load_settings({**environ, "DOORCODE_ENCRYPTION_KEYS": old})) as instance:
        await member("ada@example.com")
        await sign_in_from(instance, HOME)
    async with open_instance(load_settings({**environ, "DOORCODE_ENCRYPTION_KEYS": f"{new},{old}"})) as instance:
        await guess_wrong(instance, FREE, client=ELSEWHERE)
        assert await guess_wrong(instance, 1, client=ELSEWHERE) == [TOO_MANY]
        assert await guess_wrong(instance, 1, client=HOME) == [INVALID]


async def test_exchange_of_a_code_makes_no_network_known(instance: Instance) -> None:
    secret = await enable(instance)
    assert await answer_to_code(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}})) is None
    assert await count("known_clients") == 0


async def test_old_counts_and_clients_are_purged(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now() - KEPT - timedelta(minutes=1)):
        await sign_in_from(instance, HOME)
        await guess_wrong(instance, 1, client=ELSEWHERE)
    await guess_wrong(instance, 1, email="grace@example.com")
    assert (await purge_wrong_codes(10), await purge_known_clients(10)) == (1, 1)
    assert (await count("wrong_codes"), await count("known_clients")) == (1, 0)


async def test_number_of_counts_is_bounded_and_the_oldest_go_first(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_codes, "MAX_ROWS", 2)
    with time_machine.travel(now(), tick=False) as clock:
        for n in range(4):
            clock.shift(timedelta(minutes=1))
            await guess_wrong(instance, n + 1, email=f"a{n}@example.com")
        assert [await purge_wrong_codes(1) for _ in range(3)] == [1, 1, 0]
        assert sorted(row["in_a_row"] for row in await rows("wrong_codes")) == [3, 4]
