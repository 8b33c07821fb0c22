"""Clients of the endpoint that go away before they have the answer, and a real server."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
import uvicorn

from tests.graphql.sample_schema import (
    SLOW,
    SampleEndpoint,
    codes,
    post_scope,
)

pytestmark = pytest.mark.usefixtures("nothing_ran_before")


# ---------------------------------------------------------------- clients that go away


async def test_a_client_that_leaves_while_sending_is_no_error() -> None:
    endpoint = SampleEndpoint()
    messages_in = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages_in)

    async def send(_message: Any) -> None:
        raise AssertionError("there is no connection to answer on")

    await endpoint.endpoint(post_scope(), receive, send)
    assert endpoint.internal_errors == []


async def test_a_client_that_leaves_before_the_answer_is_no_error() -> None:
    endpoint = SampleEndpoint()

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"query":"{methods}"}'}

    async def send(_message: Any) -> None:
        raise OSError("connection lost")

    await endpoint.endpoint(post_scope(), receive, send)
    assert endpoint.internal_errors == []


async def test_a_cancelled_request_stays_cancelled() -> None:
    endpoint = SampleEndpoint()
    request = asyncio.create_task(endpoint.send({"query": "{slow}"}))
    await SLOW.started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert endpoint.internal_errors == []


# ---------------------------------------------------------------- a real server


@contextmanager
def served(endpoint: SampleEndpoint) -> Iterator[int]:
    """Serves it on a loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(endpoint.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_a_real_server_answers_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    endpoint = SampleEndpoint()
    with served(endpoint) as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.post("/graphql", json={"query": "{methods}"}).json() == {"data": {"methods": ["EMAIL"]}}
        assert client.get("/graphql", params={"query": "{methods}"}).status_code == 200
        assert client.post("/graphql", content=b"null", headers={"content-type": "application/json"}).status_code == 400
        large = {"content-type": "application/json"}
        assert client.post("/graphql", content=iter([b" " * 40_000] * 2), headers=large).status_code == 413
        assert client.head("/graphql").status_code == 405
        assert codes(client.post("/graphql", json={"query": "{broken}"}).json()) == ["INTERNAL_SERVER_ERROR"]
    assert caplog.records == []


def test_clients_that_hang_up_leave_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    endpoint = SampleEndpoint()
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with served(endpoint) as port:
        for sent in (
            head + b"Content-Length: 100\r\n\r\n{",
            head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
            head + b'Content-Length: 21\r\n\r\n{"query":"{methods}"}',
        ):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(sent)
        assert httpx2.post(f"http://127.0.0.1:{port}/graphql", json={"query": "{methods}"}).status_code == 200
    assert caplog.records == []
    assert endpoint.internal_errors == []
