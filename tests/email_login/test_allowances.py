"""The limits of requested email codes: exact, counted in the database, and without locking another user out."""

import asyncio
import hashlib
from collections import Counter
from datetime import timedelta

import pytest
import time_machine

from service.clock import now
from service.email_login import allowances
from service.email_login.allowances import (
    FROM_NETWORK,
    OF_ADDRESS,
    OF_ADDRESS_FROM_NETWORK,
    purge_allowances,
    take_allowance,
)
from service.email_login.known_clients import find_sources
from service.errors import SignInRefused
from service.instance import Instance, open_instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.settings import Settings
from tests.actions import ADDRESS, CLIENT, count, member, rows
from tests.email_login.dependencies import answer_to, ask, refusal_to_ask

TOO_MANY = SignInErrorCode.TOO_MANY_ATTEMPTS

HERE, ELSEWHERE = Client(ADDRESS), Client("198.51.100.7")


async def take_request(instance: Instance, email: str, client: Client = CLIENT) -> None:
    """Takes the allowance alone, which is quicker than a whole request."""
    cipher = instance.cipher
    await take_allowance(email, client.ip_address, await find_sources(email, client, None, cipher), cipher)


async def test_address_has_five_codes_an_hour(instance: Instance) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        for _ in range(5):
            await ask(instance)
        refused = await refusal_to_ask(instance)
        assert (refused.code, refused.retry_after) == (TOO_MANY, 3600)
        await ask(instance, "grace@example.com")
        clock.shift(timedelta(minutes=59, seconds=59))
        assert (await refusal_to_ask(instance)).retry_after == 1
        clock.shift(timedelta(seconds=1))
        for _ in range(5):
            await ask(instance)
        assert (await refusal_to_ask(instance)).retry_after == 3600


async def test_refused_request_makes_no_code_and_no_mail(instance: Instance) -> None:
    for _ in range(5):
        await ask(instance)
    await refusal_to_ask(instance)
    assert await count("email_codes") == await count("outgoing_mails") == 5


async def test_last_request_says_from_when_there_is_another(instance: Instance) -> None:
    with time_machine.travel(now(), tick=False):
        requests = [(await ask(instance))[0] for _ in range(5)]
        waits = [request.resend_after - now() for request in requests]
    assert waits == [timedelta(minutes=1)] * 4 + [timedelta(hours=1)]


async def test_many_at_once_are_counted_exactly(instance: Instance) -> None:
    async def attempt() -> str:
        try:
            await take_request(instance, "ada@example.com")
        except SignInRefused as refused:
            return refused.code
        return "taken"

    answers = Counter(await asyncio.gather(*(attempt() for _ in range(30))))
    assert answers == {"taken": OF_ADDRESS_FROM_NETWORK, TOO_MANY: 30 - OF_ADDRESS_FROM_NETWORK}


async def test_client_in_another_network_cannot_use_up_the_allowance_of_a_user(instance: Instance) -> None:
    await member("ada@example.com")
    for _ in range(5):
        await ask(instance, client=ELSEWHERE)
    for _ in range(20):
        await refusal_to_ask(instance, client=ELSEWHERE)
    request, code = await ask(instance, client=HERE)
    assert await answer_to(instance, request.id, code, client=HERE) is None


async def test_mailbox_gets_no_more_than_so_many_from_everywhere(instance: Instance) -> None:
    for n in range(OF_ADDRESS):
        await ask(instance, client=Client(f"198.51.100.{n}"))
    assert (await refusal_to_ask(instance, client=Client("198.51.100.200"))).code is TOO_MANY
    await ask(instance, "grace@example.com", client=Client("198.51.100.200"))


async def test_network_cannot_send_mail_to_every_address(instance: Instance) -> None:
    for n in range(FROM_NETWORK):
        await take_request(instance, f"a{n}@example.com")
    assert (await refusal_to_ask(instance)).code is TOO_MANY
    await ask(instance, client=ELSEWHERE)


async def test_ipv6_counts_by_the_network(instance: Instance) -> None:
    for n in range(5):
        await ask(instance, client=Client(f"2001:db8:1:2::{n}"))
    assert (await refusal_to_ask(instance, client=Client("2001:db8:1:2:ffff::"))).code is TOO_MANY
    await ask(instance, client=Client("2001:db8:1:3::"))


async def test_networks_of_one_ipv6_site_have_an_allowance_together(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "FROM_SITE", 3)
    for n in range(3):
        await ask(instance, f"a{n}@example.com", client=Client(f"2001:db8:1:{n}::1"))
    refused = await refusal_to_ask(instance, "b@example.com", client=Client("2001:db8:1:ffff::1"))
    assert refused.code is TOO_MANY
    await ask(instance, "b@example.com", client=Client("2001:db8:2:1::1"))


async def test_clients_without_an_address_are_one_network(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "FROM_NETWORK", 3)
    for n in range(3):
        await ask(instance, f"a{n}@example.com", client=Client())
    assert (await refusal_to_ask(instance, "b@example.com", client=Client())).code is TOO_MANY
    await ask(instance, "b@example.com")


async def test_unknown_network_is_bounded_by_the_address(instance: Instance) -> None:
    for _ in range(5):
        await ask(instance, client=Client())
    assert (await refusal_to_ask(instance, client=Client())).code is TOO_MANY


async def test_spelling_makes_no_other_address(instance: Instance) -> None:
    for email in ("ada@example.com", "ADA@example.com", " ada@EXAMPLE.com", "Ada@Example.Com ", "ada@example.com"):
        await ask(instance, email)
    assert (await refusal_to_ask(instance, "aDa@example.com")).code is TOO_MANY


async def test_bound_survives_a_restart(settings: Settings) -> None:
    for _ in range(5):
        async with open_instance(settings) as instance:
            await ask(instance)
    async with open_instance(settings) as instance:
        assert (await refusal_to_ask(instance)).code is TOO_MANY


async def test_bound_survives_a_request_that_is_rolled_back(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full, say")

    with monkeypatch.context() as broken:
        broken.setattr(type(instance.email_login.mail_queue), "put", break_down)
        for _ in range(5):
            with pytest.raises(RuntimeError):
                await ask(instance)
    assert await count("email_codes") == 0, "code and mail go together"
    assert (await refusal_to_ask(instance)).code is TOO_MANY


async def test_table_holds_no_address(instance: Instance) -> None:
    await ask(instance)
    stored = repr([dict(row) for row in await rows("email_code_allowances")])
    assert "ada@" not in stored  # three letters alone may be part of a hash
    assert ADDRESS not in stored


async def test_counts_are_purged_when_their_hour_is_over(instance: Instance) -> None:
    with time_machine.travel(now() - timedelta(minutes=61)):
        await ask(instance, "old@example.com", client=ELSEWHERE)
    await ask(instance)
    assert [await purge_allowances(2) for _ in range(2)] == [2, 1]
    assert await count("email_code_allowances") == 3


async def test_no_list_of_addresses_tells_who_asked(instance: Instance) -> None:
    """The counts are keyed hashes: a copy of the database without the encryption key answers no guess."""
    await ask(instance)
    stored = {row["id"] for row in await rows("email_code_allowances")}
    guesses = [
        text
        for network in (ADDRESS, "")
        for text in (
            f"address from network\nada@example.com\n{network}",
            "address\nada@example.com",
            f"network\n{ADDRESS}",
        )
    ]
    assert len(stored) == 3
    assert not stored & {
        hashlib.sha256(f"{before}{text}".encode()).hexdigest()
        for text in guesses
        for before in ("", "email code allowance\n")
    }
