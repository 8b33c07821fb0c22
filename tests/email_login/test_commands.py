"""`doorcode admin invite`, and what `doorcode serve` says of admins and mails (contract §6 and §7)."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.mail_server import MailServer
from tests.processes import Server, run_command
from tests.programs import Programs

LINK = re.compile(r"http://127\.0\.0\.1:\d+/admin/setup\?token=dcl_[A-Za-z0-9_-]{43}")


def test_admin_invite_prints_a_link_alone(environ: dict[str, str], tmp_path: Path, programs: Programs) -> None:
    environ = {**environ, "DOORCODE_PUBLIC_URL": "https://id.example.com"}
    ran = run_command(environ, tmp_path, "admin", "invite", "Boss@Example.com")
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"https://id\.example\.com/admin/invitation\?token=dcl_[A-Za-z0-9_-]{43}\n", ran.stdout)
    assert "boss@example.com is an admin" in ran.stderr
    assert "dcl_" not in ran.stderr
    listed = run_command(environ, tmp_path, "users", "list").stdout
    assert "boss@example.com" in listed
    assert "ADMIN" in listed


def test_admin_invite_says_no(sqlite_url: str, tmp_path: Path, programs: Programs) -> None:
    environ = {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    assert run_command(environ, tmp_path, "seats", "--limit", "0").returncode == 0
    for arguments, status in ((["boss@example.com"], 1), (["nobody"], 1), ([], 2)):
        ran = run_command(environ, tmp_path, "admin", "invite", *arguments)
        assert (ran.returncode, ran.stdout) == (status, ""), ran.stderr
        assert "Traceback" not in ran.stderr


def test_serve_prints_a_set_up_link_until_there_is_an_admin(
    server: Callable[..., Server], environ: dict[str, str], tmp_path: Path
) -> None:
    first = server(environ)
    [link] = LINK.findall(first.stderr_text())
    assert link.startswith(f"{first.url}/admin/setup?")
    assert first.stdout_text() == ""
    assert first.stderr_text().count(link.partition("=")[2]) == 1
    page = httpx2.get(link)
    assert page.status_code == 200
    first.stop()
    second = server(environ)
    [newer] = LINK.findall(second.stderr_text())
    assert newer.partition("=")[2] != link.partition("=")[2]
    old = httpx2.get(f"{second.url}/admin/setup", params={"token": link.partition("=")[2]})
    assert old.status_code != 200, "a new link voids the old"
    second.stop()
    assert run_command(environ, tmp_path, "admin", "invite", "boss@example.com").returncode == 0
    assert LINK.findall(server(environ).stderr_text()) == []


@pytest.fixture
def sqlite_environ(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    return {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


def test_serve_says_where_mails_go(server: Callable[..., Server], sqlite_environ: dict[str, str]) -> None:
    at_home = server(sqlite_environ)
    assert "DOORCODE_SMTP_URL is not set, so mails with sign-in codes are printed here." in at_home.stderr_text()
    at_home.stop()
    elsewhere = server({**sqlite_environ, "DOORCODE_PUBLIC_URL": "https://id.example.com"})
    assert (
        "DOORCODE_SMTP_URL is not set, so no mail is sent and sign-in by email does not work."
        in elsewhere.stderr_text()
    )
    elsewhere.stop()
    with MailServer() as mails:
        silent = server({**sqlite_environ, "DOORCODE_SMTP_URL": f"smtp://127.0.0.1:{mails.port}"})
        assert "DOORCODE_SMTP_URL" not in silent.stderr_text()
        silent.stop()


def test_newcomer_signs_in_by_what_the_terminal_says(
    server: Callable[..., Server], sqlite_environ: dict[str, str], tmp_path: Path
) -> None:
    running = server(sqlite_environ)
    assert run_command(sqlite_environ, tmp_path, "admin", "invite", "boss@example.com").returncode == 0
    headers = {"Sec-Fetch-Site": "same-origin"}
    asked = httpx2.post(f"{running.url}/login", data={"email": "boss@example.com"}, headers=headers)
    request = asked.headers["location"].partition("request=")[2]
    running.stop()  # which waits for the mail
    [code] = re.findall(r"^ {4}(\d{6})$", running.stderr_text(), re.MULTILINE)
    assert running.stdout_text() == ""
    again = server(sqlite_environ)
    signed_in = httpx2.post(f"{again.url}/login/code", data={"request": request, "code": code}, headers=headers)
    assert signed_in.status_code == 303
    assert signed_in.cookies["doorcode"].startswith("dcs_")
