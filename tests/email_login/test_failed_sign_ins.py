"""Wrong codes are counted by network, together with bad signatures. Right codes are never counted."""

import asyncio

import pytest

from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from tests.actions import answer_to as answer_to_code
from tests.actions import code_of, enable, member, rows
from tests.email_login.dependencies import INVALID, answer_to, ask, wrong

HERE, ELSEWHERE = Client("198.51.100.1"), Client("198.51.100.2")
TOO_MANY = SignInErrorCode.TOO_MANY_ATTEMPTS


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Three tries, and an hour to wait: no test takes that long."""
    return {**environ, "DOORCODE_FAILED_SIGN_INS": "3/hour"}


async def test_wrong_codes_are_counted_by_address(instance: Instance) -> None:
    request, code = await ask(instance)
    other, other_code = await ask(instance, "grace@example.com")
    assert [await answer_to(instance, request.id, wrong(code), client=HERE) for _ in range(3)] == [INVALID] * 3
    assert await answer_to(instance, other.id, wrong(other_code), client=HERE) is TOO_MANY
    assert await answer_to(instance, other.id, wrong(other_code), client=ELSEWHERE) is INVALID


async def test_requests_that_do_not_exist_are_counted_too(instance: Instance) -> None:
    assert [await answer_to(instance, "A" * 22, "123456", client=HERE) for _ in range(4)] == [INVALID] * 3 + [TOO_MANY]


async def test_right_code_is_refused_over_the_limit_and_not_spent(instance: Instance) -> None:
    await member("ada@example.com")
    request, code = await ask(instance, client=HERE)
    for _ in range(3):
        assert await answer_to(instance, "A" * 22, "123456", client=HERE) is INVALID
    for transport in TokenTransport:
        assert await answer_to(instance, request.id, code, client=HERE, token_transport=transport) is TOO_MANY
    assert [row["tries"] for row in await rows("email_codes")] == [0]
    assert await answer_to(instance, request.id, code, client=ELSEWHERE) is None


async def test_right_code_is_never_counted(instance: Instance) -> None:
    await member("ada@example.com")
    for _ in range(4):
        request, code = await ask(instance, client=ELSEWHERE)
        assert await answer_to(instance, request.id, code, client=ELSEWHERE) is None
    assert await answer_to(instance, "A" * 22, "123456", client=ELSEWHERE) is INVALID


async def test_guesses_at_the_same_moment_do_not_exceed_the_limit(instance: Instance) -> None:
    requests = [await ask(instance, f"a{n}@example.com", client=HERE) for n in range(10)]
    answers = await asyncio.gather(
        *(answer_to(instance, request.id, wrong(code), client=HERE) for request, code in requests)
    )
    looked_at = sum(row["tries"] for row in await rows("email_codes"))
    assert looked_at == answers.count(INVALID) <= 3
    assert answers.count(TOO_MANY) == 10 - looked_at


async def test_clients_without_an_address_are_counted_together(instance: Instance) -> None:
    answers = [await answer_to(instance, "A" * 22, "123456", client=Client(None)) for _ in range(4)]
    assert answers == [INVALID] * 3 + [TOO_MANY]


async def test_networks_of_one_ipv6_site_have_ten_times_as_many_tries(instance: Instance) -> None:
    for n in range(30):
        assert await answer_to(instance, "A" * 22, "123456", client=Client(f"2001:db8:1:{n}::1")) is INVALID
    assert await answer_to(instance, "A" * 22, "123456", client=Client("2001:db8:1:ffff::1")) is TOO_MANY
    assert await answer_to(instance, "A" * 22, "123456", client=Client("2001:db8:2:1::1")) is INVALID


async def test_bad_signatures_and_wrong_codes_are_counted_together(instance: Instance) -> None:
    await enable(instance)
    bad = code_of("x" * 43, {"user": {"id": "ada"}})
    for _ in range(3):
        assert await answer_to_code(instance, bad, client=HERE) is SignInErrorCode.INVALID_SIGNATURE
    assert await answer_to(instance, "A" * 22, "123456", client=HERE) is TOO_MANY


async def test_asking_is_not_counted(instance: Instance) -> None:
    for n in range(10):
        await ask(instance, f"a{n}@example.com", client=HERE)
    assert await answer_to(instance, "A" * 22, "123456", client=HERE) is INVALID
