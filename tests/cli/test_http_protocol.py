"""The head and the body of an answer go to the socket together, and nothing of it is lost however a connection ends."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from service.cli.http_protocol import TogetherTransport
from tests.servers import Server


class Socket:
    """Stands in for a transport; `sent` is what the real one would have written, one entry a system call."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def together(real: Socket) -> TogetherTransport:
    return TogetherTransport(real, asyncio.get_running_loop())  # type: ignore[arg-type]


async def test_what_is_written_in_one_turn_is_sent_at_once() -> None:
    real = Socket()
    transport = together(real)
    transport.write(b"head ")
    transport.write(b"body")
    assert real.sent == []
    await asyncio.sleep(0)
    assert real.sent == [b"head body"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert real.sent == [b"head body", b"next"]


async def test_closing_sends_the_rest_first() -> None:
    real = Socket()
    transport = together(real)
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert (real.sent, real.closed) == ([b"last words"], True)


async def test_nothing_is_sent_to_a_client_that_has_gone() -> None:
    real = Socket()
    transport = together(real)
    transport.write(b"too late")
    real.close()
    await asyncio.sleep(0)
    assert real.sent == []


async def test_all_else_is_the_real_transports() -> None:
    assert together(Socket()).get_extra_info("peername") == "the peername"


def test_answers_of_a_real_server_are_whole(server: Callable[..., Server], sqlite_url: str, tmp_path: Path) -> None:
    running = server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        for method, more, body in (
            (b"GET", b"", b"ok\n"),
            (b"HEAD", b"", b""),
            (b"GET", b"", b"ok\n"),
            (b"GET", b"Connection: close\r\n", b"ok\n"),
        ):
            connection.sendall(method + b" /healthz HTTP/1.1\r\nHost: localhost\r\n" + more + b"\r\n")
            head, _, rest = connection.recv(4096).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert rest == body
        assert connection.recv(1) == b""


def test_requests_that_are_sent_without_waiting_are_answered_in_order(
    server: Callable[..., Server], sqlite_url: str, tmp_path: Path
) -> None:
    running = server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        request = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
        connection.sendall(
            request % (b"healthz", b"") + request % (b"nowhere", b"") + request % (b"healthz", b"Connection: close\r\n")
        )
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]
