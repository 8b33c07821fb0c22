"""The content of mails: two parts that say the same, and headers that are safe from injection."""

from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage

import pytest

from service.accounts.identifiers import normalise_email
from service.email_login.mail import compose
from service.email_login.mail_queue import MailKind, QueuedMail
from service.settings import Settings, SettingsError, load_settings
from tests.mail_server import text_of

CODE = QueuedMail(MailKind.CODE, "ada@example.com", "012345")
INVITATION = QueuedMail(MailKind.INVITATION, "ada@example.com", "https://id.example.com/invitation?token=dcl_x&a=<b>")


def settings(**environ: str) -> Settings:
    return load_settings({"DOORCODE_PUBLIC_URL": "https://id.example.com", **environ})


def arrived(message: EmailMessage) -> EmailMessage:
    """The message as a mail program reads it."""
    return message_from_bytes(message.as_bytes(), policy=policy.default)


@pytest.mark.parametrize("queued_mail", [CODE, INVITATION])
def test_mail_has_a_text_and_an_html_part(queued_mail: QueuedMail) -> None:
    mail = arrived(compose(queued_mail, settings()))
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert queued_mail.secret in text_of(mail)
    assert queued_mail.secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in text_of(mail, "html")
    for part in ("plain", "html"):
        assert "id.example.com" in text_of(mail, part)
    assert mail["To"] == "ada@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo
    assert mail["Message-ID"].endswith("@id.example.com>")
    assert not mail.defects


def test_code_mail_says_what_to_do_and_stands_in_no_header() -> None:
    mail = arrived(compose(CODE, settings()))
    assert mail["Subject"] == "Your sign-in code for id.example.com"
    assert "10 minutes" in text_of(mail)
    assert not [value for name, value in mail.items() if CODE.secret in str(value)]


def test_invitation_says_how_to_sign_in_later() -> None:
    text = text_of(arrived(compose(INVITATION, settings())))
    assert "24 hours" in text
    assert "https://id.example.com/login" in text
    assert "ada@example.com" in text


@pytest.mark.parametrize("queued_mail", [CODE, INVITATION])
def test_html_part_fetches_nothing(queued_mail: QueuedMail) -> None:
    html = text_of(arrived(compose(queued_mail, settings())), "html")
    assert not [word for word in ("<img", "<script", "<link", "src=", "url(", "@import") if word in html]


@pytest.mark.parametrize(
    ("public_url", "sender"),
    [
        ("https://id.example.com", "no-reply@id.example.com"),
        ("https://id.example.com:8443", "no-reply@id.example.com"),
        ("http://127.0.0.1:8000", "no-reply@[127.0.0.1]"),
        ("http://[::1]:8000", "no-reply@[IPv6:::1]"),
        ("http://localhost:8000", "no-reply@localhost"),
    ],
)
def test_sender_is_derived_from_the_public_address(public_url: str, sender: str) -> None:
    assert compose(CODE, settings(DOORCODE_PUBLIC_URL=public_url))["From"] == sender


@pytest.mark.parametrize("sender", ["a@example.com", "Example <sign-in@example.com>", "Bücher & Co <a@example.com>"])
def test_sender_may_be_set(sender: str) -> None:
    assert arrived(compose(CODE, settings(DOORCODE_MAIL_FROM=sender)))["From"] == sender


@pytest.mark.parametrize(
    "sender",
    ["nobody", "a@b.c, d@e.f", "a@b.c\r\nBcc: x@y.z", "a@b.c\nBcc: x@y.z", "<>", "Name", "a@b.c\x00", "@example.com"],
)
def test_sender_that_is_none_stops_the_start(sender: str) -> None:
    with pytest.raises(SettingsError, match="DOORCODE_MAIL_FROM"):
        settings(DOORCODE_MAIL_FROM=sender)


STRANGE = [
    "o'hara+tag@example.com",
    "{x}|$%&*=?^`~/!#@example.com",
    "jörg@bücher.example",
    "a.b.c@xn--bcher-kva.example",
    "<b>@example.com",
    "a,b@example.com",
    '"a b"@example.com',
    "a\r\nBcc: x@example.com",
    "a@example.com\r\nBcc: x@example.com",
    "a@example.com, x@example.com",
    "x@example.com (a)",
]


@pytest.mark.parametrize("typed", STRANGE)
def test_address_can_add_neither_header_nor_recipient(typed: str) -> None:
    """What is taken for an address reaches exactly that one; what is not never gets so far."""
    try:
        email = normalise_email(typed)
    except ValueError:
        return
    message = compose(QueuedMail(MailKind.INVITATION, email, "https://x"), settings())
    [recipient] = message["To"].addresses
    assert recipient.addr_spec == email
    assert sorted(message.keys()) == sorted(compose(INVITATION, settings()).keys())
    mail = message_from_string(message.as_bytes(policy=policy.SMTPUTF8).decode(), policy=policy.SMTPUTF8)
    assert [address.addr_spec for address in mail["To"].addresses] == [email]


UNWRITABLE = [
    "a\r\nBcc: x@example.com@example.com",
    "a@example.com\r\nBcc: x@example.com",
    "a\n@example.com",
    "=?utf-8?q?x?=@example.com",
    "=?utf-8?q?a=0D=0ABcc:_x?=@example.com",
]


@pytest.mark.parametrize("email", UNWRITABLE)
def test_address_that_a_header_would_change_is_never_written(email: str) -> None:
    """A line's end could not even have come so far; what looks like an encoded word is well-formed."""
    with pytest.raises(ValueError):
        compose(QueuedMail(MailKind.CODE, email, "012345"), settings()).as_bytes()


def test_host_in_a_subject_is_escaped_in_html() -> None:
    queued_mail = QueuedMail(MailKind.INVITATION, "<b>bold</b>@example.com", "javascript:<script>")
    html = str(compose(queued_mail, settings()).get_body(("html",)))
    assert "<b>" not in html
    assert "<script>" not in html
