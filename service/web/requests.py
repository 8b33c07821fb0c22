"""What the routes here read from a request: the instance behind it, and whose members' cookie it carries."""

from typing import cast

from starlette.requests import Request

from service.authority import Caller
from service.credentials import by_cookie
from service.instance import Instance
from service.sessions.models import TokenTransport


def instance_of(request: Request) -> Instance:
    """The instance that the application's lifespan has opened."""
    return cast(Instance, request.app.state.instance)


async def member_of(request: Request) -> Caller:
    """Whose members' cookie the request carries, wherever it comes from.

    Links to these pages stand on other sites on purpose, so the same-origin rule does not hold here. No other site can
    read these pages, and nothing is changed by reading them.
    """
    return await by_cookie(request, instance_of(request).settings, TokenTransport.COOKIE)
