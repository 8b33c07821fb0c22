"""Composes mails: a text and, except for alerts, an HTML part from the templates of their kind; headers safe from injection."""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from service.audit.actions import Action
from service.branding.colors import Accent
from service.branding.configuration import UNBRANDED, Branding
from service.email_login import codes, links
from service.email_login.mail_queue import MailKind, QueuedMail
from service.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_SUBJECTS = {
    MailKind.CODE: "Your sign-in code for {service}",
    MailKind.INVITATION: "You are invited to {service}",
    MailKind.ADMIN_SIGN_IN: "New sign-in as an admin at {host}",
    MailKind.WRONG_CODES_ALERT: "Wrong sign-in codes for your account at {host}",
}
_PLAIN_TEXT_ONLY = {MailKind.WRONG_CODES_ALERT, MailKind.ADMIN_SIGN_IN}

_BUTTON = Accent("#2b59c3", "#20479f", "#ffffff")  # without an accent of the branding

_ENCODED_WORD = re.compile(r"=\?.*\?.*\?.*\?=")


def compose(queued_mail: QueuedMail, settings: Settings, branding: Branding = UNBRANDED) -> EmailMessage:
    """Return the whole message.

    Raises `ValueError` for an address that no header can hold, such as one with a line end.
    """
    message = _addressed(queued_mail.email, _SUBJECTS[queued_mail.kind], settings, branding)
    values = _values(queued_mail, settings, branding)
    message.set_content(_template(f"{queued_mail.kind}.txt").render(values))
    if queued_mail.kind not in _PLAIN_TEXT_ONLY:
        message.add_alternative(_template(f"{queued_mail.kind}.html").render(values), subtype="html")
    return message


def compose_text(email: str, subject: str, text: str, settings: Settings, branding: Branding) -> EmailMessage:
    """Return a message of plain text. `subject` may name the `{host}`. Raises `ValueError` as `compose` does."""
    message = _addressed(email, subject, settings, branding)
    message.set_content(text)
    return message


def _template(name: str) -> "Template":
    return _environment(is_html=name.endswith(".html")).get_template(name)


@cache
def _environment(*, is_html: bool) -> "Environment":
    """Return the templates. Plain text has nothing to escape. Jinja is imported with the first mail, not at the start."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        autoescape=is_html,  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _addressed(email: str, subject: str, settings: Settings, branding: Branding) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    host = host_of(settings)
    message["From"] = _sender(settings, branding)
    message["To"] = _recipient(email)
    message["Subject"] = subject.format(host=host, service=branding.name or host)
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=_domain(host))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    return message


def _sender(settings: Settings, branding: Branding) -> str | Address:
    """Return the sender that the operator has set, under the name of the branding if there is one."""
    if settings.mail_from is None:
        return Address(branding.name or "", username="no-reply", domain=_domain(host_of(settings)))
    if branding.name is None:
        return settings.mail_from
    parsed = EmailMessage()
    parsed["From"] = settings.mail_from
    [sender] = parsed["From"].addresses
    return Address(branding.name, username=sender.username, domain=sender.domain)


def host_of(settings: Settings) -> str:
    """Return the host name of the public URL, without scheme and port."""
    return urlsplit(settings.public_url).hostname or "localhost"


def _recipient(email: str) -> Address:
    """Return the recipient, split at the last @, so that no part of it can become a second recipient.

    Raises `ValueError` for an address that looks like an encoded word (RFC 2047), because `EmailMessage` would decode
    it into another address.
    """
    username, _, domain = email.rpartition("@")
    if _ENCODED_WORD.search(email):
        raise ValueError("an encoded word in an address")
    return Address(username=username, domain=domain)


def _domain(host: str) -> str:
    """Return a host as the domain of an address. An IP address is put in brackets (RFC 5321 §4.1.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _values(queued_mail: QueuedMail, settings: Settings, branding: Branding) -> dict[str, object]:
    host, values = host_of(settings), branding.values
    return {
        "host": host,
        "service": f"{branding.name} ({host})" if branding.name else host,
        "name": branding.name,
        "button": branding.accents[0] if branding.accents else _BUTTON,
        "support": [contact for contact in (values.support_email, values.support_url) if contact],
        "email": queued_mail.email,
        "secret": queued_mail.secret,
        "sign_in_url": f"{settings.public_url}/login?method=email",
        "panel_url": f"{settings.public_url}/admin",
        "audit_url": f"{settings.public_url}/admin/audit?{urlencode({'action': Action.EMAIL_CODES_FAILED})}",
        "minutes": int(codes.LIFETIME.total_seconds() // 60),
        "hours": int(links.INVITATION_LIFETIME.total_seconds() // 3600),
    }
