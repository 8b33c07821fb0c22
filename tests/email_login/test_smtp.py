"""Mails by SMTP: a real server on loopback, plain, with STARTTLS, with TLS from the start, with a login."""

import asyncio
import socket
from urllib.parse import quote

import aiosmtplib
import pytest

from service.email_login.mail import compose
from service.email_login.mail_queue import MailKind, QueuedMail
from service.email_login.transports import (
    NoTransport,
    SmtpTransport,
    TerminalTransport,
    Undeliverable,
    describe_transport,
    transport_for,
)
from service.settings import Settings, load_settings
from tests.certificates import Certificate
from tests.mail_server import PASSWORD, USER, MailServer, code_in

LETTER = QueuedMail(MailKind.CODE, "ada@example.com", "012345")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """The certificate, which this machine trusts as long as the test lasts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    return certificate


def settings(smtp_url: str | None = None, public_url: str = "https://id.example.com") -> Settings:
    environ = {"DOORCODE_PUBLIC_URL": public_url, "DOORCODE_MAIL_FROM": "Example <sign-in@example.com>"}
    return load_settings(environ | ({"DOORCODE_SMTP_URL": smtp_url} if smtp_url else {}))


async def send(smtp_url: str, queued_mail: QueuedMail = LETTER) -> None:
    chosen = settings(smtp_url)
    await transport_for(chosen).send(compose(queued_mail, chosen))


def address(server: MailServer, scheme: str = "smtp", login: str = "") -> str:
    return f"{scheme}://{login}127.0.0.1:{server.port}"


LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


async def test_mail_goes_to_one_recipient() -> None:
    with MailServer() as server:
        await send(address(server))
    [mail] = server.mails
    assert server.recipients == [["ada@example.com"]]
    assert (mail["From"], mail["To"]) == ("Example <sign-in@example.com>", "ada@example.com")
    assert code_in(mail) == "012345"


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_mail_goes_by_tls_with_a_login(trusted: Certificate, scheme: str) -> None:
    with MailServer(trusted, tls_from_the_start=scheme == "smtps", login=True) as server:
        await send(address(server, scheme, LOGIN))
    assert len(server.mails) == 1
    assert server.logins == [(USER, PASSWORD)], "percent-decoded"


async def test_login_without_tls_where_that_was_asked_for() -> None:
    with MailServer(login=True) as server:
        await send(address(server, "smtp", LOGIN))
    assert len(server.mails) == 1
    assert server.logins == [(USER, PASSWORD)]


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_certificate_that_nobody_vouches_for_gets_no_mail(certificate: Certificate, scheme: str) -> None:
    server = MailServer(certificate, tls_from_the_start=scheme == "smtps", login=True)
    with server, pytest.raises((aiosmtplib.SMTPException, OSError)):
        await send(address(server, scheme, LOGIN))
    assert not server.mails
    assert not server.logins


async def test_tls_is_never_given_up(trusted: Certificate) -> None:
    """A server that offers no STARTTLS, as if an attacker on the network had removed the offer."""
    with MailServer(login=True) as server, pytest.raises(aiosmtplib.SMTPException):
        await send(address(server, "smtp+starttls", LOGIN))
    assert not server.mails
    assert not server.logins


async def test_wrong_password_may_be_mended() -> None:
    with MailServer(login=True) as server, pytest.raises(aiosmtplib.SMTPAuthenticationError):
        await send(address(server, "smtp", f"{USER}:wrong@"))
    assert server.mails == []


@pytest.mark.parametrize("to_data", [False, True])
@pytest.mark.parametrize(
    ("answer", "is_final"),
    [
        ("550 no ada@example.com here", True),
        ("554 5.7.1 ada@example.com is spam", True),
        ("450 later", False),
        ("451 busy", False),
    ],
)
async def test_refusal_is_final_where_the_server_says_so(to_data: bool, answer: str, is_final: bool) -> None:
    server = MailServer(data_answers=[answer]) if to_data else MailServer(answers=[answer])
    with server, pytest.raises(Undeliverable if is_final else aiosmtplib.SMTPException) as refused:
        await send(address(server))
    assert isinstance(refused.value, Undeliverable) is is_final
    assert not is_final or "ada" not in str(refused.value), "what is logged holds nothing of the mail"


async def test_letters_that_a_server_cannot_handle_are_final() -> None:
    queued_mail = QueuedMail(MailKind.CODE, "jörg@example.com", "012345")
    with MailServer(utf8=False) as server, pytest.raises(Undeliverable):
        await send(address(server), queued_mail)
    with MailServer() as server:
        await send(address(server), queued_mail)
    assert server.recipients == [["jörg@example.com"]]


async def test_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.email_login.transports.STEP_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never sends anything
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send(f"smtp://127.0.0.1:{port}"), 10)


async def test_server_that_is_slow_in_everything_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.email_login.transports.MAIL_TIMEOUT", 0.3)
    with MailServer(patience=1.5) as server, pytest.raises(TimeoutError):
        await send(address(server))


def test_settings_choose_how_mails_leave() -> None:
    assert isinstance(transport_for(settings("smtp://localhost")), SmtpTransport)
    assert isinstance(transport_for(settings(public_url="http://127.0.0.1:8000")), TerminalTransport)
    assert isinstance(transport_for(settings()), NoTransport)
    assert describe_transport(settings("smtp://localhost")) is None
    assert "printed here" in str(describe_transport(settings(public_url="http://127.0.0.1:8000")))
    assert "no mail is sent" in str(describe_transport(settings()))


async def test_without_a_server_a_newcomer_reads_the_mail_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = settings(public_url="http://127.0.0.1:8000")
    await transport_for(chosen).send(compose(LETTER, chosen))
    output = capsys.readouterr()
    assert output.out == ""
    assert "012345" in output.err
    assert "ada@example.com" in output.err


async def test_elsewhere_none_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Undeliverable, match="DOORCODE_SMTP_URL is not set"):
        await transport_for(settings()).send(compose(LETTER, settings()))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://host:port", "localhost:25", "smtp://host:99999"])
def test_wrong_address_stops_the_start(url: str) -> None:
    with pytest.raises(Exception, match="DOORCODE_SMTP_URL"):
        settings(url)
