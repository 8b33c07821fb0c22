"""`/verify`: a reverse proxy asks who sends a request, before it passes that on to an application (contract §5).

The members' cookie counts here whatever the browser says of where the request came from. The proxy sends on what the
browser sent to the application, links from other sites included; and the answer only says who it is. Protecting itself
against forged requests is up to the application, as behind any cookie.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.authority import by_session_token
from service.credentials import bearer_token, client_of
from service.sessions.lifecycle import LiveSession
from service.sessions.models import TokenTransport
from service.web.requests import member_of

_NEVER_KEPT = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class ForwardAuth:
    """The ASGI application of `/verify` and the paths below it, for any method.

    A class, because Starlette adds methods to a route whose endpoint is a function. Envoy and Istio send the method of
    the original request and append its path.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a proxy."""
        response = await _answer(Request(scope))
        await response(scope, receive, send)


async def _answer(request: Request) -> Response:
    """200 with the headers of whoever is signed in, else 401; no body either way."""
    session = await _session_of(request)
    if session is None:
        return Response(status_code=401, headers={**_NEVER_KEPT, "WWW-Authenticate": "Bearer"})  # RFC 6750, 3
    return Response(headers={**_NEVER_KEPT, **_identity(session)})


async def _session_of(request: Request) -> LiveSession | None:
    """By a bearer token, which wins even when bad; else by the members' cookie. The admin panel's signs nobody in elsewhere."""
    token = bearer_token(request)
    if token is None:
        return (await member_of(request)).session
    return (await by_session_token(token, client_of(request), frozenset(TokenTransport))).session


def _identity(session: LiveSession) -> dict[str, str]:
    """Every header, also where there is nothing to say: an empty one takes the place of a forged one that got as far as this."""
    user = session.user
    values = {
        "X-Auth-User-Id": user.id,
        "X-Auth-Email": user.email or "",
        "X-Auth-Origin": user.origin.value,
        "X-Auth-Session-Id": session.id,
    }
    return {name: _header_value(value) for name, value in values.items()}


def _header_value(text: str) -> str:
    """UTF-8, percent-encoded (RFC 3986, 2.1) but for letters, digits, `-._~@`: `+` is not left, as some decoders make it a space."""
    return quote(text, safe="@")
