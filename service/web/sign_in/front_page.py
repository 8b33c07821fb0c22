"""The front page, which says who is signed in if there is no application to go on to; and signing out."""

from starlette.requests import Request
from starlette.responses import Response

from service.sessions.lifecycle import LiveSession
from service.sessions.models import SignInMethod, TokenTransport
from service.web.branding import branded_page
from service.web.destination import HERE, after_sign_in, application_elsewhere
from service.web.requests import instance_of, member_of
from service.web.security import see_other
from service.web.sign_in.cookie_session import sign_out_of
from service.web.sign_in.start import read_return_to, sign_in_ways

_COOKIES = (TokenTransport.COOKIE, TokenTransport.ADMIN_COOKIE)


async def show_front_page(request: Request) -> Response:
    """`GET /`: redirect to the application. Without one, and on `/login`, show who is signed in."""
    settings = instance_of(request).settings
    application = application_elsewhere(settings)
    if application is not None and request.url.path == HERE:
        return see_other(settings, application)
    session, return_to = (await member_of(request)).session, read_return_to(request)
    if session is None:
        return await branded_page(request, "signed_out.html", ways=await sign_in_ways(request, return_to))
    return await branded_page(
        request,
        "signed_in.html",
        checks_origin=True,
        leads_to=await _sign_out_url(request, session),
        session=session,
        goes_on=None if application is None else after_sign_in(settings, return_to),
    )


async def sign_out(request: Request) -> Response:
    """`POST /logout`: end the sessions of both cookies, and clear both cookies."""
    settings = instance_of(request).settings
    session = (await member_of(request)).session
    sign_out_url = await _sign_out_url(request, session) if session else None
    response = see_other(settings, sign_out_url or settings.app_url or HERE)
    for token_transport in _COOKIES:
        await sign_out_of(request, response, token_transport)
    return response


async def _sign_out_url(request: Request, session: LiveSession) -> str | None:
    """Return where signing out leads at the customer's: only for a session that a code opened."""
    if session.method is not SignInMethod.EXTERNAL_JWT:
        return None
    return (await instance_of(request).external_auth.configuration_cache.current()).sign_in.sign_out_url
