"""How a mail leaves: by SMTP, onto the terminal of a newcomer, or not at all."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from service.email_login.mail import host_of
from service.settings import PREFIX, Settings

STEP_TIMEOUT = 15.0  # seconds for a connection, or an answer of the server
MAIL_TIMEOUT = 60.0  # seconds for a mail altogether

_PERMANENT = range(500, 600)  # RFC 5321, 4.2.1: the same mail will be refused again


class Undeliverable(Exception):
    """This mail will never be taken; the text is for the log, and holds nothing of the mail."""


class Transport(Protocol):
    """Takes a mail away. Raises `Undeliverable` where it never will, anything else where it may later."""

    async def send(self, message: EmailMessage) -> None:
        """Take it away."""


def transport_for(settings: Settings) -> Transport:
    """What the settings ask for (contract §7)."""
    if settings.smtp_url is not None:
        return SmtpTransport(settings.smtp_url, host_of(settings))
    return TerminalTransport() if settings.is_on_loopback else NoTransport()


def describe_transport(settings: Settings) -> str | None:
    """What the operator has to know about mails, if anything."""
    if settings.smtp_url is not None:
        return None
    if settings.is_on_loopback:
        return f"Mails, with the codes to sign in by, are printed here: {PREFIX}SMTP_URL is not set."
    return f"No mail is sent, so nobody can sign in by email: {PREFIX}SMTP_URL is not set."


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """A connection for each mail: `smtp://` plain, `smtp+starttls://`, or `smtps://` with TLS from the start.

    TLS is never given up where it was asked for, and the server's certificate is verified.
    """

    url: str
    local_hostname: str
    """How this machine greets; looking its name up could take seconds."""

    async def send(self, message: EmailMessage) -> None:
        """Hand the mail to the server, which has taken it once this returns."""
        client = self._client()
        try:
            async with asyncio.timeout(MAIL_TIMEOUT):
                await client.connect()
                await _hand_over(client, message)
            with suppress(aiosmtplib.SMTPException, OSError):  # it has the mail: how it says goodbye does not matter
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
    """A login or a sender that is refused is the operator's to mend, and meanwhile tried again."""
    if code in _PERMANENT:
        raise Undeliverable(f"{what}, {code}") from None


class TerminalTransport:
    """Onto stderr, on a machine that only its own user reaches, so that a newcomer can sign in without a mail server."""

    async def send(self, message: EmailMessage) -> None:
        """Print who it is for and the text part."""
        text = message.get_body(("plain",))
        assert text is not None, "every mail has a text part"
        headers = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject"))
        sys.stderr.write(
            f"\n----- a mail, printed because {PREFIX}SMTP_URL is not set -----\n{headers}\n\n{text.get_content()}-----\n\n"
        )
        sys.stderr.flush()


class NoTransport:
    """Nowhere."""

    async def send(self, message: EmailMessage) -> None:
        """Refuse."""
        raise Undeliverable(f"{PREFIX}SMTP_URL is not set")
