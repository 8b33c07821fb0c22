"""A real SMTP server on loopback that stores the mails that it receives."""

import asyncio
import ssl
import threading
import time
import warnings
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Certificate
from tests.processes import free_port

DEADLINE = 20.0  # seconds; a busy machine is no failure
USER, PASSWORD = "doorcode", "p@ss:word/1"


class MailServer:
    """Plain, unless it is given a certificate. `answers` are given to `RCPT TO`, one after the other, before it takes mails."""

    def __init__(
        self,
        certificate: Certificate | None = None,
        *,
        tls_from_the_start: bool = False,
        login: bool = False,
        answers: list[str] | None = None,
        data_answers: list[str] | None = None,
        patience: float = 0.0,
        utf8: bool = True,
    ) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.logins: list[tuple[str, str]] = []
        self.tried = 0
        self._answers, self._data_answers = answers or [], data_answers or []
        self._patience = patience
        self._busy = 0
        self._changed = threading.Condition()
        context = certificate.server_context() if certificate else None
        options: dict[str, Any] = {"enable_SMTPUTF8": utf8, "hostname": "127.0.0.1"}
        if login:
            # Of TLS from the start this server knows nothing: it sees what has been decrypted.
            by_starttls = certificate is not None and not tls_from_the_start
            options |= {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": by_starttls}
        self._controller = _Controller(self, self.port, context, tls_from_the_start, options)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:  # a client may have given up on it, and what it still does would be left open
            self._changed.wait_for(lambda: not self._busy, DEADLINE)
        asyncio.run_coroutine_threadsafe(_settled(), self._controller.loop).result(DEADLINE)
        self._controller.stop()

    def wait_for(self, number: int) -> list[EmailMessage]:
        """The mails, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.mails) >= number, DEADLINE), f"{len(self.mails)} mails came"
        return self.mails

    def mail_to(self, email: str) -> EmailMessage:
        """The last mail to this address, once there is one."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if found := [mail for mail in self.mails if mail["To"] == email]:
                return found[-1]
            time.sleep(0.02)
        raise AssertionError(f"no mail came for {email}")

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.tried += 1
        if self._answers:
            return self._answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._data_answers:
            return self._data_answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self._busy += 1
        try:
            await asyncio.sleep(self._patience)  # aiosmtpd cancels it if the client goes away
            with self._changed:
                self.recipients.append(list(envelope.rcpt_tos))
                self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        return "250 OK"

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.logins[-1] == (USER, PASSWORD), handled=False)


class _Controller(Controller):
    def __init__(
        self,
        handler: MailServer,
        port: int,
        context: ssl.SSLContext | None,
        tls_from_the_start: bool,
        options: dict[str, Any],
    ) -> None:
        self._smtp_options = options
        self._start_tls = context if context and not tls_from_the_start else None
        super().__init__(handler, hostname="127.0.0.1", port=port, ssl_context=context if tls_from_the_start else None)

    def factory(self) -> SMTP:
        start_tls = self._start_tls
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a login without TLS
            return SMTP(
                self.handler, tls_context=start_tls, require_starttls=start_tls is not None, **self._smtp_options
            )


async def _settled() -> None:
    """Wait until every connection has noticed that its client is gone."""
    others = asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task}
    if others:
        await asyncio.wait(others, timeout=1)


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """One of its two parts."""
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def code_in(mail: EmailMessage) -> str:
    """The six digits, which stand on a line of their own."""
    [code] = [line.strip() for line in text_of(mail).splitlines() if line.strip().isdigit()]
    return code


def link_in(mail: EmailMessage) -> str:
    """The invitation's address."""
    [link] = [line.strip() for line in text_of(mail).splitlines() if "token=" in line]
    return link
