"""Bad signatures are limited by address. Codes with a valid signature are never counted."""

import time

import pytest

from service.encryption import open_cipher
from service.external_auth import secrets
from service.instance import Instance, open_instance
from service.rate_limit import FailedSignIns
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.settings import Settings, load_settings
from tests.actions import TESTER, answer_to, code_of, enable, refusal_of

ADA = {"user": {"id": "ada"}}
STRANGER = "x" * 43
BAD = code_of(STRANGER, ADA)
TOO_MANY = SignInErrorCode.TOO_MANY_ATTEMPTS
BAD_SIGNATURE = SignInErrorCode.INVALID_SIGNATURE


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Three tries, and an hour to wait: no test takes that long."""
    return {**environ, "DOORCODE_FAILED_SIGN_INS": "3/hour"}


async def exhaust(instance: Instance, address: str) -> None:
    for _ in range(3):
        assert await answer_to(instance, BAD, client=Client(address)) == BAD_SIGNATURE
    assert await answer_to(instance, BAD, client=Client(address)) == TOO_MANY


async def test_after_so_many_bad_signatures_an_address_waits(instance: Instance) -> None:
    await enable(instance)
    await exhaust(instance, "198.51.100.1")
    refused = await refusal_of(instance, BAD, client=Client("198.51.100.1"))
    assert refused.code == TOO_MANY
    assert refused.retry_after
    assert 3500 < refused.retry_after <= 3600
    assert await answer_to(instance, BAD, client=Client("198.51.100.2")) == BAD_SIGNATURE


async def test_genuine_code_is_never_held_up(instance: Instance) -> None:
    secret = await enable(instance)
    await exhaust(instance, "198.51.100.1")
    here = Client("198.51.100.1")
    assert await answer_to(instance, code_of(secret, ADA), client=here) is None
    assert await answer_to(instance, code_of(secret, {"id": "nobody"}), client=here) == SignInErrorCode.UNKNOWN_USER
    assert (
        await answer_to(instance, code_of(secret, {**ADA, "exp": int(time.time()) - 600}), client=here)
        == SignInErrorCode.CODE_EXPIRED
    )


async def test_genuine_code_is_never_counted_however_often_it_is_refused(instance: Instance) -> None:
    secret = await enable(instance)
    here = Client("198.51.100.1")
    for claims in ({"id": "nobody"}, {**ADA, "exp": 1}, {"user": 5}, {"id": ""}):
        for _ in range(4):
            assert await answer_to(instance, code_of(secret, claims), client=here) not in {None, TOO_MANY}
    await exhaust(instance, "198.51.100.1")


async def test_text_that_is_no_code_is_not_counted(instance: Instance) -> None:
    await enable(instance)
    for _ in range(5):
        assert await answer_to(instance, "a.b", client=Client("198.51.100.1")) == SignInErrorCode.MALFORMED_CODE
    await exhaust(instance, "198.51.100.1")


async def test_retired_secret_s_code_is_a_bad_signature_and_counts(instance: Instance) -> None:
    old = await enable(instance)
    await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    for expected in (BAD_SIGNATURE, BAD_SIGNATURE, BAD_SIGNATURE, TOO_MANY):
        assert await answer_to(instance, code_of(old, ADA), client=Client("198.51.100.1")) == expected


async def test_addresses_of_one_ipv6_network_count_together_and_others_apart(instance: Instance) -> None:
    await enable(instance)
    for last, expected in (("1", None), ("2", None), ("ffff:ffff:ffff:ffff", None), ("3", TOO_MANY)):
        answer = await answer_to(
            instance, BAD, client=Client(f"2001:db8:1:2:{last}" if ":" in last else f"2001:db8:1:2::{last}")
        )
        assert answer == (expected or BAD_SIGNATURE)
    assert await answer_to(instance, BAD, client=Client("2001:db8:1:3::1")) == BAD_SIGNATURE


async def test_mapped_ipv4_address_is_the_ipv4_address(instance: Instance) -> None:
    await enable(instance)
    await exhaust(instance, "198.51.100.1")
    assert await answer_to(instance, BAD, client=Client("::ffff:198.51.100.1")) == TOO_MANY
    assert await answer_to(instance, BAD, client=Client("::ffff:198.51.100.2")) == BAD_SIGNATURE


async def test_clients_without_an_address_are_counted_together(instance: Instance) -> None:
    await enable(instance)
    answers = [await answer_to(instance, BAD, client=Client(None)) for _ in range(4)]
    assert answers == [BAD_SIGNATURE] * 3 + [TOO_MANY]


async def test_networks_of_one_ipv6_site_have_ten_times_as_many_tries(instance: Instance) -> None:
    await enable(instance)
    answers = [await answer_to(instance, BAD, client=Client(f"2001:db8:1:{n}::1")) for n in range(31)]
    assert answers == [BAD_SIGNATURE] * 30 + [TOO_MANY]
    assert await answer_to(instance, BAD, client=Client("2001:db8:2::1")) == BAD_SIGNATURE


async def test_method_that_is_off_counts_nothing(instance: Instance) -> None:
    await enable(instance)
    await secrets.disable(TESTER)
    for _ in range(5):
        assert await answer_to(instance, BAD, client=Client("198.51.100.1")) == SignInErrorCode.EXTERNAL_AUTH_DISABLED
    await secrets.enable(instance.cipher, TESTER)
    await exhaust(instance, "198.51.100.1")


async def test_off_means_no_limit(settings: Settings, environ: dict[str, str]) -> None:
    async with open_instance(load_settings({**environ, "DOORCODE_FAILED_SIGN_INS": "off"})) as instance:
        await enable(instance)
        for _ in range(80):
            assert await answer_to(instance, BAD, client=Client("198.51.100.1")) == BAD_SIGNATURE


async def test_default_is_sixty_a_minute(settings: Settings, environ: dict[str, str]) -> None:
    del environ["DOORCODE_FAILED_SIGN_INS"]
    limiter = FailedSignIns(load_settings(environ), open_cipher(settings).keyed_hash)
    answers = [await limiter.count("198.51.100.1") for _ in range(61)]
    assert answers[:60] == [None] * 60
    assert answers[60]
    assert 1 <= answers[60] <= 60


async def test_counts_that_cannot_be_reached_hold_nobody_up(settings: Settings, environ: dict[str, str]) -> None:
    unreachable = {**environ, "DOORCODE_RATE_LIMIT_URL": "redis://127.0.0.1:1/0"}
    async with open_instance(load_settings(unreachable)) as instance:
        await enable(instance)
        for _ in range(5):
            assert await answer_to(instance, BAD, client=Client("198.51.100.1")) == BAD_SIGNATURE
