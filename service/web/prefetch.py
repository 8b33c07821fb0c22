"""Recognises requests that a browser sends before a link is followed.

They must not sign in or create users (contract §5).
"""

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# Chromium and Firefox, older Chromium and Safari, Safari's previews, older Firefox.
_PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_ENCODED = frozenset(name.encode() for name in _PURPOSE_HEADERS)
_SPECULATIVE = ("prefetch", "prerender", "preview")


class RejectSpeculativePosts:
    """ASGI middleware. Rejects POST requests that a browser sends speculatively (prefetch, prerender).

    GET routes decide for themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it is a speculative POST."""
        if _is_post_with_a_purpose(scope) and is_speculative(HTTPConnection(scope)):
            await refuse_speculative_request()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_speculative(request: HTTPConnection) -> bool:
    """Whether the browser sends the request speculatively, as its purpose headers say."""
    purposes = " ".join(request.headers.get(name, "") for name in _PURPOSE_HEADERS).lower()
    return any(word in purposes for word in _SPECULATIVE)


def refuse_speculative_request() -> Response:
    """Answer with 503.

    It must be an error: a browser would use a prefetched 204 for the click, and stay on the page.
    """
    return Response(status_code=503, headers={"Cache-Control": "no-store", "Vary": "Sec-Purpose, Purpose"})


def _is_post_with_a_purpose(scope: Scope) -> bool:
    """A fast test before `is_speculative`: few requests are a POST with a purpose header."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return any(name in _ENCODED for name, _ in scope["headers"])
