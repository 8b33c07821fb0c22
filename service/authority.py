"""Who asks, and what they may do: decided here for every edge, from a bearer token or a cookie (contract §4)."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from service.accounts.models import User
from service.accounts.provisioning import record_user_seen
from service.api_keys.keys import find_api_key
from service.api_keys.models import ApiKey, ApiKeyScope
from service.audit.log import Actor
from service.errors import Forbidden, Unauthenticated
from service.sessions.lifecycle import Client, LiveSession, find_session, record_session_seen
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.tokens import API_KEY_PREFIX

_NOBODY = "Sign in first: send `Authorization: Bearer <token>` with a session token of an admin who signed in by email, or an API key."
_NO_ADMIN = "Only an admin who signed in by email may do this, or an API key."
_NO_WRITING = "This API key has the scope READ, and may change nothing. Use one of scope ADMIN."
_IN_PERSON = "Only an admin in person may do this, signed in by email: no API key can."

_ANY_TRANSPORT = frozenset(TokenTransport)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: somebody with a session, a machine with an API key, or nobody."""

    client: Client
    session: LiveSession | None = None
    session_token: str | None = None
    api_key: ApiKey | None = None

    @property
    def viewer(self) -> User | None:
        """The user who is signed in; an API key is nobody's."""
        return self.session.user if self.session else None

    @property
    def actor(self) -> Actor:
        """How the audit log names them."""
        if self.api_key:
            return Actor(f"api-key:{self.api_key.id}", self.client.ip_address)
        if self.session:
            return Actor(f"user:{self.session.user.id}", self.client.ip_address)
        return Actor("nobody", self.client.ip_address)

    @property
    def may_read_everything(self) -> bool:
        """Whether admin queries are answered."""
        return self.api_key is not None or (self.session is not None and self.session.has_admin_rights)

    def require_reader(self) -> None:
        """Go on only for an admin or an API key. Raises `Unauthenticated` or `Forbidden`."""
        if not self.may_read_everything:
            raise self._refusal(_NO_ADMIN)

    def require_admin(self) -> Actor:
        """Go on only for an admin or an API key of scope ADMIN; who it is, for the audit log."""
        self.require_reader()
        if self.api_key is not None and self.api_key.scope is not ApiKeyScope.ADMIN:
            raise Forbidden(_NO_WRITING)
        return self.actor

    def require_admin_in_person(self) -> Actor:
        """Go on only for an admin who signed in by email; no API key will do."""
        if self.session is None or not self.session.has_admin_rights:
            raise self._refusal(_IN_PERSON)
        return self.actor

    def require_session(self) -> LiveSession:
        """Go on only for somebody who is signed in. Raises `Unauthenticated`."""
        if self.session is None:
            raise Unauthenticated("Sign in first: send `Authorization: Bearer <session token>`.")
        return self.session

    def _refusal(self, why: str) -> Unauthenticated | Forbidden:
        return Unauthenticated(_NOBODY) if self.session is None and self.api_key is None else Forbidden(why)


async def identify(request: HTTPConnection, settings: Settings) -> Caller:
    """Who sends this request. A bearer token wins even when it is bad; one that is nobody's makes nobody."""
    client = client_of(request)
    token = bearer_token(request)
    if token is None:
        return await _by_cookie(request, settings, client)
    if token.startswith(API_KEY_PREFIX):
        return Caller(client, api_key=await find_api_key(token))
    return await by_session_token(token, client, _ANY_TRANSPORT)


async def by_session_token(token: str | None, client: Client, token_transports: frozenset[TokenTransport]) -> Caller:
    """Whose session this token is, where it is live and meant for one of these carriers; its use is noted."""
    session = await find_session(token) if token else None
    if session is None or session.token_transport not in token_transports:
        return Caller(client)
    await record_session_seen(session)
    await record_user_seen(session.user)
    return Caller(client, session, token)


def client_of(request: HTTPConnection) -> Client:
    """Address and browser, as far as they are told. What is no address (a socket's path, a proxy's word) is None."""
    return Client(_address(request.client.host) if request.client else None, request.headers.get("user-agent"))


@lru_cache(maxsize=1_024)
def _address(host: str) -> str | None:
    """Without its zone (RFC 4007, 11): that is any text of whoever sends it, and means something on its own machine alone."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def cookie_name(settings: Settings, token_transport: TokenTransport) -> str:
    """The name of the members' or the admin panel's cookie (contract §5).

    `__Host-` makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis, 4.1.3.2), so it stands where all three hold.
    """
    admin = token_transport is TokenTransport.ADMIN_COOKIE
    prefix = "__Host-" if settings.is_secure and (admin or settings.cookie_domain is None) else ""
    return f"{prefix}doorcode-admin" if admin else f"{prefix}doorcode"


def is_same_origin(request: HTTPConnection, settings: Settings) -> bool:
    """Whether the browser says that a page of this very origin sent the request. A request that says nothing is not.

    `Sec-Fetch-Site` (Fetch Metadata) decides where it is sent: the browser has compared the two origins itself. `Origin`
    decides in older browsers, and on plain http.
    """
    site = request.headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else request.headers.get("origin") == settings.public_url


def may_use_members_cookie(request: HTTPConnection, settings: Settings) -> bool:
    """Same origin, or an exact allowed origin under the cookie domain."""
    origin = request.headers.get("origin")
    return is_same_origin(request, settings) or (origin is not None and is_under_cookie_domain(origin, settings))


def is_under_cookie_domain(origin: str, settings: Settings) -> bool:
    """Whether a page of this origin may send the members' cookie to GraphQL (credentialed CORS)."""
    domain, host = settings.cookie_domain, urlsplit(origin).hostname or ""
    return domain is not None and origin in settings.allowed_origins and (host == domain or host.endswith("." + domain))


async def _by_cookie(request: HTTPConnection, settings: Settings, client: Client) -> Caller:
    """The admin's cookie first, and only for this origin; then the members'."""
    if "cookie" not in request.headers:
        return Caller(client)
    for token_transport, trusted in (
        (TokenTransport.ADMIN_COOKIE, is_same_origin),
        (TokenTransport.COOKIE, may_use_members_cookie),
    ):
        token = request.cookies.get(cookie_name(settings, token_transport))
        if token and trusted(request, settings):
            caller = await by_session_token(token, client, frozenset({token_transport}))
            if caller.session:
                return caller
    return Caller(client)


def bearer_token(request: HTTPConnection) -> str | None:
    """The token behind `Bearer` (RFC 6750, 2.1), the empty one too; None where no such header was sent."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
