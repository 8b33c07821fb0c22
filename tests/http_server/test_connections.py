"""Connections that hostile or odd clients open, over real sockets, with each parser that uvicorn may choose."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from service.http_server import connections
from service.http_server.connections import MAX_HEAD, PARSER_BUFFER, BoundedH11Protocol
from service.http_server.httptools_protocol import BoundedHttpToolsProtocol
from tests.processes import ROOT, free_port
from tests.programs import Programs

BODY = b'{"query":"{ signInMethods }"}'
UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: h2c, websocket\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the method, the path and the body of the request."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    status = 405 if scope["method"] == "CONNECT" else 200
    answer = json.dumps([scope["method"], scope["path"], body.decode()]).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@contextmanager
def served(protocol: type[asyncio.Protocol]) -> Iterator[int]:
    """Serves `echo` on a loopback port, with the options of `doorcode serve` that matter here."""
    listener = socket.create_server(("127.0.0.1", 0))
    options: dict[str, Any] = {"http": protocol, "ws": "none", "h11_max_incomplete_event_size": PARSER_BUFFER}
    config = uvicorn.Config(echo, log_config=None, lifespan="off", timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(params=[BoundedHttpToolsProtocol, BoundedH11Protocol], ids=["httptools", "h11"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server with each parser in turn."""
    with served(request.param) as port:
        yield port


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body have a moment to arrive."""
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "_BODY_SECONDS", 0.3)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_to_the_end(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def ask(port: int, *pieces: bytes) -> bytes:
    """Everything that the server answers to these bytes, which are sent apart."""
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.05)  # so that the pieces arrive apart; nothing depends on it
            connection.sendall(piece)
        return read_to_the_end(connection)


def head_of(size: int) -> bytes:
    """A request's head of so many bytes."""
    start = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


def test_head_of_64_kib_is_answered_and_one_byte_more_is_431(port: int) -> None:
    assert ask(port, head_of(MAX_HEAD)).startswith(b"HTTP/1.1 200 ")
    assert ask(port, head_of(MAX_HEAD + 1)).startswith(b"HTTP/1.1 431 ")


def test_many_small_header_fields_are_431_too(port: int) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    assert ask(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n").startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"GET / HTTP/1.1\r\nX-"])
def test_head_that_never_ends_is_cut_at_the_bound(port: int, start: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(start)
        sent = 0
        try:
            while sent < 8 * 1024 * 1024:
                sent += connection.send(b"a" * 65536)
        except OSError:
            return
    raise AssertionError("the server has read 8 MiB of a head")


def test_large_heads_one_after_the_other_are_answered(port: int) -> None:
    one = head_of(MAX_HEAD - 100).replace(b"Connection: close", b"Connection: keep-alive")
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(one)
            answer = b""
            while b"\r\n\r\n[" not in answer or not answer.endswith(b"]"):  # h11 writes the head and the body apart
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")


def test_answer_to_a_head_that_is_too_large_is_not_lost(port: int) -> None:
    """A client that is still sending reads the answer: the connection is not reset."""
    with connect(port) as connection:
        connection.sendall(head_of(MAX_HEAD + 400_000))
        assert read_to_the_end(connection).startswith(b"HTTP/1.1 431 ")


def test_body_larger_than_a_head_may_be_is_read(port: int) -> None:
    body = b"b" * (5 * MAX_HEAD)
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert body in ask(port, head + body)


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "tls", "list", "websocket"])
@pytest.mark.parametrize("split", [None, "head and body", "byte by byte"])
def test_offer_of_an_upgrade_is_ignored(port: int, upgrade: bytes, split: str | None) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (upgrade, len(BODY))
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    pieces = [head + BODY + last]
    if split == "head and body":
        pieces = [head, BODY, last]
    with connect(port) as connection:
        if split == "byte by byte":
            for byte in head + BODY:
                connection.sendall(bytes([byte]))
            connection.sendall(last)
            answer = read_to_the_end(connection)
        else:
            answer = ask(port, *pieces)
    assert answer.count(b"HTTP/1.1 200 ") == 2, answer
    assert json.dumps(["POST", "/graphql", BODY.decode()]).encode() in answer
    assert b'["GET", "/last", ""]' in answer


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "tls", "list", "websocket"])
def test_chunked_body_after_an_offer_of_an_upgrade_is_read(port: int, upgrade: bytes) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n" % upgrade
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = ask(port, head + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n" + last)
    assert b'["POST", "/graphql", "abcde"]' in answer
    assert b'["GET", "/last", ""]' in answer


def test_offer_of_an_upgrade_without_a_body_is_ignored(port: int) -> None:
    answer = ask(port, b"GET /healthz HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert b'["GET", "/healthz", ""]' in answer


def test_tunnel_is_refused(port: int) -> None:
    answer = ask(port, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 40"), answer


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_head_that_does_not_arrive_in_time_is_408(port: int, part: bytes) -> None:
    assert ask(port, part).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize("part", [b"", b"{", b'{"query":'])
def test_body_that_does_not_arrive_in_time_is_408(port: int, part: bytes) -> None:
    answer = ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + part)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("short_times")
def test_bytes_that_come_slowly_do_not_extend_the_time(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 400:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
                sent += 1
        except OSError:
            return
    raise AssertionError("the server waits as long as bytes come")


@pytest.mark.usefixtures("short_times")
def test_connection_on_which_nothing_is_sent_is_closed(port: int) -> None:
    assert ask(port) == b""


@pytest.mark.usefixtures("short_times")
def test_second_request_on_a_connection_has_the_same_time(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'["GET", "/one", ""]' in connection.recv(65536)
        connection.sendall(b"GET /two HTTP/1.1\r\n")
        assert read_to_the_end(connection).startswith(b"HTTP/1.1 408 ")


def test_connection_over_the_bound_is_refused_and_served_when_another_ends(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections._connection_limit(), "connections", 3)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(3):
            kept = stack.enter_context(closing(connect(port)))
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connect(port) as refused:
            assert read_to_the_end(refused).startswith(b"HTTP/1.1 503 ")
    deadline = time.monotonic() + 20
    while not _answer_or_nothing(port, request).startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < deadline


def _answer_or_nothing(port: int, request: bytes) -> bytes:
    """The answer; nothing where the server has closed the connection before it read the request."""
    try:
        return ask(port, request)
    except OSError:
        return b""


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"\x00" * 100, b"SSH-2.0-x\r\n\r\n"])
def test_what_is_not_http_is_400(port: int, garbage: bytes) -> None:
    assert ask(port, garbage + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_served_doorcode_keeps_the_bounds_and_its_probes_while_strangers_hold_connections(
    tmp_path: Path, programs: Programs
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [
            *("sh", "-c", 'ulimit -S -n 64; ulimit -H -n 160; exec "$@"', "sh"),  # 100 the service keeps for itself
            *(sys.executable, "-m", "service", "serve", "--port", str(port)),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "DOORCODE_DATA_DIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        deadline = time.monotonic() + 60
        while not _answer_or_nothing(port, request):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with ExitStack() as stack:
            held = [stack.enter_context(closing(connect(port))) for _ in range(60)]
            with connect(port) as refused:
                assert read_to_the_end(refused).startswith(b"HTTP/1.1 503 ")
            held[0].sendall(request)
            assert read_to_the_end(held[0]).startswith(b"HTTP/1.1 200 ")
    finally:
        process.terminate()
        process.wait(30)
