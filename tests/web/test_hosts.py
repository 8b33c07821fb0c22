"""The `Host` header: for whom requests are answered, with real middleware over ASGI."""

import httpx2
import pytest

from service.app import create_app
from service.ip_addresses import parse_address
from service.settings import load_settings
from tests.clients import Api

PUBLIC = "https://id.example.test"


async def status(public_url: str, host: str, path: str = "/", server: str = "10.0.0.1") -> int:
    """The status of a request for this host; 500 stands for a request that went on, as no instance is open."""
    app = create_app(load_settings({"DOORCODE_PUBLIC_URL": public_url}))
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{server}") as client:
        return (await client.get(path, headers={"Host": host})).status_code


@pytest.mark.parametrize(
    "host", ["id.example.test", "ID.Example.Test", "id.example.test:443", "id.example.test.", "id.example.test:8443"]
)
async def test_public_name_is_answered(host: str) -> None:
    assert await status(PUBLIC, host) != 421


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "x.id.example.test",
        "id.example.test.evil.example",
        "10.0.0.1",
        "localhost",
        "127.0.0.1",
        "",
        "[",
        "a b",
    ],
)
@pytest.mark.parametrize("path", ["/", "/graphql", "/admin", "/login", "/widget.js"])
async def test_other_name_is_421(host: str, path: str) -> None:
    assert await status(PUBLIC, host, path) == 421


@pytest.mark.parametrize("path", ["/healthz", "/verify", "/verify/x"])
async def test_probe_and_forward_auth_are_asked_by_any_name(path: str) -> None:
    assert await status(PUBLIC, "10.1.2.3:8000", path) != 421


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", ""])
async def test_page_that_was_rebound_reads_no_metrics_that_need_no_token(host: str) -> None:
    assert await status("http://127.0.0.1:8000", host, "/metrics") == 421


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "192.0.2.7:8000", "[2001:db8::7]:8000", "[::1]"])
async def test_metrics_are_scraped_by_address(host: str) -> None:
    assert await status("http://127.0.0.1:8000", host, "/metrics") != 421


async def test_metrics_with_a_token_are_asked_by_any_name() -> None:
    assert await status(PUBLIC, "doorcode.monitoring.svc:8000", "/metrics") != 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "[::1]:8000", "doorcode.localhost"])
async def test_loopback_names_are_equal_on_loopback(host: str) -> None:
    assert await status("http://127.0.0.1:8000", host) != 421
    for server in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        assert await status(PUBLIC, host, server=server) != 421


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example"])
async def test_page_that_was_rebound_to_loopback_reads_nothing(api: Api, host: str) -> None:
    answer = await api.http.post("/graphql", json={"query": "{ signInMethods }"}, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_ipv4_mapped_address_is_ipv4() -> None:
    assert parse_address("::ffff:127.0.0.1") == parse_address("::FFFF:7f00:1") == "127.0.0.1"
