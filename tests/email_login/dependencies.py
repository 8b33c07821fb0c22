"""Actions on email sign-in, as the routes run it. A mail is read from the queue."""

from typing import Any

import pytest

from service.audit.models import AuditEvent
from service.database import Statement, fetch, write
from service.email_login.codes import MAX_TRIES
from service.email_login.configuration import update_configuration
from service.email_login.login import CodeRequest, exchange_email_code, request_email_code
from service.email_login.mail_queue import ClaimedMail, MailKind, QueuedMail
from service.email_login.models import SignUpMode
from service.errors import SignInRefused
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from tests.actions import CLIENT, TESTER

INVALID = SignInErrorCode.INVALID_EMAIL_CODE


async def queued_mails(instance: Instance) -> list[QueuedMail]:
    """What waits to be sent, oldest first."""
    rows = await fetch(Statement("SELECT * FROM outgoing_mails ORDER BY id"))
    mails = [ClaimedMail(row["id"], row["encrypted_letter"], row["tries"], row["expires_at"]) for row in rows]
    return [instance.email_login.mail_queue.read(mail) for mail in mails]


async def ask(
    instance: Instance, email: str = "ada@example.com", client: Client = CLIENT, device: str | None = None
) -> tuple[CodeRequest, str]:
    """A request, and the digits that the mail would carry."""
    request = await request_email_code(email, client, instance.email_login, device=device)
    codes = [mail.secret for mail in await queued_mails(instance) if mail.kind is MailKind.CODE]
    return request, codes[-1]


async def sign_in(
    instance: Instance,
    request_id: str,
    code: str,
    *,
    token_transport: TokenTransport = TokenTransport.BEARER,
    client: Client = CLIENT,
    device: str | None = None,
) -> SignInResult:
    """One exchange."""
    attempt = SignInAttempt(client, token_transport, device=device)
    return await exchange_email_code(request_id, code, attempt, instance.email_login)


async def answer_to(instance: Instance, request_id: str, code: str, **how: Any) -> SignInErrorCode | None:
    """What an exchange answers: its error's code, or None if a user is signed in."""
    try:
        await sign_in(instance, request_id, code, **how)
    except SignInRefused as refused:
        return refused.code
    return None


async def sign_in_from(
    instance: Instance, client: Client = CLIENT, *, email: str = "ada@example.com", device: str | None = None
) -> SignInResult:
    """A request and its right code, from one client, which becomes known."""
    request, code = await ask(instance, email, client, device)
    return await sign_in(instance, request.id, code, client=client, device=device)


async def guess_wrong(
    instance: Instance,
    times: int,
    *,
    email: str = "ada@example.com",
    client: Client = CLIENT,
    device: str | None = None,
) -> list[SignInErrorCode | None]:
    """Wrong codes of as many requests as they need, each answered; without the limit on requests."""
    answers: list[SignInErrorCode | None] = []
    while len(answers) < times:
        await forget_allowances()
        request, code = await ask(instance, email, client, device)
        answers += [
            await answer_to(instance, request.id, wrong(code), client=client, device=device)
            for _ in range(min(MAX_TRIES, times - len(answers)))
        ]
    return answers


async def refusal_to_sign_in(instance: Instance, request_id: str, code: str, **how: Any) -> SignInRefused:
    """The refusal of an exchange that has to be refused."""
    with pytest.raises(SignInRefused) as refused:
        await sign_in(instance, request_id, code, **how)
    return refused.value


async def refusal_to_ask(instance: Instance, email: str = "ada@example.com", client: Client = CLIENT) -> SignInRefused:
    """The refusal of a request that has to be refused."""
    with pytest.raises(SignInRefused) as refused:
        await request_email_code(email, client, instance.email_login)
    return refused.value


async def open_to_anyone() -> None:
    """Lets anyone sign up."""
    await update_configuration(TESTER, sign_up=SignUpMode.OPEN)


async def forget_allowances() -> None:
    """As when an hour has passed."""
    await write(Statement("DELETE FROM email_code_allowances"))


def wrong(code: str) -> str:
    """Six other digits."""
    return f"{(int(code) + 1) % 1_000_000:06}"


async def audited(*actions: str) -> list[tuple[str, str, str | None]]:
    """The audit log's events of these actions, oldest first: action, actor, user."""
    events = await AuditEvent.filter(action__in=actions).order_by("created_at", "id")
    return [(event.action, event.actor, event.user_id) for event in events]
