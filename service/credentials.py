"""How an HTTP request says who sends it: bearer token, cookies, client address, and which origins are trusted.

What the caller may then do is decided in `service.authority`, which knows no HTTP.
"""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from service.api_keys.keys import find_api_key
from service.authority import Caller, by_session_token
from service.email_login.known_clients import is_device_token
from service.ip_addresses import parse_address
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.tokens import API_KEY_PREFIX

MAX_COOKIES_TRIED = 5
"""Cookies of one name whose tokens are looked up; each costs a query."""

_ANY_TRANSPORT = frozenset(TokenTransport)


async def identify(request: HTTPConnection, settings: Settings) -> Caller:
    """Return the caller of this request.

    If a bearer token is sent, cookies are ignored, even when the token is invalid. An unknown token yields an anonymous
    caller.
    """
    client = client_of(request)
    token = bearer_token(request)
    if token is None:
        return await _by_trusted_cookie(request, settings, client)
    if token.startswith(API_KEY_PREFIX):
        return Caller(client, api_key=await find_api_key(token))
    return await by_session_token(token, client, _ANY_TRANSPORT)


def client_of(request: HTTPConnection) -> Client:
    """Return the client's IP address and user agent.

    The address is None if the server knows none, such as behind a Unix socket or if a proxy sent another text.
    """
    return Client(parse_address(request.client.host) if request.client else None, request.headers.get("user-agent"))


def cookie_name(settings: Settings, token_transport: TokenTransport) -> str:
    """Return the name of the member cookie or of the admin cookie (contract §5).

    Browsers accept the prefix `__Host-` only with Secure, Path=/ and no Domain (RFC 6265bis, section 4.1.3.2), so the
    name has it only if all three hold.
    """
    admin = token_transport is TokenTransport.ADMIN_COOKIE
    prefix = "__Host-" if settings.is_secure and (admin or settings.cookie_domain is None) else ""
    return f"{prefix}doorcode-admin" if admin else f"{prefix}doorcode"


def cookie_tokens(request: HTTPConnection, settings: Settings, token_transport: TokenTransport) -> list[str]:
    """Return the tokens of the first five different cookies with this transport's name, in the order sent.

    One name occurs several times if an instance on a parent domain or on another port sets its own cookie.
    """
    tokens = cookie_values(request, cookie_name(settings, token_transport))
    return list(dict.fromkeys(tokens[:MAX_COOKIES_TRIED]))


def cookie_values(request: HTTPConnection, name: str) -> list[str]:
    """Return the values of all cookies with this name, in the order sent.

    Names are compared byte by byte, and only space and tab are removed around them (RFC 6265, section 4.2.1). Any
    subdomain may set a cookie whose name is byte 0xA0 and then `__Host-doorcode`. A parser that removes other white
    space would take it for the cookie of this service.
    """
    wanted, values = name.encode(), []
    for header_name, header in request.scope["headers"]:
        if header_name == b"cookie":
            for pair in header.split(b";"):
                found, equals, value = pair.partition(b"=")
                if equals and found.strip(b" \t") == wanted:
                    values.append(value.strip(b" \t").strip(b'"').decode("latin-1"))
    return values


def device_cookie_name(settings: Settings) -> str:
    """Return the name of the cookie that makes a browser known for email sign-in (contract §3). It has no domain."""
    return "__Host-doorcode-device" if settings.is_secure else "doorcode-device"


def device_token(request: HTTPConnection, settings: Settings) -> str | None:
    """Return the device token that the browser sends, or None."""
    values = cookie_values(request, device_cookie_name(settings))
    return next((value for value in values if is_device_token(value)), None)


async def by_cookie(request: HTTPConnection, settings: Settings, token_transport: TokenTransport) -> Caller:
    """Return the caller of the first cookie of this transport whose session is live; anonymous if there is none.

    The caller of this function decides whether the page that sent the request may use the cookie.
    """
    client = client_of(request)
    for token in cookie_tokens(request, settings, token_transport):
        caller = await by_session_token(token, client, frozenset({token_transport}))
        if caller.session:
            return caller
    return Caller(client)


def is_same_origin(request: HTTPConnection, settings: Settings) -> bool:
    """Return whether the browser says that a page of this origin sent the request; false if the browser says nothing.

    If the browser sends `Sec-Fetch-Site` (Fetch Metadata), it decides, because the browser has compared both origins.
    Otherwise `Origin` decides: older browsers, and plain http.
    """
    site = request.headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else request.headers.get("origin") == settings.public_url


def may_use_members_cookie(request: HTTPConnection, settings: Settings) -> bool:
    """Return whether the request is same-origin, or comes from an allowed origin under the cookie domain."""
    origin = request.headers.get("origin")
    return is_same_origin(request, settings) or (origin is not None and is_under_cookie_domain(origin, settings))


def is_under_cookie_domain(origin: str, settings: Settings) -> bool:
    """Return whether a page of this origin may send the member cookie to GraphQL (credentialed CORS)."""
    domain, host = settings.cookie_domain, urlsplit(origin).hostname or ""
    return domain is not None and origin in settings.allowed_origins and (host == domain or host.endswith("." + domain))


async def _by_trusted_cookie(request: HTTPConnection, settings: Settings, client: Client) -> Caller:
    """Try the admin cookie, for same-origin requests only, and then the member cookie."""
    if "cookie" not in request.headers:
        return Caller(client)
    for token_transport, trusted in (
        (TokenTransport.ADMIN_COOKIE, is_same_origin),
        (TokenTransport.COOKIE, may_use_members_cookie),
    ):
        if trusted(request, settings):
            caller = await by_cookie(request, settings, token_transport)
            if caller.session:
                return caller
    return Caller(client)


def bearer_token(request: HTTPConnection) -> str | None:
    """Return the token after `Bearer` (RFC 6750, section 2.1), which may be empty, or None without such a header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
