"""Starting a sign-in at the customer's own page, and the ways to sign in that a page offers (contract §5a)."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.email_login.configuration import read_configuration
from service.external_auth.customer_sign_in import JwtSignIn
from service.web.destination import safe_path
from service.web.forms import given_once
from service.web.navigation import is_navigation, refuse_other_than_navigation
from service.web.prefetch import is_speculative, refuse_speculative_request
from service.web.requests import instance_of
from service.web.security import see_other
from service.web.sign_in.link_parameters import without_code
from service.web.sign_in.started import StartedSignIns

PATH = "/login/start"
LOGIN_PATH = "/login"


@dataclass(frozen=True, slots=True)
class SignInWays:
    """The addresses of the ways to sign in, each None if it is not available."""

    start: str | None
    """Leads to the customer's own page."""
    email: str | None


async def sign_in_ways(request: Request, return_to: str | None) -> SignInWays:
    """Return the ways that are available now. Both keep `returnTo`."""
    kept = {} if return_to is None else {"returnTo": return_to}
    starts = (await _customer(request)).sign_in_url is not None
    by_email = (await read_configuration()).enabled
    return SignInWays(
        _address(PATH, kept) if starts else None,
        _address(LOGIN_PATH, ({"method": "email"} if starts else {}) | kept) if by_email else None,
    )


async def start_sign_in(request: Request) -> Response:
    """`GET /login/start`: go to the customer's own page. Without one, to `/login`."""
    settings = instance_of(request).settings
    if is_speculative(request):
        return refuse_speculative_request()
    if request.method == "HEAD":
        return Response(headers={"Cache-Control": "no-store"})
    if not is_navigation(request):
        return await refuse_other_than_navigation(request)
    return_to = read_return_to(request)
    kept = {} if return_to is None else {"returnTo": return_to}
    return await _start(request, return_to, automatic=False) or see_other(settings, _address(LOGIN_PATH, kept))


async def start_by_itself(request: Request, return_to: str | None) -> Response | None:
    """Return the redirect to the customer's own page, if `/login` goes there by itself. Else None, and a page is shown."""
    if request.method == "HEAD" or is_speculative(request) or not is_navigation(request):
        return None
    may_start = StartedSignIns.of(request, instance_of(request).settings).may_start_automatically
    if not may_start or not (await _customer(request)).start_automatically:
        return None
    return await _start(request, return_to, automatic=True)


def read_return_to(request: Request) -> str | None:
    """Return the query parameter `returnTo` without codes."""
    return_to = given_once(request.query_params, "returnTo")
    return None if return_to is None else without_code(return_to)


async def _start(request: Request, return_to: str | None, *, automatic: bool) -> Response | None:
    settings = instance_of(request).settings
    state, started = StartedSignIns.of(request, settings).start(automatic=automatic)
    url = (await _customer(request)).start_url(state, None if return_to is None else safe_path(return_to))
    if url is None:
        return None
    response = see_other(settings, url)
    started.remember(response, settings)
    return response


async def _customer(request: Request) -> JwtSignIn:
    """Return how sign-in starts at the customer's: not at all while JWT sign-in is disabled."""
    configuration = await instance_of(request).external_auth.configuration_cache.current()
    return configuration.sign_in if configuration.enabled else JwtSignIn()


def _address(path: str, parameters: dict[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path
