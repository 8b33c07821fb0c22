"""nginx and Caddy with the guide's configurations: who is let through, and what the application is told."""

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from service.accounts.models import User
from service.sessions.administration import end_user_sessions
from service.sessions.models import Session
from tests.actions import TESTER
from tests.processes import free_port
from tests.programs import Programs
from tests.proxies.proxy import Application, Proxy, caddy, nginx
from tests.site import Site, new_user_id, set_cookies

ENVIRON = {
    "DOORCODE_PUBLIC_URL": "https://auth.example.com",
    "DOORCODE_APP_URL": "https://app.example.com/",
    "DOORCODE_COOKIE_DOMAIN": "example.com",
    "DOORCODE_TRUSTED_PROXIES": "127.0.0.1",
}
NAMES = ["X-Auth-User-Id", "X-Auth-Email", "X-Auth-Origin", "X-Auth-Session-Id", "X-Auth-Groups", "X-Auth-Meta-plan"]


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    site = Site.open(directory, f"sqlite://{directory}/site.sqlite3", background, ENVIRON)
    yield site
    site.server.close()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Proxy]:
    with Application() as application:
        where: dict[str, Any] = {
            "port": free_port(),
            "doorcode": site.server.port,
            "application": application.port,
            "directory": tmp_path_factory.mktemp("proxy"),
        }
        program = programs.path(request.param)
        configurations = ("tls.nginx.conf", "forward-auth.nginx.conf")
        with caddy(program, **where) if request.param == "caddy" else nginx(program, *configurations, **where) as proxy:
            yield proxy


def follow_link(proxy: Proxy, site: Site, user_id: str, **user: object) -> dict[str, str]:
    """The cookie of a user who has followed a sign-in link."""
    code = site.sign({"user": {"id": user_id, **user}})
    with proxy.client("auth.example.com") as browser:
        response = browser.get("/", params={"externalAuthCode": code, "returnTo": "/orders?page=2"})
    assert response.status_code == 303
    assert response.headers["location"] == "https://app.example.com/orders?page=2"
    cookie = set_cookies(response)["doorcode"]
    assert (cookie["domain"], "secure" in cookie) == ("example.com", True)
    return {"Cookie": f"doorcode={cookie['']}"}


def told(response: httpx2.Response) -> dict[str, list[str]]:
    """What the application was told under these names, read as an application does that knows no underscore."""
    assert response.status_code == 200
    told: dict[str, list[str]] = {name: [] for name in NAMES}
    canonical = {name.lower(): name for name in NAMES}
    for name, value in response.json()["headers"]:
        if name := canonical.get(name.lower().replace("_", "-"), ""):
            told[name].append(value)
    return told


def test_whoever_is_not_signed_in_is_sent_to_sign_in(proxy: Proxy) -> None:
    with proxy.client("app.example.com") as browser:
        for headers in ({}, {"Cookie": "doorcode=dcs_nobodys"}, {"Authorization": "Bearer dcs_nobodys"}):
            response = browser.get("/orders?page=2", headers=headers)
            sign_in = "https://auth.example.com/login?returnTo=%2Forders%3Fpage%3D2"
            assert (response.status_code, response.headers["location"]) == (302, sign_in)


WITH_QUERIES = [
    "/orders?page=2&sort=asc&q=a%26b#no",
    "/a%20b/%C3%AB?x=%20+&y=%",
    "/a?x=1&externalAuthCode=attackers",
    "/a?returnTo=/b&x=1;y=2",
    "/?" + "&".join(f"p{number}=x" for number in range(200)),
]


@pytest.mark.parametrize("address", WITH_QUERIES)
def test_sign_in_page_is_given_the_whole_path_and_query(proxy: Proxy, address: str) -> None:
    """What was in the application's address is one parameter of the sign-in page, and no parameter beside it."""
    asked_for = address.partition("#")[0]
    with proxy.client("app.example.com") as browser:
        location = httpx2.URL(browser.get(asked_for).headers["location"])
    assert dict(location.params) == {"returnTo": asked_for}


def test_code_in_an_address_of_the_application_signs_no_one_in(proxy: Proxy, site: Site) -> None:
    code = site.code_for(user_id := new_user_id())
    with proxy.client("app.example.com") as browser:
        there = browser.get(f"/orders?x=1&externalAuthCode={code}").headers["location"]
    with proxy.client("auth.example.com") as browser:
        cleaned = browser.get(there.removeprefix("https://auth.example.com"))
        assert (cleaned.status_code, cleaned.headers["location"]) == (303, "/login?returnTo=%2Forders%3Fx%3D1")
        assert "doorcode" not in browser.cookies
    assert site.find(user_id) is None


def test_sign_in_is_where_they_are_sent(proxy: Proxy) -> None:
    with proxy.client("auth.example.com") as browser:
        assert browser.get("/login", params={"returnTo": "/orders?page=2"}).status_code == 200


