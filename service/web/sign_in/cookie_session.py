"""The session in a cookie: opened by a sign-in, ended by signing out or by the next sign-in."""

from starlette.requests import Request
from starlette.responses import Response

from service.credentials import cookie_tokens
from service.sessions.lifecycle import end_session, find_session
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInResult
from service.web.requests import instance_of
from service.web.security import clear_session_cookie, see_other, set_session_cookie


def go_on_signed_in(request: Request, result: SignInResult, location: str) -> Response:
    """Return a redirect that sets the cookie of the session's token transport."""
    settings = instance_of(request).settings
    response = see_other(settings, location)
    set_session_cookie(response, settings, result.session.token_transport, result.token, result.session.expires_at)
    return response


async def sign_out_of(request: Request, response: Response, token_transport: TokenTransport) -> None:
    """End the sessions in the cookies of this token transport, and let the response clear the cookie."""
    await end_sessions_in_cookies(request, token_transport)
    clear_session_cookie(response, instance_of(request).settings, token_transport)


async def end_sessions_in_cookies(request: Request, token_transport: TokenTransport) -> None:
    """End the sessions in the cookies of this token transport. A browser may send several cookies of one name.

    Never end a session of another token transport found in the cookie: the service did not set that cookie, so an attacker
    may have planted it.
    """
    for token in cookie_tokens(request, instance_of(request).settings, token_transport):
        session = await find_session(token)
        if session is not None and session.token_transport is token_transport:
            await end_session(session.id)
