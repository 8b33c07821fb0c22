"""Signing in by a code that came by mail: asking for one, and exchanging it for a session (contract §3).

Asking does the same for every address, by the same statements: who may have the code is only looked at by whoever sends the
mail, later. Until the right code is typed every answer is the same, too.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.accounts.administration import parse_email
from service.accounts.identifiers import SERVICE_ID_PREFIX
from service.accounts.lookup import find_by_email
from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.accounts.provisioning import add_user, record_user_seen
from service.accounts.seats import lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record_hourly
from service.clock import now
from service.database import transaction
from service.email_login.allowances import take_allowance
from service.email_login.codes import KnownRequest, make_code, try_code, use_up
from service.email_login.configuration import EmailLoginConfiguration, read_configuration
from service.email_login.dependencies import (
    EmailLoginDependencies,
    EmailSignInAttempt,
    EmailSignInResult,
    granted,
    noted,
)
from service.email_login.mail_queue import MailKind, QueuedMail
from service.errors import Forbidden, SignInErrorCode, SignInRefused
from service.ids import new_id
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport

RESEND_AFTER = timedelta(seconds=60)  # mails take a while; the bounds on asking are elsewhere


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A code is on its way, or nobody who may have one has this address."""

    id: str
    expires_at: datetime
    resend_after: datetime


async def request_email_code(email: str, client: Client, dependencies: EmailLoginDependencies) -> CodeRequest:
    """Have a code sent to this address, if it may have one. Raises `BadUserInput` for what is no address, `SignInRefused`."""
    email = parse_email(email)
    async with noted(client):
        await _require_enabled()
        again_from = await take_allowance(email, client.ip_address)
        async with transaction():
            code = await make_code(email, dependencies.cipher)
            await dependencies.mail_queue.put(QueuedMail(MailKind.CODE, email, code.digits), code.expires_at)
        dependencies.mail_queue.wake_up.set()
    return CodeRequest(code.id, code.expires_at, max(again_from, now() + RESEND_AFTER))


def resend_wait(asked: KnownRequest) -> int:
    """Seconds until it makes sense to ask for another code than this one; 0 at least."""
    return max(0, math.ceil((asked.created_at + RESEND_AFTER - now()).total_seconds()))


async def exchange_email_code(
    request_id: str, code: str, attempt: EmailSignInAttempt, dependencies: EmailLoginDependencies
) -> EmailSignInResult:
    """Sign in whoever has the code, in a new session; raises `SignInRefused`, or `Forbidden` at the panel for no admin.

    A code that is refused after it was right, because all seats are taken, stays good for the tries that are left.
    """
    async with noted(attempt.client):
        configuration = await _require_enabled()
        email = await try_code(request_id, code, dependencies.cipher)
        if email is None:
            raise await _wrong_code(attempt, dependencies)
        try:
            return await _sign_in(request_id, email, configuration, attempt, dependencies)
        except SignInRefused as refusal:
            if refusal.code is not SignInErrorCode.INVALID_EMAIL_CODE:
                await _record_refusal(refusal, email, attempt)
            raise


async def should_send(queued_mail: QueuedMail) -> bool:
    """Whether a letter is to be sent: a code to whoever may sign in by it, an invitation to whoever is still invited."""
    configuration, user = await read_configuration(), await find_by_email(queued_mail.email)
    is_here = user is not None and user.status is UserStatus.ACTIVE
    if queued_mail.kind is MailKind.CODE:
        return configuration.enabled and (configuration.is_open or is_here)
    return is_here


async def _require_enabled() -> EmailLoginConfiguration:
    configuration = await read_configuration()
    if not configuration.enabled:
        raise SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED)
    return configuration


async def _wrong_code(attempt: EmailSignInAttempt, dependencies: EmailLoginDependencies) -> SignInRefused:
    """Guessing is counted by address, together with bad signatures. The right code never gets here."""
    retry_after = await dependencies.failed_sign_ins.count(attempt.client.ip_address)
    if retry_after is not None:
        return SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=retry_after)
    return SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)


async def _sign_in(
    request_id: str,
    email: str,
    configuration: EmailLoginConfiguration,
    attempt: EmailSignInAttempt,
    dependencies: EmailLoginDependencies,
) -> EmailSignInResult:
    async with transaction():
        if not await use_up(request_id):
            raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
        user, is_new = await _admit(email, configuration, attempt)
        opened = await dependencies.open_session(user, attempt)
    await record_user_seen(user)
    return granted(opened, new_user=is_new)


async def _admit(email: str, configuration: EmailLoginConfiguration, attempt: EmailSignInAttempt) -> tuple[User, bool]:
    """The user with this address, and whether it is new. Raises `SignInRefused`; nobody signs up at the panel: `Forbidden`."""
    user = await find_by_email(email)
    if user is None and not configuration.is_open:
        raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
    if user is not None and user.status is UserStatus.DEACTIVATED:
        raise SignInRefused(SignInErrorCode.USER_DEACTIVATED)
    if attempt.token_transport is TokenTransport.ADMIN_COOKIE and (user is None or user.role is not UserRole.ADMIN):
        raise Forbidden("This address is no admin's, and the panel is for admins alone. You are not signed in.")
    if user is None:
        return await _sign_up(email, Actor("email", attempt.client.ip_address))
    return user, False


async def _sign_up(email: str, by: Actor) -> tuple[User, bool]:
    """A newcomer takes a seat. Under the lock it is looked for again: it may have come in by another code meanwhile."""
    count = await lock_seats()
    if user := await find_by_email(email):
        return user, False
    if count.is_full:
        raise SignInRefused(SignInErrorCode.SEAT_LIMIT_REACHED)
    user = User(id=new_id(SERVICE_ID_PREFIX), email=email, origin=UserOrigin.EMAIL, created_at=now())
    await add_user(user, Action.USER_CREATED, by)
    return user, True


async def _record_refusal(refusal: SignInRefused, email: str, attempt: EmailSignInAttempt) -> None:
    """After the rollback, in a transaction of its own; only of the right code, so that no stranger can fill the log."""
    user = await find_by_email(email)
    await record_hourly(
        Action.SIGN_IN_REFUSED,
        Actor("email", attempt.client.ip_address),
        person=email,
        reason=refusal.code,
        user_id=user.id if user else None,
        detail={"code": refusal.code, "email": email},
        reference=refusal.reference,
    )