def test_application_is_told_who_is_signed_in(proxy: Proxy, site: Site) -> None:
    user_id = new_user_id() + " ë"
    groups = ["b,c", "staff"]
    with site.policy(groups_member="groups", shared_metadata=["plan"]), proxy.client("app.example.com") as browser:
        cookie = follow_link(
            proxy, site, user_id, email=f"{new_user_id()}+a@example.com", groups=groups, plan="gold é", secret="s"
        )
        response = browser.post("/orders?page=2", content="the body", headers=cookie)

    assert response.json()["path"] == "/orders?page=2"
    assert response.json()["body"] == "the body"
    user = site.find(user_id)
    assert user
    values = {name: [unquote(value) for value in values] for name, values in told(response).items()}
    [session] = site.call(lambda _: _sessions_of(user_id))
    assert values == {
        "X-Auth-User-Id": [user_id],
        "X-Auth-Email": [user.email],
        "X-Auth-Origin": ["EXTERNAL_JWT"],
        "X-Auth-Session-Id": [session.id],
        "X-Auth-Groups": ["b,c,staff"],
        "X-Auth-Meta-plan": ["gold é"],
    }
    assert told(response)["X-Auth-Groups"] == ["b%2Cc,staff"]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
def test_application_gets_its_own_cookies_and_not_that_of_doorcode(proxy: Proxy, site: Site, place: int) -> None:
    cookie = follow_link(proxy, site, new_user_id())["Cookie"]
    sent = ["a=1", "notdoorcode=2"]
    sent.insert(place, cookie)
    with proxy.client("app.example.com") as browser:
        response = browser.get("/", headers={"Cookie": "; ".join(sent)})
    cookies = [value for name, value in response.json()["headers"] if name.lower() == "cookie"]
    assert [text.strip() for text in "".join(cookies).split(";") if text.strip()] == ["a=1", "notdoorcode=2"]


def test_bearer_is_as_good(proxy: Proxy, site: Site) -> None:
    user_id = new_user_id()
    with proxy.client("auth.example.com") as frontend:
        document = (
            "mutation($code: String!) {exchangeExternalAuthCode(externalAuthCode: $code){... on SessionGrant{token}}}"
        )
        asked = frontend.post("/graphql", json={"query": document, "variables": {"code": site.code_for(user_id)}})
    token = asked.json()["data"]["exchangeExternalAuthCode"]["token"]

    with proxy.client("app.example.com") as browser:
        response = browser.get("/", headers={"Authorization": f"Bearer {token}"})

    assert told(response)["X-Auth-User-Id"] == [user_id]


def spellings(name: str) -> list[str]:
    """A name with every mixture of dashes and underscores, in lower and upper case."""
    first, *rest = name.split("-")
    mixed = [
        first + "".join(separator + part for separator, part in zip(separators, rest, strict=True))
        for separators in itertools.product("-_", repeat=len(rest))
    ]
    return [spelling for text in mixed for spelling in (text.lower(), text.upper())]


def test_forged_headers_do_not_get_through(proxy: Proxy, site: Site) -> None:
    user_id = new_user_id()
    cookie = follow_link(
        proxy, site, user_id
    )  # without an email, so that there is none to put in the forged one's place
    forged = [(spelling, "forged") for name in NAMES for spelling in spellings(name)]

    with proxy.client("app.example.com") as browser:
        response = browser.get("/", headers=[*cookie.items(), *forged])

    assert "forged" not in response.text
    assert told(response)["X-Auth-User-Id"] == [user_id]
    assert [value for value in told(response)["X-Auth-Email"] if value] == []


def test_forged_headers_let_nobody_in(proxy: Proxy) -> None:
    with proxy.client("app.example.com") as browser:
        assert browser.get("/", headers=dict.fromkeys(NAMES, "forged")).status_code == 302


def test_ended_session_is_sent_to_sign_in(proxy: Proxy, site: Site) -> None:
    user_id = new_user_id()
    cookie = follow_link(proxy, site, user_id)
    with proxy.client("app.example.com") as browser:
        assert browser.get("/", headers=cookie).status_code == 200
        site.call(lambda _: end_user_sessions(user_id, TESTER))
        assert browser.get("/", headers=cookie).status_code == 302


def test_what_the_proxy_asks_is_not_to_be_had_from_outside(proxy: Proxy, site: Site) -> None:
    """`/_doorcode` is nginx's own; `/verify` is a page of the application like any other."""
    cookie = follow_link(proxy, site, new_user_id())
    with proxy.client("app.example.com") as browser:
        for path in ("/_doorcode", "/verify"):
            response = browser.get(path, headers=cookie)
            assert response.status_code == 404 or response.json()["path"] == path


def test_proxy_says_who_asks_and_nobody_else_does(proxy: Proxy, site: Site) -> None:
    user_id = new_user_id()
    with proxy.client("auth.example.com") as browser:
        browser.get(
            "/", params={"externalAuthCode": site.code_for(user_id)}, headers={"X-Forwarded-For": "203.0.113.66"}
        )

    sessions = site.call(lambda _: _sessions_of(user_id))
    assert [session.ip_address for session in sessions] == ["127.0.0.1"]


def test_no_code_stands_in_a_log_of_the_proxy(proxy: Proxy, site: Site) -> None:
    code = site.code_for(new_user_id())
    with proxy.client("auth.example.com") as browser:
        assert browser.get("/", params={"externalAuthCode": code}).status_code == 303

    logs = [path.read_text() for path in proxy.directory.iterdir() if path.suffix == ".log" or path.name == "said"]
    assert logs
    assert not [log for log in logs if code in log or code.split(".")[2] in log]


async def _sessions_of(user_id: str) -> list[Session]:
    user = await User.get(id=user_id)
    return await Session.filter(user_serial=user.serial)
