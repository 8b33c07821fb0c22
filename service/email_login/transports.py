"""Delivers mails by SMTP, or prints them on a terminal if the service runs on loopback without a mail server."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from service.email_login.mail import host_of
from service.setting_sources import PREFIX
from service.settings import MailDelivery, Settings

STEP_TIMEOUT = 15.0  # seconds for connecting, or for one answer of the server
MAIL_TIMEOUT = 60.0  # seconds for one mail altogether

_PERMANENT = range(500, 600)  # RFC 5321 §4.2.1: the same mail would be refused again


class Undeliverable(Exception):
    """The mail cannot be delivered, and a retry would not help. The text is logged, so it holds no part of the mail."""


class Transport(Protocol):
    """Delivers mails."""

    async def send(self, message: EmailMessage) -> None:
        """Deliver the mail. Raises `Undeliverable` if a retry would not help, and another exception if it might."""


def transport_for(settings: Settings) -> Transport:
    """Return the transport for these settings (contract §7)."""
    if settings.smtp_url is not None:
        return SmtpTransport(settings.smtp_url, host_of(settings))
    return TerminalTransport() if settings.mail_delivery is MailDelivery.TERMINAL else NoTransport()


def describe_transport(settings: Settings) -> str | None:
    """Return what the operator has to know about mails at the start. None if a mail server is configured."""
    if settings.mail_delivery is MailDelivery.SMTP:
        return None
    if settings.mail_delivery is MailDelivery.TERMINAL:
        return f"{PREFIX}SMTP_URL is not set, so mails with sign-in codes are printed here."
    return (
        f"{PREFIX}SMTP_URL is not set, so no mail is sent and sign-in by email does not work. Set it to a mail server."
    )


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """Opens one connection per mail: `smtp://` plain, `smtp+starttls://`, or `smtps://` with TLS from the start.

    If the URL requires TLS, a mail is never sent without it, and the server's certificate is verified.
    """

    url: str
    local_hostname: str
    """The name in EHLO. Given, because the library would look up this machine's name, which can take seconds."""

    async def send(self, message: EmailMessage) -> None:
        """Send the mail. The server has accepted it when this returns."""
        client = self._client()
        try:
            async with asyncio.timeout(MAIL_TIMEOUT):
                await client.connect()
                await _hand_over(client, message)
            with suppress(aiosmtplib.SMTPException, OSError):  # the server has accepted the mail: QUIT may fail
                await client.quit()
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        parts = urlsplit(self.url)
        return aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=parts.scheme == "smtps",
            start_tls=parts.scheme == "smtp+starttls",
            local_hostname=self.local_hostname,
            timeout=STEP_TIMEOUT,
        )


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    try:
        await client.send_message(message)
    except aiosmtplib.SMTPRecipientsRefused as error:
        _give_up_if_permanent("recipient refused", error.recipients[0].code)
        raise
    except aiosmtplib.SMTPDataError as error:
        _give_up_if_permanent("mail refused", error.code)
        raise
    except aiosmtplib.SMTPNotSupported:
        raise Undeliverable("the address has letters that the mail server cannot handle") from None


def _give_up_if_permanent(what: str, code: int) -> None:
    """Raise `Undeliverable` for a permanent refusal of a recipient or a mail.

    A refused login or sender is retried instead, because the operator can correct the settings.
    """
    if code in _PERMANENT:
        raise Undeliverable(f"{what}, {code}") from None


class TerminalTransport:
    """Prints mails on stderr, if the service listens on loopback only. So a trial needs no mail server."""

    async def send(self, message: EmailMessage) -> None:
        """Print the headers From, To and Subject, and the text part."""
        text = message.get_body(("plain",))
        assert text is not None, "every mail has a text part"
        headers = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject"))
        sys.stderr.write(
            f"\n----- a mail, printed because {PREFIX}SMTP_URL is not set -----\n{headers}\n\n{text.get_content()}-----\n\n"
        )
        sys.stderr.flush()


class NoTransport:
    """Used when no SMTP server is configured: every message is undeliverable."""

    async def send(self, message: EmailMessage) -> None:
        """Raise `Undeliverable`."""
        raise Undeliverable(f"{PREFIX}SMTP_URL is not set")
