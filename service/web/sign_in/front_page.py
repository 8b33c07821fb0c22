"""The front page, which says who is signed in if there is no application to go on to; and signing out."""

from starlette.requests import Request
from starlette.responses import Response

from service.email_login.configuration import read_configuration
from service.sessions.models import TokenTransport
from service.web.destination import HERE, application_elsewhere
from service.web.pages import page
from service.web.requests import instance_of, member_of
from service.web.security import see_other
from service.web.sign_in.cookie_session import sign_out_of

_COOKIES = (TokenTransport.COOKIE, TokenTransport.ADMIN_COOKIE)


async def show_front_page(request: Request) -> Response:
    """`GET /`: redirect to the application. Without one, and on `/login`, show who is signed in."""
    settings = instance_of(request).settings
    application = application_elsewhere(settings)
    if application is not None and request.url.path == HERE:
        return see_other(settings, application)
    session = (await member_of(request)).session
    if session is None:
        return page(settings, "signed_out.html", by_email=(await read_configuration()).enabled)
    return page(settings, "signed_in.html", checks_origin=True, session=session, application=application)


async def sign_out(request: Request) -> Response:
    """`POST /logout`: end the sessions of both cookies, and clear both cookies."""
    settings = instance_of(request).settings
    response = see_other(settings, settings.app_url or HERE)
    for token_transport in _COOKIES:
        await sign_out_of(request, response, token_transport)
    return response
