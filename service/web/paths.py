"""Paths with a slash too many, such as `//login` and `/graphql/`: a base URL that ends with `/`, and a path added to it."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_REPEATED = re.compile(r"/{2,}")
# Only what people and programs build an address for. A proxy may block a path such as /admin or /metrics, and it would
# not recognise another spelling of it.
_TOLERANT = frozenset({"/", "/login", "/login/start", "/graphql", "/logout", "/widget.js", "/invitation"})


class TolerantPaths:
    """ASGI middleware. Serves the route that was meant. Without a redirect, which would repeat the code in its address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the path that was meant."""
        path = scope.get("path", "")
        if scope["type"] == "http" and ("//" in path or path[-1:] == "/"):
            meant = _REPEATED.sub("/", path).rstrip("/") or "/"
            if meant in _TOLERANT and meant != path:
                scope["path"], scope["raw_path"] = meant, meant.encode()
        await self._app(scope, receive, send)
