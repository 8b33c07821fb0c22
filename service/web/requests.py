"""What the routes read from a request: the instance, and the caller of the member cookie."""

from starlette.requests import Request
from starlette.types import Scope

from service.authority import Caller
from service.credentials import by_cookie
from service.instance import Instance
from service.sessions.models import TokenTransport


class NotOpenYet(ConnectionError):
    """The process serves already and waits for its database."""


def instance_of(request: Request) -> Instance:
    """Return the instance that the application's lifespan opened. Raises `NotOpenYet`, which is answered 503."""
    instance: Instance | None = getattr(request.app.state, "instance", None)
    if instance is None:
        raise NotOpenYet("the database was not available at the start of this process")
    return instance


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
