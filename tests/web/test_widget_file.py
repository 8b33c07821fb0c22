"""`/widget.js` as it is served."""

import gzip
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from service.web.widget import serve_widget, serve_widget_types
from tests.processes import ROOT

SOURCE = ROOT / "service" / "web" / "widget.js"
MOST = 4096  # bytes, compressed


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=[Route("/widget.js", serve_widget)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
        yield client


async def test_it_is_small(client: httpx2.AsyncClient) -> None:
    response = await client.get("/widget.js", headers={"Accept-Encoding": "gzip, deflate, br"})

    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < MOST
    assert response.content == (await client.get("/widget.js", headers={"Accept-Encoding": ""})).content


async def test_it_is_the_source_without_its_comments(client: httpx2.AsyncClient) -> None:
    served = (await client.get("/widget.js")).text
    lines = [line.strip() for line in SOURCE.read_text().splitlines()]
    code = [line for line in lines if line and not line.startswith(("*", "/*", "//"))]

    assert [line.split(" // ")[0] for line in code] == served.splitlines()
    assert "/**" not in served


async def test_any_page_may_load_it_and_keep_it_for_a_while(client: httpx2.AsyncClient) -> None:
    headers = (await client.get("/widget.js")).headers

    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["cache-control"] == "public, max-age=600"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["vary"] == "Accept-Encoding"
    assert "set-cookie" not in headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_unchanged_script_is_not_sent_again(client: httpx2.AsyncClient, encoding: str) -> None:
    first = await client.get("/widget.js", headers={"Accept-Encoding": encoding})
    etag = first.headers["etag"]

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get("/widget.js", headers={"Accept-Encoding": encoding, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        kept = ("etag", "cache-control", "vary", "access-control-allow-origin", "cross-origin-resource-policy")
        assert [again.headers[name] for name in kept] == [first.headers[name] for name in kept]
    changed = await client.get("/widget.js", headers={"Accept-Encoding": encoding, "If-None-Match": '"other"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0", False),
        ("br", False),
        ("*", False),
        ("", False),
        (";q=,,", False),
    ],
)
async def test_it_is_compressed_for_whoever_takes_that(
    client: httpx2.AsyncClient, accepted: str, compressed: bool
) -> None:
    async with client.stream("GET", "/widget.js", headers={"Accept-Encoding": accepted}) as response:
        body = b"".join([chunk async for chunk in response.aiter_raw()])

    plain = gzip.decompress(body) if compressed else body
    assert plain == (await client.get("/widget.js", headers={"Accept-Encoding": "identity"})).content
    assert ("content-encoding" in response.headers) is compressed


async def test_etags_of_the_two_forms_differ(client: httpx2.AsyncClient) -> None:
    etags = {
        (await client.get("/widget.js", headers={"Accept-Encoding": encoding})).headers["etag"]
        for encoding in ("gzip", "identity")
    }
    assert len(etags) == 2


async def test_only_reading_is_answered(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/widget.js")).status_code == 200
    assert (await client.post("/widget.js")).status_code == 405


async def test_types_are_beside_it() -> None:
    app = Starlette(routes=[Route("/widget.d.ts", serve_widget_types)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
        response = await client.get("/widget.d.ts")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    script = SOURCE.read_text()
    api = re.search(r"window\.Doorcode = \{ (.*?) \};", script)
    assert api
    for name in api[1].split(", "):
        assert re.search(rf"^ +{name}[(<]", response.text, re.MULTILINE), name
    for name in re.findall(r"^    ([A-Z_]+): ", script, re.MULTILINE):
        assert name in response.text
