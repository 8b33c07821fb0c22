"""What the routes read from a request: the instance, and the caller of the member cookie."""

from typing import cast

from starlette.requests import Request
from starlette.types import Scope

from service.authority import Caller
from service.credentials import by_cookie
from service.instance import Instance
from service.sessions.models import TokenTransport


def instance_of(request: Request) -> Instance:
    """Return the instance that the application's lifespan opened."""
    return cast(Instance, request.app.state.instance)


async def member_of(request: Request) -> Caller:
    """Return the caller of the member cookie, without a same-origin check.

    Other sites link to these pages, so the check would sign their visitors out. Another site cannot read these pages,
    and reading them changes nothing.
    """
    return await by_cookie(request, instance_of(request).settings, TokenTransport.COOKIE)


def route_of(scope: Scope) -> str:
    """Return the route's pattern, or "none".

    The path itself would give the metric one label for each URL that a client invents.
    """
    return getattr(scope.get("route"), "path", "none")
