"""Error responses outside the normal pages: unknown addresses, wrong methods, bugs, an unreachable database.

Each is HTML, GraphQL or plain text, as the request accepts.
"""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from service.errors import RETRY_AFTER, ErrorCode
from service.settings import Settings
from service.web.branding import known_branding
from service.web.pages import page

_REFUSALS = {
    400: ("This request cannot be read", None),
    404: ("This page does not exist", "Check the address, or go back to the page before."),
    405: ("This page does not accept that kind of request", "Go back to the page before."),
    413: ("This request is too large", None),
    421: (
        "This address is not the one of this service",
        "Use the address that your administrator gave you. Administrators: send the host of DOORCODE_PUBLIC_URL as the Host header.",
    ),
    415: ("This page does not accept that kind of content", None),
}
_ANY_OTHER = ("This request was refused", None)
_INTERNAL = (
    "Something went wrong on our side",
    "Try again. If it happens again, tell your administrator the reference.",
)
_UNAVAILABLE = (
    "The service is not available right now",
    "Wait a few seconds, then try again.",
)


def http_exception(request: Request, error: Exception, settings: Settings) -> Response:
    """Answer an `HTTPException` of Starlette or of a route. Its own text is not shown."""
    assert isinstance(error, HTTPException)
    headline, advice = _REFUSALS.get(error.status_code, _ANY_OTHER)
    return _answer(request, settings, error.status_code, headline, advice, headers=error.headers)


def misdirected(request: Request, settings: Settings) -> Response:
    """Return the answer to a request for another host (RFC 9110, section 15.5.20)."""
    headline, advice = _REFUSALS[421]
    return _answer(request, settings, 421, headline, advice)


def internal_error(request: Request, settings: Settings, reference: str) -> Response:
    """Answer with 500, for a bug or a broken machine."""
    return _answer(request, settings, 500, *_INTERNAL, reference)


def unavailable(request: Request, settings: Settings, reference: str) -> Response:
    """Answer with 503, for a database that cannot do its work now."""
    return _answer(request, settings, 503, *_UNAVAILABLE, reference, headers={"Retry-After": str(RETRY_AFTER)})


def _answer(
    request: Request,
    settings: Settings,
    status: int,
    headline: str,
    advice: str | None = None,
    reference: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return page(
            settings,
            "failure.html",
            status=status,
            headers=headers,
            branding=known_branding(request),
            headline=headline,
            advice=advice,
            reference=reference,
        )
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    if request.url.path == "/graphql":
        return _as_graphql(status, ". ".join(filter(None, (headline, advice))), reference, headers)
    lines = [headline, advice, reference and f"Reference: {reference}"]
    return PlainTextResponse("\n".join(filter(None, lines)) + "\n", status, headers)


def _as_graphql(status: int, message: str, reference: str | None, headers: Mapping[str, str]) -> Response:
    if status == 503:
        extensions: dict[str, object] = {"code": ErrorCode.SERVICE_UNAVAILABLE, "retryAfterSeconds": RETRY_AFTER}
    else:
        extensions = {"code": ErrorCode.INTERNAL_SERVER_ERROR if status >= 500 else ErrorCode.BAD_USER_INPUT}
    if reference:
        extensions["reference"] = reference
    return JSONResponse({"errors": [{"message": message, "extensions": extensions}]}, status, headers)
