"""Link login on a navigation only, and the question before one user replaces another (contract §5, §5a)."""

import re
from html import unescape

import httpx2
import pytest

from service.external_auth.models import HeldCode, UsedCode
from service.sessions.lifecycle import find_session
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.conftest import APP

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
CROSS_SITE = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
SAME_SITE = {**NAVIGATION, "Sec-Fetch-Site": "same-site"}
SAME_ORIGIN = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}

NO_NAVIGATION = [
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "frame"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"},
    {"Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Mode": ""},
    {"Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Dest": "Document"},
]


def is_live(site: Site, token: str) -> bool:
    """Whether a session's token is live."""
    return site.call(lambda _: find_session(token)) is not None


def sign_in(client: httpx2.Client, site: Site, user_id: str, **user: str) -> str:
    """Signs a user in as a program does; the token in the cookie."""
    code = site.sign({"user": {"id": user_id, **user}})
    return set_cookies(client.get("/", params={"externalAuthCode": code}))["doorcode"][""]


def fields_of(page: httpx2.Response) -> dict[str, str]:
    """The hidden fields of the form on a page."""
    return {unescape(name): unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page.text)}


def ask(client: httpx2.Client, code: str, headers: dict[str, str] = CROSS_SITE, **query: str) -> httpx2.Response:
    """Opens a link, and follows the redirect to the question as a browser does; the page."""
    redirect = client.get("/", params={"externalAuthCode": code, **query}, headers=headers)
    assert redirect.status_code == 303, redirect.text
    assert code not in redirect.headers["location"]
    assert redirect.headers["location"].startswith("/login/continue?id=")
    return client.get(redirect.headers["location"], headers=headers)


@pytest.mark.parametrize("headers", NO_NAVIGATION, ids=str)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/login"), ("POST", "/"), ("POST", "/login")])
def test_request_that_is_no_navigation_changes_nothing(
    sqlite_site: Site, method: str, path: str, headers: dict[str, str]
) -> None:
    fields = {"externalAuthCode": sqlite_site.code_for(user_id := new_user_id())}
    with sqlite_site.client() as client:
        before = sign_in(client, sqlite_site, new_user_id())
        query, form = (None, fields) if method == "POST" else (fields, None)
        response = client.request(method, path, headers=headers, params=query, data=form)
    assert response.status_code == 403
    assert "works only when it is opened as a page of its own" in response.text
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    assert is_live(sqlite_site, before)
    assert sqlite_site.find(user_id) is None


def test_request_that_is_no_navigation_uses_no_code_up(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id(), jti=new_user_id())
    with site.policy(single_use=True):
        for method in ("GET", "POST"):
            fields = {"externalAuthCode": code}
            query, form = (None, fields) if method == "POST" else (fields, None)
            assert client.request(method, "/", headers=NO_NAVIGATION[0], params=query, data=form).status_code == 403
        assert client.post("/", data={"externalAuthCode": code}).headers["location"] == "/"
    assert site.find(user_id) is not None


@pytest.mark.parametrize(
    "path", ["/login/code", "/login/continue", "/invitation", "/admin/login/code", "/admin/invitation", "/admin/setup"]
)
def test_other_forms_that_sign_in_are_navigations_too(sqlite_site: Site, path: str) -> None:
    by_script = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    with sqlite_site.client() as client:
        refused = client.post(path, data={"token": "x", "id": "x"}, headers=by_script)
        assert refused.status_code == 403
        assert "opened as a page of its own" in refused.text
        assert "opened as a page" not in client.post(path, data={"token": "x"}, headers=SAME_ORIGIN).text


@pytest.mark.parametrize("path", ["/", "/login"])
@pytest.mark.parametrize("headers", [CROSS_SITE, SAME_SITE, SAME_ORIGIN, NAVIGATION], ids=str)
def test_navigation_signs_in(sqlite_site: Site, path: str, headers: dict[str, str]) -> None:
    with sqlite_site.client() as client:
        query = {"externalAuthCode": sqlite_site.code_for(new_user_id())}
        response = client.get(path, params=query, headers=headers)
    assert (response.status_code, response.headers["location"]) == (303, "/")


@pytest.mark.parametrize("headers", [CROSS_SITE, SAME_SITE], ids=str)
def test_person_is_asked_before_another_user_is_replaced(
    site: Site, client: httpx2.Client, headers: dict[str, str]
) -> None:
    before = sign_in(client, site, ana := new_user_id(), email=f"{ana}@example.test")
    code = site.code_for(ben := new_user_id())

    page = ask(client, code, headers, returnTo="/a?b=1&c=2")

    assert page.status_code == 200
    assert f"<strong>{ana}@example.test</strong>" in page.text, "the email where there is one"
    assert f"<strong>{ben}</strong>" in page.text, "the ID where there is none"
    assert "set-cookie" not in page.headers
    assert is_live(site, before)
    assert site.find(ben) is None

    done = client.post("/login", data=fields_of(page), headers=SAME_ORIGIN)
    assert done.status_code == 303
    assert not is_live(site, before)
    assert ben in client.get("/login").text


def test_return_to_survives_the_question(app_site: Site) -> None:
    with app_site.client() as client:
        sign_in(client, app_site, new_user_id())
        page = ask(client, app_site.code_for(new_user_id()), returnTo="/a?b=1&c=2#d")
        done = client.post("/login", data=fields_of(page), headers=SAME_ORIGIN)
    assert done.headers["location"] == f"{APP}/a?b=1&c=2#d"


