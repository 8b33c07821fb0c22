"""Signing in to the panel: the set-up link, a code by mail, and who gets no cookie."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from anyio.from_thread import BlockingPortal

from service.accounts.lookup import find_by_email
from service.accounts.models import UserRole
from service.email_login.configuration import update_configuration
from service.email_login.links import make_invitation_token
from service.email_login.models import SignUpMode
from service.page_urls import ADMIN_INVITATION_PATH
from tests.actions import TESTER, add_invited
from tests.processes import Server
from tests.programs import Programs
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.admin.panel import ADMIN, COOKIE, FROM_HERE, Panel, session_token

DEADLINE = 20.0  # seconds; a busy machine is no failure


def setup_token(server: Server) -> str:
    """What the server prints for the first admin."""
    [link] = re.findall(r"http://\S+/admin/setup\?token=\S+", server.stderr_text())
    return parameters(link)["token"]


def mails_to(email: str, server: Server) -> list[str]:
    """What was printed for this address so far."""
    return [mail for mail in server.stderr_text().split("----- a mail, printed") if f"To: {email}" in mail]


def code_mailed_to(email: str, server: Server, *, before: int) -> str:
    """The digits of the mail that follows those that were printed before, once it is there."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        mails = mails_to(email, server)[before:]
        if mails and (found := re.search(r"^\s*(\d{6})\s*$", mails[-1], re.MULTILINE)):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"no mail came for {email}:\n{server.stderr_text()}")


def sign_in(client: httpx2.Client, server: Server, email: str, return_to: str = "") -> httpx2.Response:
    """The answer to the right code."""
    before = len(mails_to(email, server))
    asked = client.post("/admin/login", data={"email": email, "returnTo": return_to}, headers=FROM_HERE)
    assert asked.status_code == 303
    query = parameters(asked.headers["location"])
    assert client.get(asked.headers["location"]).status_code == 200
    fields = {**query, "code": code_mailed_to(email, server, before=before)}
    return client.post("/admin/login/code", data=fields, headers=FROM_HERE)


def test_set_up_link_works_for_one_of_those_who_open_it(
    server: Callable[..., Server], sqlite_url: str, tmp_path: object
) -> None:
    served = server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": f"{tmp_path}/data"})
    token = setup_token(served)

    with httpx2.Client(base_url=served.url) as client:
        for _ in range(3):  # looking uses nothing up
            page = client.get("/admin/setup", params={"token": token})
            assert page.status_code == 200
            assert "Create the first admin" in page.text
        assert client.get("/admin/setup", params={"token": token[:-1] + "_"}).status_code == 401
        bad = client.post("/admin/setup", data={"token": token, "email": "no address"}, headers=FROM_HERE)
        assert bad.status_code == 400
        assert 'value="no address"' in bad.text

    def use(number: int) -> httpx2.Response:
        with httpx2.Client(base_url=served.url) as client:
            fields = {"token": token, "email": f"boss{number}@example.com"}
            return client.post("/admin/setup", data=fields, headers=FROM_HERE)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(use, range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 401, 401, 401]
    [won] = [answer for answer in answers if answer.status_code == 303]
    cookie = set_cookies(won)[COOKIE]
    assert {name: cookie.get(name) for name in ("path", "samesite", "httponly", "domain")} == {
        "path": "/",
        "samesite": "strict",
        "httponly": "",
        "domain": None,
    }
    with httpx2.Client(base_url=served.url, cookies={COOKIE: cookie[""]}) as client:
        assert client.get("/admin/users").status_code == 200
        assert client.get("/admin/setup", params={"token": token}).status_code == 401


def test_admin_signs_in_by_a_code_and_goes_on_to_where_they_wanted(site: Site) -> None:
    site.call(lambda _: session_token(ADMIN))
    with site.client() as client:
        response = sign_in(client, site.server, ADMIN, "/admin/audit?userId=x")
        assert (response.status_code, response.headers["location"]) == (303, "/admin/audit?userId=x")
        assert set(set_cookies(response)) == {COOKIE, "doorcode-device"}
        assert client.get("/admin/audit").status_code == 200


