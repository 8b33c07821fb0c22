"""Routes whose modules are imported at their first request: the panel and the guide.

Importing them takes 0.06 seconds of the start, and no other request needs them.
"""

import asyncio
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Receive, Scope, Send


class LateRoutes(BaseRoute):
    """All routes at these paths and below them. `load` returns the routes. It runs once, in a thread."""

    def __init__(self, paths: Sequence[str], load: Callable[[], list[Route]]) -> None:
        self._paths = tuple(paths)
        self.load = load
        self._router: asyncio.Task[Router] | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the path is one of `paths` or below one of them."""
        is_here = scope["type"] == "http" and f"{scope['path']}/".startswith(tuple(f"{path}/" for path in self._paths))
        return (Match.FULL if is_here else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to its route. A path without a route is refused as everywhere else."""
        if self._router is None:
            self._router = asyncio.create_task(self._make_router())
        router = await asyncio.shield(self._router)  # another request may wait for it, too
        del scope["route"]  # this object, which has no path for the metrics
        await router(scope, receive, send)

    async def _make_router(self) -> Router:
        return Router(await asyncio.to_thread(self.load), redirect_slashes=False)
