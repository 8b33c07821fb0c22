"""Passes requests for `/graphql` to their route directly.

Nearly every request is one, so this skips the route search.
"""

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class GraphQLFastPath:
    """ASGI middleware.

    The route must have no path parameters, and its application must answer every method and error.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the route if the path is the route's, else to the application."""
        if scope["type"] == "http" and scope["path"] == self._route.path:
            scope["route"] = self._route
            await self._route.app(scope, receive, send)
        else:
            await self._app(scope, receive, send)
