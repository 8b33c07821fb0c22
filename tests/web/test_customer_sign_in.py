"""Sign-in that starts at the customer's own page (contract §5a)."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from service.external_auth import secrets
from service.external_auth.configuration import update_sign_in
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.web.sign_in.refused import _EMAIL_HELPS, _FRESH_CODE_HELPS, _NOT_BY_LINK
from tests.actions import TESTER
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.conftest import APP
from tests.web.test_email_sign_in import new_member
from tests.web.test_email_sign_in import sign_in as sign_in_by_email
from tests.web.test_link_navigation import CROSS_SITE, SAME_ORIGIN, ask, fields_of

SIGN_IN = "https://crm.example.test/login?tenant=7&empty="
SIGN_OUT = "https://crm.example.test/bye"
COOKIE = "doorcode-state"
DEEP = "/a/b?c=1&d=%26+x&e=ë#f"


@contextmanager
def customer(site: Site, **changes: object) -> Iterator[None]:
    """A customer's page, until the end of the block."""
    site.call(lambda _: update_sign_in({"sign_in_url": SIGN_IN, **changes}, TESTER))
    try:
        yield
    finally:
        before = {"sign_in_url": None, "sign_out_url": None, "start_automatically": False, "require_state": False}
        site.call(lambda _: update_sign_in(before, TESTER))


def start(client: httpx2.Client, **query: str) -> dict[str, str]:
    """Starts a sign-in; what the customer's page is given."""
    response = client.get("/login/start", params=query, headers=SAME_ORIGIN)
    assert response.status_code == 303, response.text
    assert response.headers["location"].startswith("https://crm.example.test/login?tenant=7&empty=&")
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def come_back(client: httpx2.Client, site: Site, given: dict[str, str], **fields: str) -> httpx2.Response:
    """The customer's page sends the person back, with what it was given."""
    back = {"externalAuthCode": site.code_for(new_user_id()), **given, **fields}
    back.pop("tenant", None)
    return client.get("/", params=back, headers=CROSS_SITE)


def refused_for_its_state(response: httpx2.Response) -> bool:
    """Whether the answer is the page that says to start again."""
    assert "doorcode=" not in response.headers.get("set-cookie", "")
    return response.status_code == 403 and "Please start again" in response.text


