"""Link login (contract §5): a link or a form with a code signs its bearer in, and leaves a clean address."""

import time
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from service.external_auth.exchange import exchange
from service.external_auth.models import UsedCode
from service.sessions.lifecycle import Client, find_session
from service.sessions.models import Session, TokenTransport
from service.sign_in.attempt import SignInAttempt
from service.web.prefetch import is_speculative
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.conftest import APP

SESSION_LIFETIME = 604_800


def follow(client: httpx2.Client, code: str, **parameters: str) -> httpx2.Response:
    """Opens a link with a code."""
    return client.get("/", params={"externalAuthCode": code, **parameters})


def is_live(site: Site, token: str) -> bool:
    """Whether a session's token is live."""
    return site.call(lambda _: find_session(token)) is not None


def sessions_of(site: Site, user_id: str) -> list[Session]:
    """The rows of a user's sessions."""
    user = site.find(user_id)
    assert user
    return site.call(lambda _: Session.filter(user_serial=user.serial))


@pytest.mark.parametrize("path", ["/", "/login"])
def test_link_signs_newcomer_in_and_leaves_a_clean_address(site: Site, client: httpx2.Client, path: str) -> None:
    user_id = new_user_id()
    response = client.get(path, params={"externalAuthCode": site.code_for(user_id)})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert site.find(user_id) is not None
    page = client.get(response.headers["location"])
    assert page.status_code == 200
    assert user_id in page.text


@pytest.mark.parametrize("path", ["/", "/login"])
@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_form_signs_in_as_a_link_does(site: Site, client: httpx2.Client, path: str, encoding: str) -> None:
    fields: dict[str, Any] = {"externalAuthCode": site.code_for(user_id := new_user_id()), "returnTo": "/x"}
    as_parts = {name: (None, value) for name, value in fields.items()}
    response = client.post(path, files=as_parts) if encoding == "multipart" else client.post(path, data=fields)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert user_id in client.get("/").text


def test_cookie_is_the_sessions_token_for_as_long_as_the_session_lives(site: Site, client: httpx2.Client) -> None:
    cookie = set_cookies(follow(client, site.code_for(new_user_id())))["doorcode"]
    assert cookie.keys() == {"", "path", "max-age", "httponly", "samesite"}
    assert (cookie["path"], cookie["samesite"]) == ("/", "lax")
    assert SESSION_LIFETIME - 10 <= int(cookie["max-age"]) <= SESSION_LIFETIME
    assert is_live(site, cookie[""])


def test_cookie_ends_with_a_session_that_ends_with_its_code(site: Site, client: httpx2.Client) -> None:
    with site.policy(session_ends_with_code=True):
        cookie = set_cookies(follow(client, site.code_for(new_user_id(), exp=int(time.time()) + 300)))["doorcode"]
    assert 290 <= int(cookie["max-age"]) <= 300


def test_redirect_is_kept_by_no_cache_and_tells_nobody_where_it_came_from(site: Site, client: httpx2.Client) -> None:
    response = follow(client, site.code_for(new_user_id()))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.content == b""


def test_second_link_of_the_same_user_continues_the_session(site: Site, client: httpx2.Client) -> None:
    first = set_cookies(follow(client, site.code_for(user_id := new_user_id())))["doorcode"][""]
    second = set_cookies(follow(client, site.code_for(user_id)))["doorcode"][""]
    assert second == first
    assert len(sessions_of(site, user_id)) == 1


def test_session_is_continued_across_sites(site: Site, client: httpx2.Client) -> None:
    """The link is on another site. Browsers send a Lax cookie with a navigation from there."""
    first = set_cookies(follow(client, site.code_for(user_id := new_user_id())))["doorcode"][""]
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Referer": "https://crm.example.net/"}
    response = client.get("/", params={"externalAuthCode": site.code_for(user_id)}, headers=elsewhere)
    assert set_cookies(response)["doorcode"][""] == first


