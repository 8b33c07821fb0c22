"""The test mail of an admin, with a real mail server."""

import pytest

from service.email_login.mail_check import send_test_mail
from service.settings import load_settings
from tests.mail_server import MailServer
from tests.processes import free_port

pytestmark = pytest.mark.usefixtures("instance")  # the mail has the branding of the instance


async def test_mail_that_the_server_accepts_is_no_problem() -> None:
    with MailServer() as server:
        settings = load_settings({"DOORCODE_SMTP_URL": f"smtp://127.0.0.1:{server.port}"})
        assert await send_test_mail("boss@example.com", settings) is None
    [mail] = server.mails

    assert server.recipients == [["boss@example.com"]]
    assert mail["Subject"] == "Test mail of 127.0.0.1"
    assert "http://127.0.0.1:8000" in mail.get_content()


async def test_server_that_cannot_be_reached_is_named() -> None:
    settings = load_settings({"DOORCODE_SMTP_URL": f"smtp://user:pass-of-mail@127.0.0.1:{free_port()}"})

    problem = await send_test_mail("boss@example.com", settings)

    assert problem
    assert "Connect" in problem
    assert "pass-of-mail" not in problem


async def test_instance_without_a_mail_server_says_so() -> None:
    settings = load_settings({"DOORCODE_PUBLIC_URL": "https://id.example.com"})

    assert "DOORCODE_SMTP_URL is not set" in (await send_test_mail("boss@example.com", settings) or "")
