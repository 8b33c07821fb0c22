"""Whom a request is for and whom it comes from, before anything else looks at it: the `Host` header, and IPv4 in IPv6."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.ip_addresses import parse_address
from service.settings import Settings, is_loopback
from service.web.failures import misdirected

_METRICS = "/metrics"
_PROBES = frozenset({"/healthz", "/readyz", _METRICS})
_FORWARD_AUTH = "/verify"
_MAPPED = "::ffff:"


class KnownHosts:
    """ASGI middleware. Answers 421 if the `Host` header names another host than the public URL does.

    A page of another site whose name an attacker has pointed to this address (DNS rebinding) sends its own name. Probes
    and reverse proxies that ask `/verify` use the address at which they reach this service, so any name will do there.
    Metrics that need no token are an exception: they are answered at addresses, which no attacker can point elsewhere,
    and at the names that are answered everywhere. Ports are not compared: proxies leave them out.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._name = urlsplit(settings.public_url).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it is for this service."""
        if scope["type"] != "http" or self._is_for_us(scope):
            await self._app(scope, receive, send)
        else:
            await misdirected(Request(scope), self._settings)(scope, receive, send)

    def _is_for_us(self, scope: Scope) -> bool:
        path = scope["path"]
        is_open_metrics = path == _METRICS and self._settings.is_on_loopback
        if path in _PROBES and not is_open_metrics:
            return True
        if path == _FORWARD_AUTH or path.startswith(_FORWARD_AUTH + "/"):
            return True
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        name = _name_in(hosts[0])
        return (
            name == self._name
            or (is_loopback(name) and self._is_local(scope))
            or (is_open_metrics and parse_address(name) is not None)
        )

    def _is_local(self, scope: Scope) -> bool:
        """Return whether loopback names may be used: the public URL has one, or the connection is on loopback."""
        server = scope.get("server")
        return self._settings.is_on_loopback or bool(server and is_loopback(str(server[0])))


class PlainClientAddress:
    """ASGI middleware. Writes the address of an IPv4 client of an IPv6 socket as IPv4, as settings and limits know it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the address that the proxy list and the rate limits compare."""
        client = scope.get("client")
        if client and client[0].lower().startswith(_MAPPED):
            scope["client"] = (_unmapped(client[0]), client[1])
        await self._app(scope, receive, send)


def _unmapped(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or host)


@lru_cache(maxsize=64)
def _name_in(host: bytes) -> str:
    """Return the name or address without the port, in lower case; empty if it cannot be read."""
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname
    except ValueError:
        return ""
    return (name or "").rstrip(".")
