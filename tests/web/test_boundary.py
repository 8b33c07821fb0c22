"""The outermost layer: whatever goes wrong below has an answer of the kind that was asked for, and a line in the log."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from service.settings import Settings, SettingsError
from service.web.boundary import Boundary

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def failing(error: BaseException) -> Callable[[Request], Any]:
    """An endpoint that raises."""

    async def endpoint(_: Request) -> Response:
        raise error

    return endpoint


async def started_then_failing(scope: Scope, receive: Receive, send: Send) -> None:
    """An endpoint that raises when half of its answer is on its way."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("too late")


def application(**endpoints: Any) -> Starlette:
    """An application with the boundary around these endpoints."""
    routes = [Route(f"/{path}", endpoint) for path, endpoint in endpoints.items()]
    return Starlette(routes=routes, middleware=[Middleware(Boundary, settings=Settings())])


async def get(app: Starlette, path: str, **headers: str) -> httpx2.Response:
    """What the application answers; an exception that goes past it fails the test."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://doorcode.test") as client:
        return await client.get(path, headers=headers)


async def test_bug_is_a_page_for_people_and_text_for_programs() -> None:
    app = application(x=failing(ValueError("secret")))
    page, text = await get(app, "/x?q=1", **HTML), await get(app, "/x")
    for answer, media_type in ((page, "text/html"), (text, "text/plain")):
        assert answer.status_code == 500
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["cache-control"] == "no-store"
        assert "secret" not in answer.text


async def test_bug_behind_graphql_is_a_graphql_error() -> None:
    answer = await get(application(graphql=failing(ValueError("secret"))), "/graphql", Accept="application/json")
    assert answer.status_code == 500
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error["extensions"]["reference"]) == 10


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OSError("gone")])
async def test_database_out_of_reach_is_503_and_worth_another_try(error: Exception) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await get(application(x=failing(error)), "/x", **HTML)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    [line] = logs
    assert (line["event"], line["error"]) == ("database_unreachable", type(error).__name__)
    assert line["reference"] in answer.text


async def test_log_tells_route_and_method_and_nothing_else_of_the_request() -> None:
    app = application(x=failing(ValueError("bug")))
    with structlog.testing.capture_logs() as logs:
        await get(app, "/x?query=in-query", Authorization="in-header", Cookie="a=in-cookie")
    [line] = logs
    assert line.keys() == {"event", "log_level", "exc_info", "route", "method", "reference"}
    assert (line["route"], line["method"]) == ("/x", "GET")


async def test_client_that_went_away_is_no_error() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b""}
    with structlog.testing.capture_logs() as logs:
        await application(x=failing(ClientDisconnect()))(scope, receive, send)
    assert (sent, logs) == ([], [])


async def test_answer_that_breaks_off_is_logged_and_not_begun_anew() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b""}
    with structlog.testing.capture_logs() as logs:
        await Boundary(started_then_failing, Settings())(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [line["event"] for line in logs] == ["internal_error"]


async def test_request_that_is_cancelled_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError):
        await get(application(x=failing(asyncio.CancelledError())), "/x")


async def test_what_a_route_refuses_is_no_error() -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await get(application(x=failing(HTTPException(404))), "/x")
    assert (answer.status_code, logs) == (404, [])


@pytest.mark.parametrize(
    ("error", "message"),
    [(SettingsError("DOORCODE_X: is wrong"), "DOORCODE_X: is wrong"), (ValueError("a bug"), "Traceback")],
)
async def test_start_that_fails_is_told_in_one_line_where_a_setting_is_wrong(error: Exception, message: str) -> None:
    sent: list[Message] = []

    async def send(sending: Message) -> None:
        sent.append(sending)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    class Lifespan:
        async def __aenter__(self) -> None:
            raise error

        async def __aexit__(self, *_: object) -> None: ...

    app = Starlette(middleware=[Middleware(Boundary, settings=Settings())], lifespan=lambda _: Lifespan())
    with pytest.raises(type(error)):
        await app({"type": "lifespan", "state": {}}, receive, send)
    [failure] = sent
    assert failure["type"] == "lifespan.startup.failed"
    assert failure["message"].startswith(message)


async def test_good_answer_passes_untouched() -> None:
    async def endpoint(_: Request) -> Response:
        return PlainTextResponse("well", 202)

    answer = await get(application(x=endpoint), "/x")
    assert (answer.status_code, answer.text) == (202, "well")
