"""The ID of a request: in the answer, in each line of the log, from a trusted proxy or made here."""

import httpx2
import pytest
import structlog
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.logs import _add_request_id
from service.request_id import request_id
from service.settings import Settings
from service.web.boundary import Boundary

SETTINGS = Settings(trusted_proxies=("192.0.2.0/24", "2001:db8::/32"))


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/broken":
        raise LookupError
    await PlainTextResponse(_line().get("request_id"))(scope, receive, send)


def _line() -> dict[str, str]:
    """What the log adds to a line."""
    return dict(_add_request_id(None, "", {}))


async def asked(app: ASGIApp, path: str = "/", client: str = "192.0.2.1", **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app, client=(client, 1), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        return await http.get(
            path, headers={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        )


@pytest.mark.parametrize("client", ["192.0.2.1", "::ffff:192.0.2.7", "2001:db8::9"])
async def test_id_of_a_trusted_proxy_is_in_the_answer_and_in_the_log(client: str) -> None:
    found = await asked(Boundary(answer, SETTINGS), client=client, X_Request_Id="4bf9.2f_35:77+b3/4d@a6=e-f")
    assert found.headers["x-request-id"] == found.text == "4bf9.2f_35:77+b3/4d@a6=e-f"
    assert request_id.get() is None


@pytest.mark.parametrize(
    ("client", "given"),
    [
        ("198.51.100.1", "of-a-stranger"),
        ("192.0.2.1", "two words"),
        ("192.0.2.1", "-begins-with-a-hyphen"),
        ("192.0.2.1", 'quo"te'),
        ("192.0.2.1", "x" * 129),
        ("192.0.2.1", "caf\u00e9"),
        ("192.0.2.1", ""),
    ],
)
async def test_any_other_id_is_replaced_by_one_of_our_own(client: str, given: str) -> None:
    found = [await asked(Boundary(answer, SETTINGS), client=client, X_Request_Id=given) for _ in range(2)]
    assert given not in {one.headers["x-request-id"] for one in found}
    assert len({one.headers["x-request-id"] for one in found}) == 2
    assert all(one.text == one.headers["x-request-id"] for one in found)


async def test_answer_to_a_request_that_failed_has_the_id_of_its_line() -> None:
    with structlog.testing.capture_logs(processors=[_add_request_id]) as lines:
        found = await asked(Boundary(answer, SETTINGS), "/broken")
    assert found.status_code == 500
    assert [line["request_id"] for line in lines] == [found.headers["x-request-id"]]