def test_bearer_session_in_the_cookie_is_not_continued(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id())
    bearer = site.call(
        lambda instance: exchange(code, SignInAttempt(Client(), TokenTransport.BEARER), instance.external_auth)
    ).token
    client.cookies.set("doorcode", bearer)
    assert set_cookies(follow(client, code))["doorcode"][""] != bearer
    assert {session.carrier for session in sessions_of(site, user_id)} == {
        TokenTransport.BEARER,
        TokenTransport.COOKIE,
    }
    assert is_live(site, bearer)


def test_sign_in_of_another_user_ends_the_session_it_replaces(site: Site, client: httpx2.Client) -> None:
    first = set_cookies(follow(client, site.code_for(new_user_id())))["doorcode"][""]
    follow(client, site.code_for(second_user := new_user_id()))
    assert not is_live(site, first)
    assert second_user in client.get("/").text


def test_refused_link_leaves_the_session_and_its_cookie(site: Site, client: httpx2.Client) -> None:
    first = set_cookies(follow(client, site.code_for(user_id := new_user_id())))["doorcode"][""]
    response = follow(client, site.code_for(new_user_id(), exp=1))
    assert "set-cookie" not in response.headers
    assert is_live(site, first)
    assert user_id in client.get("/").text


SPECULATIONS = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch;anonymous-client-ip"},
    {"Purpose": "prefetch"},
    {"Purpose": "Prerender"},
    {"X-Moz": "prefetch"},
    {"X-Purpose": "preview"},
]


