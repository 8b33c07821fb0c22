"""What every email sign-in of this process shares, and how its refusals are noted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from service.accounts.models import User
from service.clock import now
from service.email_login.mail_queue import MailQueue
from service.encryption import Cipher
from service.errors import SignInRefused
from service.metrics import SIGN_IN_REFUSALS, SIGN_INS
from service.rate_limit import FailedSignIns
from service.sessions.lifecycle import Client, LiveSession, OpenedSession, Opening, open_session
from service.sessions.models import SignInMethod, TokenTransport

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EmailLoginDependencies:
    """The lifetime is in seconds."""

    cipher: Cipher
    failed_sign_ins: FailedSignIns
    mail_queue: MailQueue
    public_url: str
    session_lifetime: int

    async def open_session(self, user: User, attempt: "EmailSignInAttempt") -> OpenedSession:
        """A new session, always: an email sign-in continues none (contract §3)."""
        opening = Opening(SignInMethod.EMAIL, attempt.token_transport, attempt.client)
        return await open_session(user, opening, self._session_end())

    def _session_end(self) -> datetime:
        return now() + timedelta(seconds=self.session_lifetime)


@dataclass(frozen=True, slots=True)
class EmailSignInAttempt:
    """Where a sign-in comes from, and what carries the session that it opens."""

    client: Client
    token_transport: TokenTransport


@dataclass(frozen=True, slots=True)
class EmailSignInResult:
    """Somebody is signed in."""

    token: str
    session: LiveSession
    new_user: bool = False


@asynccontextmanager
async def noted(client: Client) -> AsyncIterator[None]:
    """Counts and logs a refusal on its way out."""
    try:
        yield
    except SignInRefused as refusal:
        SIGN_IN_REFUSALS.labels(refusal.code).inc()
        _log.info(
            "sign_in_refused",
            method=SignInMethod.EMAIL,
            code=refusal.code,
            cause=refusal.cause,
            reference=refusal.reference,
            ip=client.ip_address,
        )
        raise


def granted(opened: OpenedSession, *, new_user: bool = False) -> EmailSignInResult:
    """The answer, counted."""
    SIGN_INS.labels(SignInMethod.EMAIL, "new" if new_user else "known").inc()
    return EmailSignInResult(opened.token, opened.session, new_user)
