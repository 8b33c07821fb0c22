"""What the routes here read from a request: the instance behind it, and whose members' cookie it carries."""

from typing import cast

from starlette.requests import Request

from service.authority import Caller, by_session_token, client_of, cookie_name
from service.instance import Instance
from service.sessions.models import Carrier

# Chromium and Firefox, older Chromium and Safari, Safari's previews, older Firefox.
_PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_SPECULATIVE = ("prefetch", "prerender", "preview")


def instance_of(request: Request) -> Instance:
    """The instance that the application's lifespan has opened."""
    return cast(Instance, request.app.state.instance)


async def member_of(request: Request) -> Caller:
    """Whose members' cookie the request carries, wherever it comes from.

    Links to these pages stand on other sites on purpose, so the same-origin rule does not hold here. No other site can
    read these pages, and nothing is changed by reading them.
    """
    token = request.cookies.get(cookie_name(instance_of(request).settings, Carrier.COOKIE))
    return await by_session_token(token, client_of(request), frozenset({Carrier.COOKIE}))


def is_speculative(request: Request) -> bool:
    """Whether the browser only fetches ahead, before anybody has followed the link."""
    purposes = " ".join(request.headers.get(name, "") for name in _PURPOSE_HEADERS).lower()
    return any(word in purposes for word in _SPECULATIVE)