def test_sign_in_starts_at_the_customers_and_comes_back(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        given = start(client, returnTo="/orders?page=2&sort=a")
        assert given["returnTo"] == "/orders?page=2&sort=a"
        assert len(given["state"]) == 43
        response = come_back(client, site, given)
        assert (response.status_code, response.headers["location"]) == (303, "/")
        assert "You are signed in" in client.get("/login").text


@pytest.mark.parametrize("return_to", [DEEP, "/", "/x?y=/z?a=1&b=2"])
def test_return_to_keeps_its_query_through_every_step(app_site: Site, return_to: str) -> None:
    with customer(app_site), app_site.client() as client:
        page = client.get("/login", params={"returnTo": return_to})
        links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/login[^"]*)"', page.text)]
        assert [urlsplit(link).path for link in links] == ["/login/start", "/login"]
        assert [parameters(link)["returnTo"] for link in links] == [return_to, return_to]
        given = parameters(client.get(links[0]).headers["location"])
        assert given["returnTo"] == return_to
        back = client.get("/", params={"externalAuthCode": app_site.code_for(new_user_id()), **given})
        location = httpx2.URL(back.headers["location"])
        assert (location.scheme, location.host) == ("https", "app.example.test")
        assert location == httpx2.URL(APP + return_to)
        form = client.get(links[1]).text
        assert "Email address" in form
        assert f'name="returnTo" value="{return_to.replace("&", "&amp;")}"' in form
        refused = client.get("/", params={"externalAuthCode": "junk", "returnTo": return_to}).headers["location"]
        assert parameters(refused)["returnTo"] == return_to
        links = re.findall(r'href="(/login/start[^"]*)"', client.get(refused).text)
        assert parameters(links[0].replace("&amp;", "&"))["returnTo"] == return_to


def test_state_is_a_hash_in_a_cookie_of_this_host(sqlite_site: Site, secure_site: Site) -> None:
    for site, name, secure in ((sqlite_site, COOKIE, False), (secure_site, f"__Host-{COOKIE}", True)):
        with customer(site), site.client() as client:
            response = client.get("/login/start")
            state = parameters(response.headers["location"])["state"]
            cookie = set_cookies(response)[name]
            assert state not in cookie[""]
            assert (cookie["max-age"], cookie["path"], cookie["samesite"], "httponly" in cookie) == (
                "600",
                "/",
                "lax",
                True,
            )
            assert ("secure" in cookie, "domain" in cookie) == (secure, False)


def test_forged_state_signs_no_one_in(site: Site, client: httpx2.Client) -> None:
    with customer(site), site.client() as attacker:
        start(client)
        of_the_attacker = start(attacker)["state"]
        for state in ("x", "A" * 43, of_the_attacker, "\0", "ë", "x" * 5_000):
            user_id = new_user_id()
            query = {"externalAuthCode": site.code_for(user_id), "state": state}
            assert refused_for_its_state(client.get("/", params=query, headers=CROSS_SITE))
            assert refused_for_its_state(client.post("/", data=query, headers=SAME_ORIGIN))
            assert site.find(user_id) is None


def test_state_works_once(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        given = start(client)
        assert come_back(client, site, given).status_code == 303
        client.cookies.delete("doorcode")
        assert refused_for_its_state(come_back(client, site, given))


def test_state_works_for_ten_minutes(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        given = start(client)
        [entry] = str(client.cookies[COOKIE]).strip('"').split("~")
        digest, _, expires = entry.partition(".")
        assert 590 <= int(expires) - time.time() <= 600
        client.cookies.set(COOKIE, f"{digest}.{int(time.time()) - 1}", domain="127.0.0.1", path="/")
        assert refused_for_its_state(come_back(client, site, given))


def test_refused_code_uses_the_state_up(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        given = start(client)
        expired = come_back(client, site, given, externalAuthCode=site.code_for(new_user_id(), exp=1))
        assert parameters(expired.headers["location"])["error"] == "CODE_EXPIRED"
        assert refused_for_its_state(come_back(client, site, given))


def test_two_tabs_at_once_work_and_a_sixth_forgets_the_first(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        first, second = start(client, returnTo="/1"), start(client, returnTo="/2")
        for given in (first, second):
            assert come_back(client, site, given).status_code == 303
            client.cookies.delete("doorcode")
        tabs = [start(client) for _ in range(6)]
        assert refused_for_its_state(come_back(client, site, tabs[0]))
        assert come_back(client, site, tabs[1]).status_code == 303


def test_missing_state_is_refused_only_if_it_is_required(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(new_user_id())
    with customer(site):
        assert client.get("/", params={"externalAuthCode": code, "state": ""}).status_code == 303
        assert client.get("/", params={"externalAuthCode": code}).status_code == 303
    with customer(site, require_state=True), site.client() as other:
        for query in ({"externalAuthCode": code}, {"externalAuthCode": code, "state": ""}):
            assert refused_for_its_state(other.get("/", params=query))
            assert refused_for_its_state(other.post("/login", data=query))
        page = other.get("/", params={"externalAuthCode": code, "returnTo": "/x?y=1"})
        assert "/login/start?returnTo=%2Fx%3Fy%3D1" in page.text
        assert come_back(other, site, start(other)).status_code == 303


def test_state_holds_through_the_question_and_the_button(site: Site, client: httpx2.Client) -> None:
    with customer(site, require_state=True), site.policy(single_use=True):
        client.post("/", data={"externalAuthCode": site.code_for(new_user_id(), jti=new_user_id()), **start(client)})
        given = start(client)
        code = site.code_for(ben := new_user_id(), jti=new_user_id())
        page = ask(client, code, state=given["state"])
        assert ben in page.text
        done = client.post("/login", data=fields_of(page), headers=SAME_ORIGIN)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert ben in client.get("/login").text


@pytest.mark.parametrize(
    "headers", [CROSS_SITE, {"Origin": "https://crm.example.test"}], ids=["with Fetch Metadata", "without"]
)
def test_form_of_the_customers_page_comes_back_too(site: Site, client: httpx2.Client, headers: dict[str, str]) -> None:
    with customer(site, require_state=True):
        given = start(client, returnTo="/x?y=1")
        with site.client() as without_cookies:
            back = {"externalAuthCode": site.code_for(new_user_id()), **given}
            page = without_cookies.post("/", data=back, headers=headers)
            assert refused_for_its_state(
                without_cookies.post("/login/continue", data=fields_of(page), headers=SAME_ORIGIN)
            )
            page = without_cookies.post("/", data=back, headers=headers)
        done = client.post("/login/continue", data=fields_of(page), headers=SAME_ORIGIN)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert refused_for_its_state(come_back(client, site, given)), "the state was used up"


# ---------------------------------------------------------------- pages


def test_pages_offer_the_customers_page_first_and_email_second(site: Site, client: httpx2.Client) -> None:
    with customer(site):
        for path in ("/", "/login", "/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK"):
            links = re.findall(r'href="(/login[^"]*)"', client.get(path).text)
            assert links == ["/login/start", "/login?method=email"], path
        assert "Email address" in client.get("/login?method=email").text
    assert "Email address" in client.get("/login").text
    assert 'href="/login"' in client.get("/").text


@pytest.mark.parametrize("error", sorted(set(SignInErrorCode) - _NOT_BY_LINK))
def test_refusal_offers_a_fresh_code_where_that_helps(sqlite_site: Site, error: SignInErrorCode) -> None:
    address = f"/login/refused?error={error}&reference=ABCDEFGHJK"
    with customer(sqlite_site, start_automatically=True), sqlite_site.client() as client:
        page = client.get(address)
        assert page.status_code in (401, 403, 429), "it never starts by itself"
        assert ("/login/start" in page.text) == (error in _FRESH_CODE_HELPS)
    with sqlite_site.client() as client:
        links = re.findall(r'href="(/login[^"]*)"', client.get(address).text)
        assert links == (["/login"] if error in _EMAIL_HELPS else []), "by email, where that helps"


def test_nothing_starts_while_jwt_sign_in_is_disabled(site: Site, client: httpx2.Client) -> None:
    with customer(site, start_automatically=True):
        site.call(lambda _: secrets.disable(TESTER))
        try:
            assert "Email address" in client.get("/login").text
            assert client.get("/login/start?returnTo=/x").headers["location"] == "/login?returnTo=%2Fx"
        finally:
            site.call(lambda instance: secrets.enable(instance.cipher, TESTER))


def test_login_starts_by_itself_where_the_admin_wants_that(site: Site, client: httpx2.Client) -> None:
    with customer(site, start_automatically=True):
        response = client.get("/login?returnTo=/x?y=1", headers=CROSS_SITE)
        assert response.status_code == 303
        given = parameters(response.headers["location"])
        assert given["returnTo"] == "/x?y=1"
        assert come_back(client, site, given).headers["location"] == "/"
        assert "You are signed in" in client.get("/login").text
        assert "Email address" in client.get("/login?method=email").text


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
    ],
    ids=str,
)
def test_only_a_person_who_opens_the_page_starts(sqlite_site: Site, method: str, headers: dict[str, str]) -> None:
    with customer(sqlite_site, start_automatically=True), sqlite_site.client() as client:
        for path in ("/login", "/login/start", "/"):
            response = client.request(method, path, headers=headers)
            assert response.status_code != 303, path
            assert "set-cookie" not in response.headers


def test_loop_ends_at_a_page(site: Site, client: httpx2.Client) -> None:
    """The session does not stick, so the application sends the person to `/login` again and again."""
    with customer(site, start_automatically=True):
        for _ in range(2):
            response = client.get("/login")
            assert response.status_code == 303
            come_back(client, site, parameters(response.headers["location"]))
            client.cookies.delete("doorcode")
        page = client.get("/login")
        assert page.status_code == 200
        assert 'href="/login/start"' in page.text
        assert client.get("/login/start").status_code == 303, "a click is no automatic turn"
        value = str(client.cookies[COOKIE]).strip('"')
        earlier = re.sub(r"auto\.(\d+)", lambda found: f"auto.{int(found[1]) - 31}", value)
        client.cookies.set(COOKIE, earlier, domain="127.0.0.1", path="/")
        assert client.get("/login").status_code == 303


# ---------------------------------------------------------------- signing out, and ways in that do not depend on it


def test_signing_out_ends_at_the_customers(site: Site, client: httpx2.Client) -> None:
    with customer(site, sign_out_url=SIGN_OUT):
        client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
        token = str(client.cookies["doorcode"])
        page = client.get("/login")
        assert "form-action 'self' https://crm.example.test" in page.headers["content-security-policy"]
        response = client.post("/logout", headers=SAME_ORIGIN)
        assert (response.status_code, response.headers["location"]) == (303, SIGN_OUT)
        assert site.call(lambda _: find_session(token)) is None
        assert client.post("/logout", headers=SAME_ORIGIN).headers["location"] == "/"


def test_signing_out_of_an_email_session_leads_to_the_application(app_site: Site) -> None:
    with customer(app_site, sign_out_url=SIGN_OUT, start_automatically=True), app_site.client() as client:
        sign_in_by_email(client, app_site, new_member(app_site).email)
        assert SIGN_OUT not in client.get("/login").headers["content-security-policy"]
        assert client.post("/logout", headers=SAME_ORIGIN).headers["location"] == f"{APP}/start"


def test_wrong_url_keeps_no_admin_out(site: Site, client: httpx2.Client) -> None:
    with customer(site, sign_in_url="https://nowhere.invalid/", start_automatically=True, require_state=True):
        for path in ("/admin/login", "/login?method=email"):
            page = client.get(path)
            assert page.status_code == 200
            assert "Email address" in page.text or "Email" in page.text
            assert "nowhere.invalid" not in page.text
        assert client.get("/admin", follow_redirects=True).url.path == "/admin/login"
