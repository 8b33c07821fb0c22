"""Which origins may call `/graphql`, as their browsers are told."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.audit.pending import PendingEvents
from service.settings import load_settings
from service.web import cors
from service.web.cors import MAX_REMEMBERED, CrossOrigin
from tests.programs import Programs
from tests.site import Site, served

PUBLIC = "https://auth.example.com"
APP = "https://app.example.com"
PARTNER = "https://partner.example.net:8443"
EVIL = "https://evil.example.com"
ENVIRON = {
    "DOORCODE_PUBLIC_URL": PUBLIC,
    "DOORCODE_COOKIE_DOMAIN": "example.com",
    "DOORCODE_ALLOWED_ORIGINS": f"{APP}, {PARTNER}, HTTPS://Bücher.example:443",
}
ASK = {"query": "{signInMethods}"}


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, **ENVIRON) as site:
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[httpx2.Client]:
    with site.client() as client:
        yield client


def cors_headers(response: httpx2.Response) -> dict[str, str]:
    """What a browser reads, and what a cache does."""
    return {
        name: value for name, value in response.headers.items() if name.startswith("access-control") or name == "vary"
    }


def preflight(client: httpx2.Client, origin: str, **headers: str) -> httpx2.Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return client.options("/graphql", headers={"Origin": origin, **asked, **headers})


# ---------------------------------------------------------------- allowed


def test_allowed_origin_may_read_the_answer(client: httpx2.Client) -> None:
    response = client.post("/graphql", json=ASK, headers={"Origin": PARTNER})

    assert "EXTERNAL_JWT" in response.json()["data"]["signInMethods"]
    assert cors_headers(response) == {
        "access-control-allow-origin": PARTNER,
        "access-control-expose-headers": "Retry-After, X-Request-Id",
        "vary": "Origin",
    }


def test_allowed_origin_under_the_cookie_domain_may_send_the_cookie(client: httpx2.Client) -> None:
    for response in (client.post("/graphql", json=ASK, headers={"Origin": APP}), preflight(client, APP)):
        assert response.headers["access-control-allow-origin"] == APP
        assert response.headers["access-control-allow-credentials"] == "true"


def test_preflight_is_answered_and_kept(client: httpx2.Client) -> None:
    response = preflight(client, PARTNER)

    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "access-control-allow-origin": PARTNER,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-expose-headers": "Retry-After, X-Request-Id",
        "access-control-max-age": "7200",
        "vary": "Origin, Access-Control-Request-Headers",
    }


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("content-type,traceparent,apollo-require-preflight", "content-type,traceparent,apollo-require-preflight"),
        ("", "authorization, content-type"),
        ("x" * 2000, "authorization, content-type"),
        ("a(b)", "authorization, content-type"),
    ],
)
def test_page_may_send_whatever_headers_it_asks_for(client: httpx2.Client, asked: str, allowed: str) -> None:
    response = preflight(client, PARTNER, **{"Access-Control-Request-Headers": asked})

    assert response.headers["access-control-allow-headers"] == allowed


def test_origin_is_compared_as_browsers_write_it(client: httpx2.Client) -> None:
    assert "access-control-allow-origin" in preflight(client, "https://xn--bcher-kva.example").headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "POST", "json": {"query": "{"}}, 200),
        ({"method": "POST", "json": {}}, 400),
        ({"method": "PUT", "json": ASK}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"method": "POST", "json": ASK, "headers": {"Accept": "text/plain"}}, 406),
        ({"method": "POST", "json": {"query": "{signInMethods}" + " " * 70_000}}, 413),
        ({"method": "POST", "content": "query={x}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"method": "GET", "params": {"query": "mutation{endSession}"}}, 405),
    ],
)
def test_errors_can_be_read_too(client: httpx2.Client, request_: dict[str, Any], status: int) -> None:
    headers = {"Origin": PARTNER, **request_.pop("headers", {})}

    response = client.request(url="/graphql", headers=headers, **request_)

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == PARTNER
    assert response.headers["vary"] == "Origin"


def test_graphql_with_a_slash_behind_it_is_answered_without_a_redirect(client: httpx2.Client) -> None:
    """A browser does not follow a redirect of a preflight."""
    assert preflight(client, PARTNER).status_code == 204
    response = client.post("/graphql/", json=ASK, headers={"Origin": PARTNER})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, PARTNER)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        "",
        "*",
        "https://app.example.com.evil.net",
        "https://app.example.com:444",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        f"{APP}, {APP}",
        "https://evilexample.com",
    ],
)
def test_any_other_origin_is_told_nothing(client: httpx2.Client, origin: str) -> None:
    asked, answered = preflight(client, origin), client.post("/graphql", json=ASK, headers={"Origin": origin})

    assert (asked.status_code, cors_headers(asked)) == (403, {"vary": "Origin"})
    assert "DOORCODE_ALLOWED_ORIGINS" in asked.text
    assert (answered.status_code, cors_headers(answered)) == (200, {"vary": "Origin"})


def test_refused_origin_with_a_token_is_answered_all_the_same(client: httpx2.Client, site: Site) -> None:
    """Programs send any headers; what holds a browser back is that the page may not read it."""
    document = (
        "mutation($code: String!) {exchangeExternalAuthCode(externalAuthCode: $code){... on SessionGrant{token}}}"
    )
    asked = client.post(
        "/graphql", json={"query": document, "variables": {"code": site.code_for("ana")}}, headers={"Origin": EVIL}
    )
    token = asked.json()["data"]["exchangeExternalAuthCode"]["token"]

    viewer = client.post(
        "/graphql", json={"query": "{viewer{id}}"}, headers={"Origin": EVIL, "Authorization": f"Bearer {token}"}
    )

    assert viewer.json() == {"data": {"viewer": {"id": "ana"}}}


@pytest.mark.parametrize("headers", [{}, {"Origin": PUBLIC}, {"Sec-Fetch-Site": "same-origin", "Origin": EVIL}])
def test_what_no_page_elsewhere_sends_is_left_alone(client: httpx2.Client, headers: dict[str, str]) -> None:
    """A browser says same-origin, whatever name this service was reached by."""
    response = client.post("/graphql", json=ASK, headers=headers)

    assert (response.status_code, cors_headers(response)) == (200, {})


# ---------------------------------------------------------------- told to the operator


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("fine", headers={"Vary": "Accept"})(scope, receive, send)


@pytest.fixture
def guarded() -> CrossOrigin:
    return CrossOrigin(app, load_settings(ENVIRON))


def client_of(guarded: CrossOrigin) -> httpx2.AsyncClient:
    """A client of an application that has only this endpoint, and the counts that it adds to."""
    application = Starlette()
    application.state.instance = SimpleNamespace(pending_events=PendingEvents())

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await guarded({**scope, "app": application}, receive, send)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(serve), base_url=PUBLIC)


async def ask(guarded: CrossOrigin, *origins: str) -> list[dict[str, Any]]:
    """What is logged while pages of these origins ask."""
    with capture_logs() as logged:
        async with client_of(guarded) as client:
            for origin in origins:
                response = await client.get("/", headers={b"Origin": origin.encode("latin-1")})
                assert response.text == "fine"
    return [dict(entry) for entry in logged]


async def test_vary_is_added_to_what_is_there(guarded: CrossOrigin) -> None:
    async with client_of(guarded) as client:
        response = await client.get("/", headers={"Origin": APP})
    assert response.headers["vary"] == "Accept, Origin"


async def test_refused_origin_is_logged_once_with_the_name_of_the_setting(guarded: CrossOrigin) -> None:
    logged = await ask(guarded, EVIL, APP, EVIL, EVIL, "https://other.example")

    assert [(entry["log_level"], entry["origin"]) for entry in logged] == [
        ("warning", EVIL),
        ("warning", "https://other.example"),
    ]
    assert all("DOORCODE_ALLOWED_ORIGINS" in entry["hint"] for entry in logged)


async def test_refused_origin_is_logged_again_after_a_while(
    guarded: CrossOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1_000_000.0
    monkeypatch.setattr("service.web.cors.time.monotonic", lambda: moment)
    assert len(await ask(guarded, EVIL, EVIL)) == 1
    moment += cors.NOTED_EVERY - 1
    assert len(await ask(guarded, EVIL)) == 0
    moment += 1
    assert len(await ask(guarded, EVIL)) == 1


async def test_every_refused_request_is_counted(guarded: CrossOrigin) -> None:
    before = REGISTRY.get_sample_value("doorcode_refused_origins_total") or 0
    await ask(guarded, EVIL, EVIL, APP)
    assert REGISTRY.get_sample_value("doorcode_refused_origins_total") == before + 2


async def test_strangers_fill_neither_memory_nor_log(guarded: CrossOrigin) -> None:
    logged = await ask(guarded, *(f"https://{number}.example" for number in range(3 * MAX_REMEMBERED)))

    assert len(logged) == MAX_REMEMBERED
    assert len(guarded._refused._noted) == MAX_REMEMBERED


async def test_what_is_logged_is_short_and_printable(guarded: CrossOrigin) -> None:
    logged = await ask(guarded, "https://\x1b[31mred\x9b\u00ad.example" + "x" * 5000)

    assert logged[0]["origin"].startswith("https://?[31mred??.example")
    assert len(logged[0]["origin"]) == 100


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        ("null", "null"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("https://shop.example/?externalAuthCode=eyJ", "https://shop.example"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "(not an origin)"),
        ("null dcs_secret", "(not an origin)"),
    ],
)
async def test_what_is_no_origin_is_not_logged(guarded: CrossOrigin, origin: str, shown: str) -> None:
    """It could be a code or a token."""
    assert [entry["origin"] for entry in await ask(guarded, origin)] == [shown]
