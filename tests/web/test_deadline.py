"""A request that is not answered in time: the client is told so, and the request is ended."""

import asyncio

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from service.settings import load_settings
from service.web.admin.user_import import USER_IMPORT
from service.web.deadline import LONGER, Deadline


class Stuck:
    """An application that never answers, and notes that it was ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended.set()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_request_is_answered_and_ended_at_its_deadline(method: str) -> None:
    stuck, settings = Stuck(), load_settings({"DOORCODE_ANSWER_TIMEOUT": "2"})
    transport = httpx2.ASGITransport(Deadline(stuck, settings))
    async with httpx2.AsyncClient(transport=transport, base_url=settings.public_url) as http:
        answer = await http.request(method, "/graphql")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    await stuck.ended.wait()


async def test_path_that_may_take_longer_has_a_deadline_of_its_own() -> None:
    stuck, settings = Stuck(), load_settings({"DOORCODE_ANSWER_TIMEOUT": "2"})
    transport = httpx2.ASGITransport(Deadline(stuck, settings, longer={"/slow": 60.0}))
    async with httpx2.AsyncClient(transport=transport, base_url=settings.public_url) as http:
        slow = asyncio.create_task(http.post("/slow"))
        assert (await http.post("/quick")).status_code == 503
        assert not slow.done()
        slow.cancel()
    assert USER_IMPORT in LONGER


async def test_request_whose_client_has_gone_is_ended() -> None:
    stuck, settings, sent = Stuck(), load_settings({}), list[object]()
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "headers": [],
        "query_string": b"",
    }
    await Deadline(stuck, settings)(scope, receive, send)
    assert stuck.ended.is_set()
    assert sent == []
