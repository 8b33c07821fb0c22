"""A request for a code is the same for every address: the same answer, by the same statements, through the same queue.

Nothing is looked up by address in the request at all, so there is nothing whose time could tell. Who may have the code is
looked up when the mail is sent, by the same statements too.
"""

import re
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import pytest

from service.accounts import administration
from service.branding.configuration import Branding
from service.email_login import login, mail_worker
from service.email_login.login import should_send
from service.email_login.mail import compose
from service.email_login.mail_queue import QueuedMail
from service.email_login.mail_worker import MailWorker
from service.instance import Instance
from service.settings import Settings
from tests.actions import CLIENT, TESTER, admin, count, everything, member
from tests.email_login.dependencies import answer_to as answer_to_code
from tests.email_login.dependencies import ask, open_to_anyone, refusal_to_ask, wrong
from tests.statements import Statements, noted_statements

Ask = Callable[[Instance], Awaitable[object]]


class Basket:
    """A transport that stores the mails that it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def send(self, message: EmailMessage) -> None:
        self.mails.append(message)


async def known(_: Instance) -> str:
    """An active member's address."""
    return str((await member("known@example.com")).email)


async def known_admin(_: Instance) -> str:
    return str((await admin("boss@example.com")).email)


async def deactivated(_: Instance) -> str:
    await admin()
    user = await member("gone@example.com")
    await administration.deactivate_user(user.id, TESTER)
    return str(user.email)


async def unknown(_: Instance) -> str:
    return "stranger@example.com"


RECIPIENTS = [known, known_admin, deactivated, unknown]


def shape(statements: Statements, email: str) -> list[str]:
    """Statements without their values, which SQLite's tracing puts in, and without the ORM's quotes."""
    assert statements
    return [re.sub(r"'[^']*'|\b\d+\b", "?", statement.replace(email, "?").replace('"', "")) for statement in statements]


async def asked(instance: Instance, who: Callable[[Instance], Awaitable[str]]) -> list[str]:
    email = await who(instance)
    async with noted_statements() as noted:
        await login.request_email_code(email, CLIENT, instance.email_login)
    return shape(noted, email)


@pytest.mark.parametrize("who", RECIPIENTS[:3])
async def test_asking_sends_the_same_statements(instance: Instance, who: Callable[[Instance], Awaitable[str]]) -> None:
    await asked(instance, unknown)  # drivers prepare statements the first time
    statements = await asked(instance, who)
    assert statements == await asked(instance, unknown)
    assert len([s for s in statements if s.startswith("INSERT INTO email_codes")]) == 1
    assert len([s for s in statements if s.startswith("INSERT INTO outgoing_mails")]) == 1
    assert not [s for s in statements if "users" in s], "the request does not even look who has the address"


@pytest.mark.parametrize("who", RECIPIENTS)
async def test_asking_queues_one_letter_and_one_code_whoever_it_is(
    instance: Instance, who: Callable[[Instance], Awaitable[str]]
) -> None:
    email = await who(instance)
    before = await everything()
    await ask(instance, email)
    after = await everything()
    changed = {table: len(after[table]) - len(before[table]) for table in after if after[table] != before[table]}
    assert changed == {"email_codes": 1, "email_code_allowances": 3, "outgoing_mails": 1}


@pytest.mark.parametrize("who", RECIPIENTS)
async def test_wrong_code_sends_the_same_statements(
    instance: Instance, who: Callable[[Instance], Awaitable[str]]
) -> None:
    traces = []
    for recipient in (unknown, unknown, who):
        email = await recipient(instance)
        request, code = await ask(instance, email)
        async with noted_statements() as noted:
            await answer_to_code(instance, request.id, wrong(code))
        traces.append(shape(noted, email))
    assert traces[1] == traces[2]
    assert not [statement for statement in traces[2] if "users" in statement]


@pytest.mark.parametrize("who", RECIPIENTS)
async def test_sending_looks_at_the_same_and_only_the_mail_differs(
    instance: Instance, who: Callable[[Instance], Awaitable[str]]
) -> None:
    traces, baskets = [], []
    for recipient in (unknown, unknown, who):
        email = await recipient(instance)
        await ask(instance, email)
        basket = Basket()
        worker = MailWorker(instance.email_login.mail_queue, basket, instance.settings)
        worker.finish()
        async with noted_statements() as noted:
            await worker.work()
        traces.append(sorted(shape(noted, email)))  # it looks for the next mail beside the one under way
        baskets.append(basket.mails)
        assert await count("outgoing_mails") == 0
    assert traces[1] == traces[2]
    assert baskets[:2] == [[], []]
    assert len(baskets[2]) == (1 if who in (known, known_admin) else 0)


@pytest.mark.parametrize("who", RECIPIENTS)
async def test_mail_is_composed_for_every_address_before_its_user_is_looked_up(
    instance: Instance, who: Callable[[Instance], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def composing(queued_mail: QueuedMail, settings: Settings, branding: Branding) -> EmailMessage:
        order.append("written")
        return compose(queued_mail, settings, branding)

    def looking(queued_mail: QueuedMail) -> Awaitable[bool]:
        order.append("looked")
        return should_send(queued_mail)

    monkeypatch.setattr(mail_worker, "compose", composing)
    monkeypatch.setattr(mail_worker, "should_send", looking)
    await ask(instance, await who(instance))
    worker = MailWorker(instance.email_login.mail_queue, Basket(), instance.settings)
    worker.finish()
    await worker.work()
    assert order == ["written", "looked"]


@pytest.mark.parametrize("who", RECIPIENTS)
async def test_bound_on_asking_is_the_same(instance: Instance, who: Callable[[Instance], Awaitable[str]]) -> None:
    email = await who(instance)
    for _ in range(5):
        await ask(instance, email)
    refused = await refusal_to_ask(instance, email)
    assert refused.code == "TOO_MANY_ATTEMPTS"
    assert refused.retry_after
    assert 3590 <= refused.retry_after <= 3600


async def test_open_sign_up_sends_a_code_to_every_address(instance: Instance) -> None:
    await open_to_anyone()
    for who in RECIPIENTS:
        await ask(instance, await who(instance))
    basket = Basket()
    worker = MailWorker(instance.email_login.mail_queue, basket, instance.settings)
    worker.finish()
    await worker.work()
    assert len(basket.mails) == len(RECIPIENTS)
