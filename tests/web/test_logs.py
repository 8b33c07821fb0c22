"""No code, token or secret is ever written to a log (contract §5), whatever way it comes in."""

import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.programs import Programs
from tests.site import Site, new_user_id, set_cookies

EXCHANGE = "mutation($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) { __typename } }"


@pytest.fixture
def own_site(database_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[Site]:
    """A server of the test's own, which it stops before it reads what was logged."""
    site = Site.open(tmp_path, database_url, background, {"DOORCODE_LOG_FORMAT": "json"})
    yield site
    site.server.close()


def everything_written(site: Site) -> str:
    """What the server has written until its end, on both streams."""
    site.server.close()
    return site.server.stdout_text() + site.server.stderr_text()


def assert_nothing_of(code: str, text: str) -> None:
    """The log holds no segment of the code and no part of a segment."""
    for segment in code.split("."):
        for start in range(0, len(segment) - 12, 6):
            assert segment[start : start + 12] not in text


def raw(site: Site, request: bytes) -> None:
    """Sends bytes that no client library would."""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def refused_requests(code: str) -> list[bytes]:
    """Requests with a code that never reach the application, or not as it expects them."""
    link = f"/?externalAuthCode={code}".encode()
    host = b"Host: x\r\n"
    return [
        b"GET " + link + b" HTTP/9.9\r\n" + host + b"\r\n",
        b"GET " + link + b"\r\n\r\n",
        b"GET " + link + b" HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET " + link + b" HTTP/1.1\r\n" + host + b"Content-Length: x\r\n\r\n",
        b"GET " + link + b"\x00\xff HTTP/1.1\r\n" + host + b"\r\n",
        b"GET " + link + b" HTTP/1.1\r\n" + host + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"G\xffT " + link + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET " + link + b" HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET " + link + b" HTTP/1.1\r\n" + host + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"GET " + link + b" HTTP/1.1\r\n" + host + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 900\r\n\r\nexternalAuthCode=" + code.encode(),
        b"GET http://[" + code.encode() + b"/ HTTP/1.1\r\n" + host + b"\r\n",
        b"CONNECT " + code.encode() + b":80 HTTP/1.1\r\n\r\n",
    ]


def send_everywhere(client: httpx2.Client, code: str) -> None:
    """Sends a code in every place that a request has."""
    for path in (
        "/",
        "/login",
        "/login/refused",
        "/logout",
        "/graphql",
        "/nothing",
        "/healthz",
        "/static/x",
        "/metrics",
    ):
        client.get(path, params={"externalAuthCode": code, "returnTo": f"/?externalAuthCode={code}"})
        client.head(path, params={"externalAuthCode": code})
        client.post(path, params={"code": code}, data={"externalAuthCode": code, "returnTo": code})
        client.request("DELETE", path, params={"externalAuthCode": code})
    client.get(f"/{code}")
    client.get(f"/static/{code}")
    client.post("/", files={"externalAuthCode": (None, code)})
    client.post("/", files={"externalAuthCode": (code, code)})
    client.post("/", content=code, headers={"Content-Type": f"text/{code}"})
    names = (
        "Authorization",
        "Cookie",
        "Referer",
        "Origin",
        "User-Agent",
        "X-Forwarded-For",
        "Accept",
        "If-None-Match",
        code,
    )
    for name in names:
        client.get("/", headers={name: code})
        client.post("/graphql", headers={name: code}, json={"query": "{ viewer { id } }"})
    client.get("/", headers={"Authorization": f"Bearer {code}", "Cookie": f"doorcode={code}"})
    client.post("/graphql", json={"query": EXCHANGE, "variables": {"code": code}})
    client.post("/graphql", json={"query": EXCHANGE.replace("$code }", f'"{code}"'), "variables": {"code": [code]}})
    client.post("/graphql", json={"query": EXCHANGE, "variables": {code: {code: code}}, "operationName": code})
    client.post("/graphql", json={"query": f'{{ a(b: "{code}") {{ {code.partition(".")[0]} }} }}'})
    client.post("/graphql", json={"query": f'"{code}', "extensions": {code: code}})
    client.post("/graphql", content=f"{{{code}", headers={"Content-Type": "application/json"})


def test_no_code_and_no_token_is_ever_logged(own_site: Site) -> None:
    genuine = own_site.code_for(new_user_id(), jti=new_user_id())
    expired = own_site.code_for(new_user_id(), jti=new_user_id(), exp=1)
    forged = own_site.code_for(new_user_id(), jti=new_user_id())[:-4] + "AAAA"
    tokens = set()
    with own_site.client() as client:
        for code in (genuine, expired, forged):
            send_everywhere(client, code)
        tokens.add(set_cookies(client.post("/", data={"externalAuthCode": genuine}))["doorcode"][""])
        client.get("/", headers={"Cookie": f"doorcode={next(iter(tokens))}"})
    for request in refused_requests(genuine):
        raw(own_site, request)
    text = everything_written(own_site)
    assert "sign_in_refused" in text
    for code in (genuine, expired, forged):
        assert_nothing_of(code, text)
    for token in tokens:
        assert token not in text
    assert own_site.secret.text not in text
    assert "Traceback" not in text
    assert '"level": "error"' not in text


def alter(site: Site, statement: str) -> None:
    """Changes the database behind the service's back, as nothing should."""
    if site.settings.uses_sqlite:
        with closing(sqlite3.connect(site.settings.sqlite_path)) as database:
            database.execute(statement)
    else:
        site.portal.call(execute, site.settings.database_url, statement)


async def execute(url: str, statement: str) -> None:
    """Runs one statement on PostgreSQL."""
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def test_error_is_answered_and_logged_under_one_reference_and_without_the_code(
    own_site: Site, request: pytest.FixtureRequest
) -> None:
    code = own_site.code_for(new_user_id())
    token = "dcs_" + "A1b2" * 10 + "xyz"
    alter(own_site, "ALTER TABLE sessions RENAME TO sessions_that_were")
    request.addfinalizer(lambda: alter(own_site, "ALTER TABLE sessions_that_were RENAME TO sessions"))
    with own_site.client() as client:
        headers = {"Cookie": f"doorcode={token}", "Accept": "text/html"}
        page = client.get("/", params={"externalAuthCode": code}, headers=headers)
        plain = client.post("/", data={"externalAuthCode": code}, headers={"Cookie": f"doorcode={token}"})
        assert client.get("/healthz").status_code == 200
    for answer, start in ((page, "<code>"), (plain, "Reference: ")):
        assert answer.status_code == 500
        assert "Something went wrong on our side" in answer.text
        assert "sessions" not in answer.text
        found = re.search(start + "([A-Z0-9]{10})", answer.text)
        assert found
        assert f'"reference": "{found[1]}"' in own_site.server.stderr_text()
    text = everything_written(own_site)
    assert "internal_error" in text
    assert '"route": "/"' in text
    assert "Traceback" in text
    assert_nothing_of(code, text)
    assert token not in text


def test_start_that_fails_for_a_setting_says_so_in_one_line(
    empty_sqlite_url: str, tmp_path: Path, server: Callable[..., object]
) -> None:
    """Also where only the application's own start finds it, as in a worker process."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "encryption.key").write_text("no key")
    environ = {"DOORCODE_DATABASE_URL": empty_sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    with pytest.raises(AssertionError, match="encryption key") as failed:
        server(environ)
    assert "Traceback" not in str(failed.value)
