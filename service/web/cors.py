"""Lets pages of other origins call `/graphql` (CORS, as in the Fetch standard), if the operator allows their origin.

A pure ASGI wrapper around the endpoint, so that error responses have the headers too. Without the headers a page cannot
read why its request failed. A request without an `Origin` header, or from this origin, passes unchanged.
"""

import re
import time
from collections.abc import Iterable

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.audit.daily_counts import DailyCounts
from service.credentials import is_same_origin, is_under_cookie_domain
from service.metrics import REFUSED_ORIGINS
from service.settings import Settings

PREFLIGHT_MAX_AGE = 7200  # seconds; Chromium caches a preflight no longer than this
NOTED_EVERY = 3600  # seconds between two log events for the same origin
MAX_SHOWN_LENGTH = 100  # characters of an origin in the log
MAX_REMEMBERED = 50  # origins logged in that time: clients choose them freely, and must not fill the memory or the log

_METHODS = "GET, POST"
_USUAL_HEADERS = "authorization, content-type"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")  # field names (RFC 9110, 5.1), in a list
_ORIGIN = re.compile(r"null$|[a-z][a-z0-9+.-]*://[^/?#]*")
_VARY = {"Vary": "Origin"}
_REFUSED = (
    "This origin may not call this service from a browser, because DOORCODE_ALLOWED_ORIGINS does not contain it."
    " Ask the operator to add it.\n"
)

_log = structlog.get_logger()


class CrossOrigin:
    """An ASGI application that lets pages of the allowed origins read the responses of another application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._refused = RefusedOrigins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight. Pass every other request on, and add the headers to its response."""
        if not any(name == b"origin" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        origin = request.headers["origin"]
        if is_same_origin(request, self._settings):
            await self._app(scope, receive, send)
            return
        headers = self._headers_for(origin, request)
        if _is_preflight(request):
            await _answer_preflight(request, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, headers or _VARY))

    def _headers_for(self, origin: str, request: HTTPConnection) -> dict[str, str] | None:
        """Return the headers that let a page of this origin read the response. None if the origin is not allowed."""
        if origin not in self._settings.allowed_origins:
            self._refused.note(origin, request.app.state.instance.pending_events.daily_counts)
            return None
        headers = {
            **_VARY,
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After, X-Request-Id",
        }
        if is_under_cookie_domain(origin, self._settings):
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers


class RefusedOrigins:
    """Counts requests of refused origins, and logs each origin at most once in `NOTED_EVERY` seconds."""

    def __init__(self) -> None:
        self._noted: set[str] = set()
        self._forgotten_at = 0.0

    def note(self, origin: str, daily_counts: DailyCounts) -> None:
        """Count one refused request, and log its origin. The header may hold any text."""
        REFUSED_ORIGINS.inc()
        shown = _printable(origin)
        daily_counts.add_refused_origin(shown)
        if self._is_news(shown, time.monotonic()):
            _log.warning(
                "origin_refused",
                origin=shown,
                hint="If a page of this origin should call Doorcode, add the origin to DOORCODE_ALLOWED_ORIGINS.",
            )

    def _is_news(self, origin: str, moment: float) -> bool:
        if moment >= self._forgotten_at:
            self._noted.clear()
            self._forgotten_at = moment + NOTED_EVERY
        if origin in self._noted or len(self._noted) >= MAX_REMEMBERED:
            return False
        self._noted.add(origin)
        return True


def _is_preflight(request: HTTPConnection) -> bool:
    return request.scope["method"] == "OPTIONS" and "access-control-request-method" in request.headers


def _answer_preflight(request: HTTPConnection, headers: dict[str, str] | None) -> Response:
    """Allow every header that the page asks for: clients add headers for tracing, and the origin is trusted already."""
    if headers is None:
        return PlainTextResponse(_REFUSED, 403, _VARY)
    asked = request.headers.get("access-control-request-headers", "")
    answer = {
        **headers,
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": asked if _HEADER_NAMES.fullmatch(asked) else _USUAL_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE),
        "Vary": "Origin, Access-Control-Request-Headers",
    }
    return Response(status_code=204, headers=answer)


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add(MutableHeaders(scope=message), headers.items())
        await send(message)

    return sending


def _add(answer: MutableHeaders, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if name == "Vary":
            answer.add_vary_header(value)
        else:
            answer[name] = value


def _printable(origin: str) -> str:
    """Return the origin for the log, shortened and without control characters.

    A text that is not an origin is replaced, because it could be a code or a token.
    """
    found = _ORIGIN.match(origin)
    text = found[0] if found else "(not an origin)"
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_SHOWN_LENGTH])
