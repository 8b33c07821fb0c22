"""`GET /` and `GET /login` without a code, and `POST /logout` (contract §5)."""

from datetime import timedelta

import httpx2
import pytest

from service.accounts.models import UserRole
from service.clock import now
from service.instance import Instance
from service.sessions.lifecycle import Client, OpenedSession, Opening, find_session, open_session
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import add_invited
from tests.site import Site, new_user_id, set_cookies
from tests.web.conftest import APP, PUBLIC

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def sign_in(client: httpx2.Client, site: Site) -> str:
    """Signs a new user in, and returns the token."""
    response = client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    return set_cookies(response)["doorcode"][""]


def admin_session(site: Site) -> OpenedSession:
    """A session of the admin panel, as an email sign-in opens it."""

    async def make(_: Instance) -> OpenedSession:
        admin = await add_invited(f"{new_user_id()}@example.test", UserRole.ADMIN)
        opening = Opening(SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE, Client())
        return await open_session(admin, opening, now() + timedelta(hours=1))

    return site.call(make)


def is_live(site: Site, token: str) -> bool:
    """Whether a session's token is live."""
    return site.call(lambda _: find_session(token)) is not None


@pytest.mark.parametrize("path", ["/", "/login"])
def test_page_says_who_is_signed_in(site: Site, client: httpx2.Client, path: str) -> None:
    user_id = new_user_id()
    email = f"{user_id}@example.test"
    client.get("/", params={"externalAuthCode": site.sign({"user": {"id": user_id, "email": email}})})
    page = client.get(path)
    assert page.status_code == 200
    session = site.call(lambda _: find_session(str(client.cookies["doorcode"])))
    assert session
    assert "You are signed in" in page.text
    assert user_id in page.text
    assert email in page.text
    assert "your company’s own system" in page.text
    assert f"{session.expires_at.day} {session.expires_at:%B %Y, %H:%M}\N{NO-BREAK SPACE}UTC" in page.text
    assert 'method="post" action="/logout"' in page.text


@pytest.mark.parametrize("cookie", [None, "", "dcs_unknown", "dcs_" + "A" * 43, '"\\000"', "x" * 3000])
def test_page_says_that_nobody_is_signed_in_and_what_to_do(
    site: Site, client: httpx2.Client, cookie: str | None
) -> None:
    page = client.get("/", headers={} if cookie is None else {"Cookie": f"doorcode={cookie}"})
    assert page.status_code == 200
    assert "You are not signed in" in page.text
    assert "open the link there" in page.text
    assert "<form" not in page.text
    assert "<button" not in page.text


def test_bearer_token_and_admin_cookie_are_not_the_members_cookie(site: Site, client: httpx2.Client) -> None:
    token = admin_session(site).token
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"doorcode={token}"}):
        assert "You are not signed in" in client.get("/", headers=headers).text


def test_user_data_is_shown_as_text(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        code = sqlite_site.sign({"user": {"id": f"<b>{new_user_id()}</b>"}})
        client.get("/", params={"externalAuthCode": code})
        page = client.get("/").text
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_front_page_leads_to_the_application(app_site: Site) -> None:
    with app_site.client() as client:
        response = client.get("/")
        assert (response.status_code, response.headers["location"]) == (303, f"{APP}/start")
        assert response.headers["cache-control"] == "no-store"
        sign_in(client, app_site)
        assert f'href="{APP}/start"' in client.get("/login").text


def test_front_page_does_not_lead_to_itself(secure_site: Site) -> None:
    with secure_site.client() as client:
        response = client.get("/")
    assert response.status_code == 200
    assert "You are not signed in" in response.text


@pytest.mark.parametrize("says", ["Sec-Fetch-Site", "Origin"])
def test_signing_out_ends_the_session_and_clears_both_cookies(site: Site, client: httpx2.Client, says: str) -> None:
    token, admin_token = sign_in(client, site), admin_session(site).token
    client.cookies.set("doorcode-admin", admin_token)
    headers = SAME_ORIGIN if says == "Sec-Fetch-Site" else {"Origin": site.server.url}
    response = client.post("/logout", headers=headers)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert not is_live(site, token)
    assert not is_live(site, admin_token)
    cookies = set_cookies(response)
    assert cookies.keys() == {"doorcode", "doorcode-admin"}
    assert all(cookie["max-age"] == "0" and cookie["path"] == "/" for cookie in cookies.values())
    assert "You are not signed in" in client.get("/").text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example.net"},
        {"Origin": "null"},
        {"Origin": APP},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.net"},
    ],
    ids=str,
)
def test_nobody_else_signs_a_person_out(site: Site, client: httpx2.Client, headers: dict[str, str]) -> None:
    token = sign_in(client, site)
    response = client.post("/logout", headers=headers)
    assert response.status_code == 403
    assert "You were not signed out" in response.text
    assert "set-cookie" not in response.headers
    assert is_live(site, token)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (APP, 303),
        (PUBLIC, 303),
        ("https://partner.example.net", 403),  # allowed, but not under the cookie's domain
        ("https://other.example.test", 403),  # under the domain, but not allowed
    ],
)
def test_origin_that_may_use_the_cookie_signs_out(secure_site: Site, origin: str, status: int) -> None:
    with secure_site.client() as client:
        token = sign_in(client, secure_site)
        response = client.post("/logout", headers={"Origin": origin, "Cookie": f"doorcode={token}"})
    assert response.status_code == status
    assert is_live(secure_site, token) == (status == 403)
    assert ("doorcode" in set_cookies(response)) == (status == 303)


def test_signing_out_leads_to_the_application(app_site: Site) -> None:
    with app_site.client() as client:
        assert client.post("/logout", headers=SAME_ORIGIN).headers["location"] == f"{APP}/start"


def test_signing_out_ends_no_session_that_a_cookie_does_not_carry(site: Site, client: httpx2.Client) -> None:
    admin_token = admin_session(site).token
    headers = {**SAME_ORIGIN, "Cookie": f"doorcode={admin_token}", "Authorization": f"Bearer {admin_token}"}
    assert client.post("/logout", headers=headers).status_code == 303
    assert is_live(site, admin_token)


def test_signing_out_without_a_session_is_no_error(site: Site, client: httpx2.Client) -> None:
    assert client.post("/logout", headers=SAME_ORIGIN).status_code == 303


@pytest.mark.parametrize(
    "path", ["/healthz/", "//metrics", "//admin", "//admin/login", "/login/refused/", "/login//code"]
)
def test_address_that_is_not_quite_right_is_not_there(sqlite_site: Site, path: str) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"{sqlite_site.server.url}{path}", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "This page does not exist" in page.text


def test_no_link_signs_out(site: Site, client: httpx2.Client) -> None:
    token = sign_in(client, site)
    response = client.get("/logout", headers=SAME_ORIGIN)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert is_live(site, token)