@pytest.mark.parametrize("headers", SPECULATIONS, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_fetching_ahead_signs_nobody_in(sqlite_site: Site, method: str, headers: dict[str, str]) -> None:
    fields = {"externalAuthCode": sqlite_site.code_for(user_id := new_user_id())}
    with sqlite_site.client() as client:
        query, form = (None, fields) if method == "POST" else (fields, None)
        response = client.request(method, "/", headers=headers, params=query, data=form)
    assert response.status_code == 503
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "Sec-Purpose, Purpose"
    assert "set-cookie" not in response.headers
    assert sqlite_site.find(user_id) is None


def test_nothing_is_posted_ahead_whatever_it_is_for(sqlite_site: Site) -> None:
    code = sqlite_site.code_for(user_id := new_user_id())
    exchange = "mutation($code: String!){exchangeExternalAuthCode(externalAuthCode: $code){__typename}}"
    body = {"query": exchange, "variables": {"code": code}}
    ahead = {"Sec-Purpose": "prefetch", "Sec-Fetch-Site": "same-origin"}
    with sqlite_site.client() as client:
        for path in ("/login", "/login/code", "/invitation", "/admin/login", "/admin/setup", "/admin/invitation"):
            assert client.post(path, data={"token": "x"}, headers=ahead).status_code == 503, path
        assert client.post("/graphql", json=body, headers=ahead).status_code == 503
        assert sqlite_site.find(user_id) is None
        assert client.post("/graphql", json=body, headers={"Purpose": "navigate"}).status_code == 200
    assert sqlite_site.find(user_id) is not None


def test_other_purposes_are_no_speculation() -> None:
    scope = {"type": "http", "headers": [(b"purpose", b"navigate"), (b"x-purpose", b"")]}
    assert not is_speculative(Request(scope))


@pytest.mark.parametrize("path", ["/", "/login"])
def test_head_signs_nobody_in(site: Site, client: httpx2.Client, path: str) -> None:
    response = client.head(path, params={"externalAuthCode": site.code_for(user_id := new_user_id())})
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert site.find(user_id) is None


def test_head_leaves_a_single_use_code_unused(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id(), jti=new_user_id())
    with site.policy(single_use=True):
        client.head("/", params={"externalAuthCode": code})
        assert client.post("/", data={"externalAuthCode": code}).headers["location"] == "/"
    assert site.find(user_id) is not None


def test_single_use_link_shows_a_button_first_and_uses_nothing_up(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id(), jti=new_user_id())
    with site.policy(single_use=True):
        used_before = site.call(lambda _: UsedCode.all().count())
        page = follow(client, code, returnTo="/a?b=1&c=2")
        assert page.status_code == 200
        assert 'method="post" action="/login"' in page.text
        assert f'name="externalAuthCode" value="{code}"' in page.text
        assert 'name="returnTo" value="/a?b=1&amp;c=2"' in page.text
        assert site.find(user_id) is None
        assert site.call(lambda _: UsedCode.all().count()) == used_before


def test_single_use_link_works_once(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id(), jti=new_user_id())
    with site.policy(single_use=True):
        first = client.post("/", data={"externalAuthCode": code})
        second = client.post("/", data={"externalAuthCode": code})
    assert first.headers["location"] == "/"
    assert parameters(second.headers["location"])["error"] == "CODE_ALREADY_USED"
    assert len(sessions_of(site, user_id)) == 1


def test_code_that_is_no_code_is_shown_as_text(site: Site, client: httpx2.Client) -> None:
    with site.policy(single_use=True):
        page = follow(client, '"><script>alert(1)</script>', returnTo='"><b>')
    assert "<script" not in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_code_that_is_given_twice_is_refused(site: Site, client: httpx2.Client, method: str) -> None:
    codes = {"externalAuthCode": [site.code_for(first := new_user_id()), site.code_for(second := new_user_id())]}
    query, form = (None, codes) if method == "POST" else (codes, None)
    response = client.request(method, "/", params=query, data=form)
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"
    assert site.find(first) is None
    assert site.find(second) is None


def test_code_in_the_query_of_a_form_is_not_looked_for(site: Site, client: httpx2.Client) -> None:
    code = site.code_for(user_id := new_user_id())
    response = client.post("/", params={"externalAuthCode": code}, data={"returnTo": "/"})
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"
    assert site.find(user_id) is None


def test_empty_code_is_refused_and_not_taken_as_none(site: Site, client: httpx2.Client) -> None:
    assert parameters(follow(client, "").headers["location"])["error"] == "MALFORMED_CODE"


@pytest.mark.parametrize(
    ("return_to", "location"),
    [
        (None, f"{APP}/start"),
        ("/rooms/7?tab=2#top", f"{APP}/rooms/7?tab=2#top"),
        ("/", f"{APP}/"),
        ("", f"{APP}/"),
        ("//evil.example.net", f"{APP}/"),
        ("https://evil.example.net/", f"{APP}/"),
        ("/straße/日本", f"{APP}/stra%C3%9Fe/%E6%97%A5%E6%9C%AC"),
        ('/a b"<c>', f"{APP}/a%20b%22%3Cc%3E"),
    ],
)
def test_sign_in_leads_to_the_application(app_site: Site, return_to: str | None, location: str) -> None:
    extra = {} if return_to is None else {"returnTo": return_to}
    with app_site.client() as client:
        response = follow(client, app_site.code_for(new_user_id()), **extra)
    assert (response.status_code, response.headers["location"]) == (303, location)


def test_return_to_that_is_given_twice_is_taken_as_the_root(app_site: Site) -> None:
    with app_site.client() as client:
        query = {"externalAuthCode": app_site.code_for(new_user_id()), "returnTo": ["/a", "/b"]}
        assert client.get("/", params=query).headers["location"] == f"{APP}/"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("fe80::1%" + "a" * 100, "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("unknown", None),
        ("x" * 1_000, None),
    ],
)
def test_session_s_address_is_one_whatever_a_proxy_says(app_site: Site, forwarded: str, address: str | None) -> None:
    with app_site.client() as client:
        code = app_site.code_for(user_id := new_user_id())
        response = client.get("/", params={"externalAuthCode": code}, headers={"X-Forwarded-For": forwarded})
    assert response.status_code == 303
    [session] = sessions_of(app_site, user_id)
    assert session.ip_address == address


def test_session_says_where_it_was_opened_from(app_site: Site, sqlite_site: Site) -> None:
    """Only a proxy that the operator names is believed."""
    forwarded = {"X-Forwarded-For": "203.0.113.9", "User-Agent": "a browser"}
    for site, address in ((app_site, "203.0.113.9"), (sqlite_site, "127.0.0.1")):
        with site.client() as client:
            client.get("/", params={"externalAuthCode": site.code_for(user_id := new_user_id())}, headers=forwarded)
        [session] = sessions_of(site, user_id)
        assert (session.ip_address, session.user_agent) == (address, "a browser")
