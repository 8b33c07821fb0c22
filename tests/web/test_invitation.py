"""`/invitation`: a member's one-time link; looking shows a button, pressing it signs in (contract §3)."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from service.accounts import administration
from service.accounts.models import User, UserRole
from service.email_login.links import make_invitation_token, make_setup_token
from tests.actions import TESTER
from tests.mail_server import MailServer, link_in
from tests.site import Site, set_cookies
from tests.web.test_email_sign_in import HERE, NOT_HERE, new_email, new_member, session_of, sign_in, switched_off


def invite(site: Site, user: User | None = None) -> str:
    """The token of a new invitation."""
    invited = user or new_member(site)
    return site.call(lambda _: make_invitation_token(invited))


def press(client: httpx2.Client, token: str) -> httpx2.Response:
    """The button."""
    return client.post("/invitation", data={"token": token}, headers=HERE)


def test_link_shows_a_button_and_signs_nobody_in(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    token = invite(site, user)
    for _ in range(3):  # mail scanners open links, and more than once
        page = client.get("/invitation", params={"token": token})
        assert page.status_code == 200
        assert str(user.email) in page.text
        assert f'<input type="hidden" name="token" value="{token}">' in page.text
        assert "set-cookie" not in page.headers
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
    client.head("/invitation", params={"token": token})
    assert press(client, token).status_code == 303


def test_button_signs_in_once_on_the_members_cookie(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    token = invite(site, user)
    response = press(client, token)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    session = session_of(site, set_cookies(response)["doorcode"][""])
    assert session
    assert session.user.serial == user.serial
    assert (session.method, session.token_transport, session.has_admin_rights) == ("EMAIL", "COOKIE", False)
    with site.client() as other:
        again = press(other, token)
        assert again.status_code == 401
        assert "This link no longer works" in again.text
        assert "set-cookie" not in again.headers
        assert other.get("/invitation", params={"token": token}).status_code == 401


def test_button_that_two_press_at_once_signs_one_of_them_in(site: Site) -> None:
    token = invite(site)

    def press_once(_: int) -> int:
        with site.client() as client:
            return press(client, token).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(press_once, range(8)))
    assert answers == [303, *[401] * 7]


def test_person_goes_on_to_the_application(app_site: Site) -> None:
    token = invite(app_site)
    with app_site.client() as client:
        assert press(client, token).headers["location"] == "https://app.example.test/start"


def test_session_that_was_before_ends(site: Site, client: httpx2.Client) -> None:
    sign_in(client, site, new_member(site).email)
    before = client.cookies["doorcode"]
    press(client, invite(site))
    assert session_of(site, before) is None
    assert session_of(site, client.cookies["doorcode"]) is not None


@pytest.mark.parametrize("token", ["", "x", "dcl_" + "A" * 43, "<script>", "\x00"])
def test_what_is_no_link_says_how_to_go_on(sqlite_site: Site, token: str) -> None:
    with sqlite_site.client() as client:
        for page in (
            client.get("/invitation", params={"token": token}),
            press(client, token),
            client.get("/invitation"),
        ):
            assert page.status_code == 401
            assert "This link no longer works" in page.text
            assert 'href="/login?method=email"' in page.text
            assert "<script>" not in page.text


def test_set_up_link_is_no_invitation(sqlite_site: Site) -> None:
    token = sqlite_site.call(lambda _: make_setup_token())
    with sqlite_site.client() as client:
        assert client.get("/invitation", params={"token": token}).status_code == 401
        assert press(client, token).status_code == 401


@pytest.mark.parametrize("headers", NOT_HERE)
def test_form_of_another_site_signs_nobody_in(sqlite_site: Site, headers: dict[str, str]) -> None:
    token = invite(sqlite_site)
    with sqlite_site.client() as client:
        page = client.post("/invitation", data={"token": token}, headers=headers)
        assert (page.status_code, "set-cookie" in page.headers) == (403, False)
        assert press(client, token).status_code == 303, "nor is anything used up"


def test_deactivated_person_is_told(sqlite_site: Site) -> None:
    new_member(sqlite_site, UserRole.ADMIN)
    user = new_member(sqlite_site)
    token = invite(sqlite_site, user)
    sqlite_site.call(lambda _: administration.deactivate_user(user.id, TESTER))
    with sqlite_site.client() as client:
        page = press(client, token)
    assert page.status_code == 403
    assert "Your account has been deactivated" in page.text


def test_while_email_login_is_off_it_is_told(sqlite_site: Site) -> None:
    token = invite(sqlite_site)
    with sqlite_site.client() as client:
        with switched_off(sqlite_site):
            page = press(client, token)
            assert page.status_code == 403
            assert "Signing in by email is switched off" in page.text
        assert press(client, token).status_code == 303


def test_mailed_invitation_leads_here(open_site: Any) -> None:
    with MailServer() as mails:
        site: Site = open_site(DOORCODE_SMTP_URL=f"smtp://127.0.0.1:{mails.port}")
        boss = new_member(site, UserRole.ADMIN)
        with site.client() as panel:
            press_admin(panel, site, boss)
            email = new_email()
            query = "mutation ($email: String!) { inviteUser(email: $email) { id } }"
            answer = panel.post("/graphql", json={"query": query, "variables": {"email": email}}, headers=HERE)
            assert "errors" not in answer.json(), answer.text
        link = link_in(mails.mail_to(email))
        assert re.fullmatch(rf"{site.server.url}/invitation\?token=dcl_[A-Za-z0-9_-]{{43}}", link)
        with site.client() as client:
            assert email in client.get(link).text
            assert press(client, link.partition("token=")[2]).status_code == 303
            assert email in client.get("/").text
        assert "dcl_" not in site.server.stderr_text().replace("/admin/setup?token=dcl_", "")


def press_admin(client: httpx2.Client, site: Site, boss: User) -> None:
    """Signs an admin in to the panel."""
    token = invite(site, boss)
    assert client.post("/admin/invitation", data={"token": token}, headers=HERE).status_code == 303
