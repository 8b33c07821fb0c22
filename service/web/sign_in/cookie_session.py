"""The session in a cookie: opened by a sign-in, ended by signing out or by the next sign-in."""

from starlette.requests import Request
from starlette.responses import Response

from service.audit.log import Actor
from service.credentials import client_of, cookie_tokens, device_token
from service.email_login.known_clients import new_device_token
from service.sessions.administration import OwnEnd, end_own_session
from service.sessions.lifecycle import LiveSession, find_session
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web.requests import instance_of
from service.web.security import clear_session_cookie, see_other, set_device_cookie, set_session_cookie


def email_attempt(request: Request, token_transport: TokenTransport) -> SignInAttempt:
    """Return an attempt to sign in by email or by a one-time link. A browser without a device token gets a new one."""
    device = device_token(request, instance_of(request).settings) or new_device_token()
    return SignInAttempt(client_of(request), token_transport, device=device)


def go_on_signed_in(request: Request, result: SignInResult, location: str, *, device: str | None = None) -> Response:
    """Return a redirect that sets the cookie of the session's token transport and, if given, the device cookie."""
    settings = instance_of(request).settings
    response = see_other(settings, location)
    set_session_cookie(response, settings, result.session.token_transport, result.token, result.session.expires_at)
    if device is not None:
        set_device_cookie(response, settings, device)
    return response


async def sign_out_of(request: Request, response: Response, token_transport: TokenTransport) -> None:
    """End the sessions in the cookies of this token transport, and let the response clear the cookie."""
    await end_sessions_in_cookies(request, token_transport, OwnEnd.SIGNED_OUT)
    clear_session_cookie(response, instance_of(request).settings, token_transport)


async def end_sessions_in_cookies(request: Request, token_transport: TokenTransport, how: OwnEnd) -> None:
    """End the sessions in the cookies of this token transport. A browser may send several cookies of one name.

    Never end a session of another token transport found in the cookie: the service did not set that cookie, so an attacker
    may have planted it.
    """
    for token in cookie_tokens(request, instance_of(request).settings, token_transport):
        session = await find_session(token)
        if session is not None and session.token_transport is token_transport:
            await end_session_of(request, session, how)


async def end_session_of(request: Request, session: LiveSession, how: OwnEnd) -> None:
    """End a session of the user who sent the request, and record it in the audit log."""
    await end_own_session(session, Actor.of_user(session.user.id, client_of(request).ip_address), how)