def test_question_uses_no_code_up(site: Site, client: httpx2.Client) -> None:
    with site.policy(single_use=True):
        client.post("/", data={"externalAuthCode": site.code_for(new_user_id(), jti=new_user_id())})
        used_before = site.call(lambda _: UsedCode.all().count())
        code = site.code_for(ben := new_user_id(), jti=new_user_id())
        page = ask(client, code)
        assert ben in page.text
        assert site.call(lambda _: UsedCode.all().count()) == used_before
        assert client.post("/login", data=fields_of(page), headers=SAME_ORIGIN).headers["location"] == "/"
    assert site.find(ben) is not None


def test_two_users_with_the_same_name_are_told_apart_by_their_ids(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        sign_in(client, sqlite_site, ana := new_user_id(), email=f"{ana}@example.test")
        page = ask(client, sqlite_site.code_for(f"{ana}@example.test"))
    assert f"<strong>{ana}</strong>" in page.text
    assert f"<strong>{ana}@example.test</strong>" in page.text


@pytest.mark.parametrize("claims", [{}, {"email": "new@example.test", "plan": "gold"}], ids=str)
def test_same_user_is_not_asked(site: Site, client: httpx2.Client, claims: dict[str, str]) -> None:
    token = sign_in(client, site, user_id := new_user_id())
    code = site.sign({"user": {"id": user_id, **claims}})
    response = client.get("/", params={"externalAuthCode": code}, headers=CROSS_SITE)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert is_live(site, token)


@pytest.mark.parametrize("site_header", ["same-origin", "none", None])
def test_person_who_opened_the_link_here_is_not_asked(sqlite_site: Site, site_header: str | None) -> None:
    headers = NAVIGATION | ({"Sec-Fetch-Site": site_header} if site_header else {})
    with sqlite_site.client() as client:
        before = sign_in(client, sqlite_site, new_user_id())
        query = {"externalAuthCode": sqlite_site.code_for(new_user_id())}
        assert client.get("/", params=query, headers=headers).headers["location"] == "/"
    assert not is_live(sqlite_site, before)


def test_refused_code_is_refused_without_a_question(site: Site, client: httpx2.Client) -> None:
    before = sign_in(client, site, new_user_id())
    query = {"externalAuthCode": site.code_for(new_user_id(), exp=1)}
    response = client.get("/", params=query, headers=CROSS_SITE)
    assert parameters(response.headers["location"])["error"] == "CODE_EXPIRED"
    assert is_live(site, before)


def test_names_are_shown_as_text(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        sign_in(client, sqlite_site, f"<b>{new_user_id()}")
        page = ask(client, sqlite_site.code_for(f'"><script>{new_user_id()}'))
    assert "<b>" not in page.text
    assert "<script" not in page.text


def finish(client: httpx2.Client, page: httpx2.Response) -> httpx2.Response:
    """Sends the form of the page that continues by itself, as its script does."""
    assert page.status_code == 200
    assert 'action="/login/continue"' in page.text
    return client.post("/login/continue", data=fields_of(page), headers=SAME_ORIGIN)


@pytest.mark.parametrize("path", ["/", "/login"])
def test_form_of_another_site_is_finished_by_a_form_of_this_one(site: Site, client: httpx2.Client, path: str) -> None:
    """Browsers send no Lax cookie with it, so who is signed in is known only then."""
    token = sign_in(client, site, user_id := new_user_id())
    code = site.code_for(user_id)
    with site.client() as without_cookie:
        page = without_cookie.post(path, data={"externalAuthCode": code}, headers=CROSS_SITE)
    assert "set-cookie" not in page.headers
    assert code not in page.text
    assert finish(client, page).headers["location"] == "/"
    assert is_live(site, token), "the session continues"
    assert set_cookies(finish(client, page)) == {}, "the ID works once"


def test_form_of_another_site_asks_before_it_replaces_another_user(site: Site, client: httpx2.Client) -> None:
    before = sign_in(client, site, ana := new_user_id())
    with site.client() as without_cookie:
        code = site.code_for(ben := new_user_id())
        page = without_cookie.post("/", data={"externalAuthCode": code, "returnTo": "/x"}, headers=CROSS_SITE)
    question = finish(client, page)
    assert question.status_code == 200
    assert ana in question.text
    assert ben in question.text
    assert is_live(site, before)
    assert site.find(ben) is None
    assert client.post("/login", data=fields_of(question), headers=SAME_ORIGIN).status_code == 303
    assert not is_live(site, before)


def test_refused_form_of_another_site_is_not_held(site: Site, client: httpx2.Client) -> None:
    held_before = site.call(lambda _: HeldCode.all().count())
    for code in ("", "junk", site.code_for(new_user_id(), exp=1)):
        response = client.post("/", data={"externalAuthCode": code}, headers=CROSS_SITE)
        assert response.headers["location"].startswith("/login/refused?")
    assert site.call(lambda _: HeldCode.all().count()) == held_before


def test_unknown_id_says_to_start_again(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        for query in ({}, {"id": ""}, {"id": "dch_" + "A" * 43}, {"id": ["a", "b"]}, {"id": "\0"}):
            page = client.get("/login/continue", params=query, headers=CROSS_SITE)
            assert page.status_code == 403
            assert "Please start again" in page.text


def test_looking_ahead_takes_no_id(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        sign_in(client, sqlite_site, new_user_id())
        code = sqlite_site.code_for(ben := new_user_id())
        there = client.get("/", params={"externalAuthCode": code}, headers=CROSS_SITE).headers["location"]
        assert client.head(there, headers=CROSS_SITE).status_code == 200
        assert client.get(there, headers={**CROSS_SITE, "Sec-Purpose": "prefetch"}).status_code == 503
        assert client.get(there, headers=NO_NAVIGATION[0]).status_code == 403
        assert ben in client.get(there, headers=CROSS_SITE).text
