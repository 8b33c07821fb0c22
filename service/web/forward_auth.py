"""`/verify`: tells a reverse proxy who sent a request, before the proxy passes it to an application (contract §5).

The member cookie is read without a same-origin check. The proxy copies the headers of a request to the application, and
a link on another site may cause that request. The response only names the user, and changes nothing. The application
itself must protect its forms against forged requests, as behind any cookie.
"""

import json
from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.accounts.groups import group_names
from service.accounts.metadata import shared_members
from service.accounts.models import User
from service.authority import by_session_token
from service.credentials import bearer_token, client_of
from service.sessions.lifecycle import LiveSession
from service.sessions.models import TokenTransport
from service.web.destination import safe_path
from service.web.requests import instance_of, member_of

PATH = "/verify"
MAX_LOCATION = 3_000  # characters: nginx refuses a response whose headers are longer than 4 KiB (proxy_buffer_size)

_ORIGINAL_URI = ("x-original-uri", "x-forwarded-uri")  # what the guide's nginx sends, what Caddy and Traefik send
_NO_STORE = {
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
    """Answer 200 with the headers of the signed-in user, or 401 if no user is signed in. Both without a body.

    The `Location` of a 401 is where the proxy may redirect the visitor to. Proxies cannot encode a query themselves.
    """
    session = await _session_of(request)
    if session is None:
        headers = {**_NO_STORE, "WWW-Authenticate": "Bearer", "Location": _sign_in_url(request)}  # RFC 6750 §3
        return Response(status_code=401, headers=headers)
    policy = (await instance_of(request).external_auth.configuration_cache.current()).policy
    return Response(headers={**_NO_STORE, **_identity(session, policy.shared_metadata)})


def _sign_in_url(request: Request) -> str:
    """Return the URL of the sign-in page, with the path and query that the visitor asked for."""
    sign_in = f"{instance_of(request).settings.public_url}/login"
    for asked_for in (_asked_for(request), _asked_for(request).partition("?")[0]):
        # The headers of a request are bytes that Starlette decodes as Latin-1.
        url = f"{sign_in}?returnTo={quote(safe_path(asked_for).encode('latin-1', 'replace'), safe='')}"
        if len(url) <= MAX_LOCATION:
            return url
    return sign_in


def _asked_for(request: Request) -> str:
    """Return the path and query of the original request: in a header, or behind `/verify` for Envoy and Istio."""
    for name in _ORIGINAL_URI:
        if (value := request.headers.get(name)) is not None:
            return value
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return (path.removeprefix(PATH) or "/") + (f"?{query}" if query else "")


async def _session_of(request: Request) -> LiveSession | None:
    """Return the session of the bearer token, or of the member cookie if no bearer token is sent.

    If a bearer token is sent, the cookie is ignored, even when the token is invalid. The admin cookie is never read: it
    is valid in the panel only.
    """
    token = bearer_token(request)
    if token is None:
        return (await member_of(request)).session
    return (await by_session_token(token, client_of(request), frozenset(TokenTransport))).session


def _identity(session: LiveSession, shared_metadata: Sequence[str]) -> dict[str, str]:
    """Return every identity header. One without a value is empty, so that it replaces a header that a client forged.

    An email that is only claimed is left out: an application that finds its account by email would hand over that account.
    """
    user = session.user
    values = {
        "X-Auth-User-Id": user.id,
        "X-Auth-Email": user.email or "",
        "X-Auth-Origin": user.origin.value,
        "X-Auth-Session-Id": session.id,
    }
    groups = ",".join(map(_header_value, group_names(user)))
    return {name: _header_value(value) for name, value in values.items()} | {
        "X-Auth-Groups": groups,
        **_shared(user, shared_metadata),
    }


def _shared(user: User, names: Sequence[str]) -> dict[str, str]:
    """Return a header for each member of the metadata that other services may see. Empty if the user has none."""
    members = shared_members(user.metadata, names)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
    return {f"X-Auth-Meta-{name}": _header_value(texts.get(name, "")) for name in names}


def _header_value(text: str) -> str:
    """Return UTF-8, percent-encoded (RFC 3986 §2.1) except letters, digits and `-._~@`.

    `+` is encoded, because some decoders read it as a space.
    """
    return quote(text, safe="@")
