"""Who is signed in: the page where no application takes over, and signing out."""

from starlette.requests import Request
from starlette.responses import Response

from service.credentials import cookie_tokens, may_use_members_cookie
from service.email_login.configuration import read_configuration
from service.sessions.lifecycle import end_session, find_session
from service.sessions.models import TokenTransport
from service.web.destination import HERE, application_elsewhere
from service.web.pages import page
from service.web.requests import instance_of, member_of
from service.web.security import clear_session_cookie, see_other

_COOKIES = (TokenTransport.COOKIE, TokenTransport.ADMIN_COOKIE)


async def show_front_page(request: Request) -> Response:
    """`GET /` sends people on to the application; without one, as on `/login`, they read who is signed in."""
    settings = instance_of(request).settings
    application = application_elsewhere(settings)
    if application is not None and request.url.path == HERE:
        return see_other(settings, application)
    session = (await member_of(request)).session
    if session is None:
        return page(settings, "signed_out.html", by_email=(await read_configuration()).enabled)
    return page(settings, "signed_in.html", checks_origin=True, session=session, application=application)


async def sign_out(request: Request) -> Response:
    """`POST /logout`: ends what the cookies carry, and clears both. Only for a page that may use the members' cookie."""
    settings = instance_of(request).settings
    if not may_use_members_cookie(request, settings):
        return page(settings, "sign_out_refused.html", status=403)
    response = see_other(settings, settings.app_url or HERE)
    for token_transport in _COOKIES:
        for token in cookie_tokens(request, settings, token_transport):
            await _end_session_in(token, token_transport)
        clear_session_cookie(response, settings, token_transport)
    return response


async def _end_session_in(token: str, token_transport: TokenTransport) -> None:
    """A bearer's token in a cookie was put there by somebody else, and is none of ours to end."""
    session = await find_session(token)
    if session is not None and session.token_transport is token_transport:
        await end_session(session.id)
