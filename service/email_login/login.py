"""Sign-in by an email code: requesting one, and exchanging it for a session (contract §3).

A request runs the same statements for every address; the mail worker decides later whether the address may have the
code. Until the right code is given, the answers are also the same for every address. So neither tells whether a user
exists.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from service.accounts.identifiers import SERVICE_ID_PREFIX, parse_email
from service.accounts.lookup import find_by_email
from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.accounts.new_users import sign_up
from service.accounts.provisioning import record_user_seen
from service.accounts.refusals import require_active
from service.accounts.seats import lock_seats
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.email_login.alerts import report_wrong_code
from service.email_login.allowances import take_allowance
from service.email_login.codes import LIFETIME, KnownRequest, find_request, is_right, make_code, use_up
from service.email_login.configuration import EmailLoginConfiguration, read_configuration
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.known_clients import find_sources
from service.email_login.mail_queue import MailKind, QueuedMail
from service.email_login.wrong_codes import require_hope, reset_wrong_codes, take_guess
from service.errors import Forbidden, SignInRefused
from service.ids import new_id
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from service.sessions.models import SignInMethod, TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.sign_in.outcome import ProvenPerson, count_guess, record_refusal, record_success

RESEND_AFTER = timedelta(seconds=60)  # a mail may take this long; `allowances` limits the requests


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A request for an email code. A code is sent only if this address may have one."""

    id: str
    expires_at: datetime
    resend_after: datetime


async def request_email_code(
    email: str, client: Client, dependencies: EmailLoginDependencies, *, device: str | None = None
) -> CodeRequest:
    """Have a code sent to this address, if it may have one. `device` is the device token of the browser.

    Raises `BadUserInput` if it is not an address, `SignInRefused`.
    """
    email, cipher = parse_email(email), dependencies.cipher
    async with record_refusal(SignInMethod.EMAIL, client, dependencies.outcomes):
        await _require_enabled()
        sources = await find_sources(email, client, device, cipher)
        await require_hope(email, sources, cipher, LIFETIME)
        again_from = await take_allowance(email, client.ip_address, sources, cipher)
        async with transaction():
            code = await make_code(email, cipher)
            queued_mail = QueuedMail(MailKind.CODE, email, code.digits)
            await dependencies.mail_queue.put(queued_mail, code.expires_at, at_random=True)
        dependencies.mail_queue.wake_up.set()
    return CodeRequest(code.id, code.expires_at, max(again_from, now() + RESEND_AFTER))


def resend_wait(asked: KnownRequest) -> int:
    """Return the seconds until the user should request another code; at least 0."""
    return max(0, math.ceil((asked.created_at + RESEND_AFTER - now()).total_seconds()))


async def exchange_email_code(
    request_id: str, code: str, attempt: SignInAttempt, dependencies: EmailLoginDependencies
) -> SignInResult:
    """Sign in the user who gives the code, in a new session.

    Raises `SignInRefused`; `Forbidden` if the admin cookie is asked for and the user is not an admin. A right code that
    is refused because all seats are taken can be used again within its remaining tries.
    """
    async with record_refusal(SignInMethod.EMAIL, attempt.client, dependencies.outcomes):
        configuration = await _require_enabled()
        email = await check_code(request_id, code, attempt, dependencies)
    find_person = partial(_find_person, email, attempt)
    async with record_refusal(SignInMethod.EMAIL, attempt.client, dependencies.outcomes, find_person):
        result = await _sign_in(request_id, email, configuration, attempt, dependencies)
    await dependencies.remember_client(result.session, attempt)
    return await record_success(result, dependencies.outcomes)


async def should_send(queued_mail: QueuedMail) -> bool:
    """Return whether a mail may be sent: a code if the address may sign in by it, an invitation if its user is active."""
    configuration, user = await read_configuration(), await find_by_email(queued_mail.email)
    is_here = user is not None and user.current_status is UserStatus.ACTIVE
    if queued_mail.kind is MailKind.CODE:
        return configuration.enabled and (is_here or configuration.admits(queued_mail.email))
    return is_here


async def _require_enabled() -> EmailLoginConfiguration:
    configuration = await read_configuration()
    if not configuration.enabled:
        raise SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED)
    return configuration


async def check_code(request_id: str, code: str, attempt: SignInAttempt, dependencies: EmailLoginDependencies) -> str:
    """Return the address that the code was sent to.

    The limits are asked before the code is looked at. Over a limit, a right code is refused too, and can be used later.
    """
    async with dependencies.failed_sign_ins.guess(attempt.client.ip_address):
        try:
            return await _guess(request_id, code, attempt, dependencies)
        except SignInRefused as refusal:
            if refusal.code is not SignInErrorCode.INVALID_EMAIL_CODE:
                raise
            raise await count_guess(refusal, attempt.client, dependencies.failed_sign_ins) from None


async def _guess(request_id: str, code: str, attempt: SignInAttempt, dependencies: EmailLoginDependencies) -> str:
    """Return the address of the request if the code is right. Else raise `SignInRefused`, and report a wrong code."""
    cipher, asked = dependencies.cipher, await find_request(request_id)
    if asked is None:
        raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
    sources = await find_sources(asked.email, attempt.client, attempt.device, cipher)
    await take_guess(request_id, asked.email, sources, cipher)
    if not await is_right(request_id, code, cipher):
        await report_wrong_code(asked.email, attempt, dependencies.mail_queue)
        raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
    await reset_wrong_codes(asked.email, cipher)
    return asked.email


async def _sign_in(
    request_id: str,
    email: str,
    configuration: EmailLoginConfiguration,
    attempt: SignInAttempt,
    dependencies: EmailLoginDependencies,
) -> SignInResult:
    async with transaction():
        if not await use_up(request_id):
            raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
        user, is_new = await _admit(email, configuration, attempt)
        result = await dependencies.open_session(user, attempt, new_user=is_new)
    await record_user_seen(user)
    return result


async def _admit(email: str, configuration: EmailLoginConfiguration, attempt: SignInAttempt) -> tuple[User, bool]:
    """Return the user with this address, and whether it is new. Raises `SignInRefused`, or `Forbidden` in the panel."""
    user = await find_by_email(email)
    if user is None and not configuration.admits(email):
        raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
    if user is not None:
        require_active(user)
    if attempt.token_transport is TokenTransport.ADMIN_COOKIE and (user is None or user.role is not UserRole.ADMIN):
        raise Forbidden(
            "The panel is for admins only, and this address does not belong to an admin. You are not signed in."
        )
    if user is None:
        return await _sign_up(email, Actor.of_email(attempt.client.ip_address))
    return user, False


async def _sign_up(email: str, by: Actor) -> tuple[User, bool]:
    """Create the user. The user is looked up again under the lock, because another code may have created it meanwhile."""
    await lock_seats()
    if user := await find_by_email(email):
        return user, False
    user = User(id=new_id(SERVICE_ID_PREFIX), email=email, origin=UserOrigin.EMAIL, created_at=now())
    await sign_up(user, by)
    return user, True


async def _find_person(email: str, attempt: SignInAttempt, refusal: SignInRefused) -> ProvenPerson | None:
    """Name the person of a right code for the audit log; None if the refusal says only that the code does not work."""
    if refusal.code is SignInErrorCode.INVALID_EMAIL_CODE:
        return None
    user = await find_by_email(email)
    actor = Actor.of_email(attempt.client.ip_address)
    return ProvenPerson(actor, person=email, user_id=user.id if user else None, detail={"email": email})