def test_every_sign_in_opens_a_new_session_in_place_of_the_one_before(site: Site) -> None:
    panel = Panel.signed_in(site)
    with panel.http as client:
        before = client.cookies[COOKIE]
        response = sign_in(client, site.server, ADMIN)
        after = set_cookies(response)[COOKIE][""]
    assert after != before
    with httpx2.Client(base_url=site.server.url, cookies={COOKIE: before}) as client:
        assert client.get("/admin/users").status_code == 303


def test_member_gets_no_cookie(site: Site) -> None:
    email = f"{new_user_id()}@example.com"
    site.call(lambda _: add_invited(email, UserRole.MEMBER))
    with site.client() as client:
        response = sign_in(client, site.server, email)
        assert response.status_code == 403
        assert "for admins only" in response.text
        assert not set_cookies(response)
        assert client.get("/admin/users").status_code == 303


def test_nobody_signs_up_at_the_panel(site: Site) -> None:
    email = f"{new_user_id()}@example.com"
    site.call(lambda _: update_configuration(TESTER, sign_up=SignUpMode.OPEN))
    try:
        with site.client() as client:
            response = sign_in(client, site.server, email)
    finally:
        site.call(lambda _: update_configuration(TESTER, sign_up=SignUpMode.INVITATION))
    assert response.status_code == 403
    assert not set_cookies(response)
    assert site.call(lambda _: find_by_email(email)) is None


def test_another_code_can_be_asked_for_without_typing_the_address_again(site: Site) -> None:
    with site.client() as client:
        asked = client.post("/admin/login", data={"email": "nobody@example.com"}, headers=FROM_HERE)
        page = client.get(asked.headers["location"])
        assert 'action="/admin/login"' in page.text
        assert 'name="email" value="nobody@example.com"' in page.text
        assert re.search(r'data-wait="(5\d|60)"', page.text)


def test_panel_says_where_no_mail_is_sent(
    sqlite_url: str, tmp_path: Path, background: BlockingPortal, programs: Programs
) -> None:
    """As the start does: on a public URL that is not loopback, with no mail server."""
    elsewhere = {"DOORCODE_PUBLIC_URL": "https://id.example.com"}
    site = Site.open(tmp_path, sqlite_url, background, elsewhere)
    try:
        token = site.call(lambda _: session_token(ADMIN))
        with httpx2.Client(base_url=site.server.url, headers={"Cookie": f"__Host-doorcode-admin={token}"}) as client:
            for path in ("/admin/login", "/admin/users", "/admin/authentication"):
                page = client.get(path)
                assert page.status_code == 200
                assert "No mail is sent" in page.text, path
    finally:
        site.server.close()


def test_request_that_is_no_more_leads_back_to_the_address(site: Site) -> None:
    with site.client() as client:
        page = client.get("/admin/login/code", params={"request": "x" * 22})
        assert page.status_code == 401
        assert "That request is over." in page.text
        assert 'action="/admin/login"' in page.text


def test_wrong_code_is_told(site: Site) -> None:
    with site.client() as client:
        asked = client.post("/admin/login", data={"email": "nobody@example.com"}, headers=FROM_HERE)
        query = parameters(asked.headers["location"])
        response = client.post("/admin/login/code", data={**query, "code": "000000"}, headers=FROM_HERE)
        assert response.status_code == 401
        assert 'role="alert"' in response.text
        assert not set_cookies(response)


def test_after_signing_in_nobody_is_sent_elsewhere(site: Site) -> None:
    with site.client() as client:
        for path in ("https://evil.example.com", "//evil.example.com/admin/", "/\\evil", "/", "/admin/login"):
            page = client.get("/admin/login", params={"returnTo": path})
            assert 'name="returnTo" value="/admin"' in page.text


def test_invitation_of_an_admin_works_once(site: Site) -> None:
    email = f"{new_user_id()}@example.com"

    async def invite(_: object) -> str:
        return await make_invitation_token(await add_invited(email, UserRole.ADMIN))

    token = site.call(invite)
    with site.client() as client:
        for _ in range(2):
            page = client.get(ADMIN_INVITATION_PATH, params={"token": token})
            assert page.status_code == 200
            assert email in page.text
        assert client.post(ADMIN_INVITATION_PATH, data={"token": token}, headers=FROM_HERE).status_code == 303
        assert client.get("/admin/users").status_code == 200
        assert client.post(ADMIN_INVITATION_PATH, data={"token": token}, headers=FROM_HERE).status_code == 401
