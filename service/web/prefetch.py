"""What a browser fetches ahead, before anybody has followed a link, signs nobody in and creates nobody (contract §5)."""

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# Chromium and Firefox, older Chromium and Safari, Safari's previews, older Firefox.
_PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_ENCODED = frozenset(name.encode() for name in _PURPOSE_HEADERS)
_SPECULATIVE = ("prefetch", "prerender", "preview")


class RejectSpeculativePosts:
    """ASGI middleware: no POST, whatever it is for. What a GET would do, its own route knows."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it is a form or a mutation that is sent ahead of time."""
        if _is_post_with_a_purpose(scope) and is_speculative(HTTPConnection(scope)):
            await refuse_speculative_request()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_speculative(request: HTTPConnection) -> bool:
    """Whether the browser only fetches ahead."""
    purposes = " ".join(request.headers.get(name, "") for name in _PURPOSE_HEADERS).lower()
    return any(word in purposes for word in _SPECULATIVE)


def refuse_speculative_request() -> Response:
    """It has to be an error: a browser would keep a 204 for the click, and go nowhere."""
    return Response(status_code=503, headers={"Cache-Control": "no-store", "Vary": "Sec-Purpose, Purpose"})


def _is_post_with_a_purpose(scope: Scope) -> bool:
    """What hardly any request has, found in a microsecond."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return any(name in _ENCODED for name, _ in scope["headers"])
