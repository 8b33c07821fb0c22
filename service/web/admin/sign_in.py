"""The panel's own sign-in: a code by mail, on the admin cookie; the set-up link of the first admin; an admin's invitation.

Every sign-in opens a new session. Whoever signs in and is no admin gets no cookie here.
"""

from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from service.accounts.models import UserRole
from service.credentials import client_of, cookie_tokens, is_same_origin
from service.email_login.codes import find_request
from service.email_login.link_sign_in import LinkNotGood, use_invitation, use_setup_link
from service.email_login.links import find_invited, is_setup_link
from service.email_login.login import exchange_email_code, request_email_code, resend_wait
from service.errors import BadUserInput, Forbidden, Refusal, SeatLimitReached, SignInErrorCode, SignInRefused
from service.sessions.lifecycle import end_session, find_session
from service.sessions.models import TokenTransport
from service.settings import MailDelivery
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web.admin.page import SIGN_IN, in_words, text_of
from service.web.destination import safe_path
from service.web.forms import read_form
from service.web.pages import page
from service.web.requests import instance_of
from service.web.security import clear_session_cookie, see_other, set_session_cookie

PANEL = "/admin/users"
CODE = f"{SIGN_IN}/code"

_TOO_MANY = 429
_OFF = "Email login is off. Whoever runs the service can let an admin in: doorcode admin invite prints a link."
_OVER = "That request is over. Ask for another code."


async def show_sign_in(request: Request) -> Response:
    """`GET /admin/login`: asks for the address."""
    return _page(request, "login.html", email="", return_to=_return_to(request.query_params.get("returnTo")))


async def ask_for_code(request: Request) -> Response:
    """`POST /admin/login`: has a code sent; the answer is the same for every address."""
    form = await _form_of(request)
    if form is None:
        return _refused_origin(request)
    email, return_to = text_of(form, "email"), _return_to(text_of(form, "returnTo"))
    try:
        asked = await request_email_code(email, client_of(request), instance_of(request).email_login)
    except (BadUserInput, SignInRefused) as refused:
        return _page(request, "login.html", refused, email=email, return_to=return_to)
    query = urlencode({"request": asked.id, "returnTo": return_to})
    return see_other(instance_of(request).settings, f"{CODE}?{query}")


async def show_code_form(request: Request) -> Response:
    """`GET /admin/login/code?request=…`: asks for the six digits."""
    query = request.query_params
    return await _code_form(request, query.get("request", ""), _return_to(query.get("returnTo")))


async def sign_in(request: Request) -> Response:
    """`POST /admin/login/code`: the digits for a session on the admin cookie."""
    form = await _form_of(request)
    if form is None:
        return _refused_origin(request)
    request_id, return_to = text_of(form, "request"), _return_to(text_of(form, "returnTo"))
    attempt = SignInAttempt(client_of(request), TokenTransport.ADMIN_COOKIE)
    admin_page = instance_of(request).email_login
    try:
        result = await exchange_email_code(request_id, text_of(form, "code"), attempt, admin_page)
    except SignInRefused as refused:
        return await _code_form(request, request_id, return_to, refused)
    except Forbidden as refused:
        return _page(request, "login.html", refused, email="", return_to=return_to)
    return await _welcome(request, result, return_to)


async def show_setup(request: Request) -> Response:
    """`GET /admin/setup?token=…`: a form, which mail scanners do not send."""
    token = request.query_params.get("token", "")
    return _page(request, "setup.html", token=token, email="") if await is_setup_link(token) else _gone(request)


async def set_up(request: Request) -> Response:
    """`POST /admin/setup`: makes the first admin; the link works for one of several who open it at once."""
    form = await _form_of(request)
    if form is None:
        return _refused_origin(request)
    token, email = text_of(form, "token"), text_of(form, "email")
    attempt = SignInAttempt(client_of(request), TokenTransport.ADMIN_COOKIE)
    try:
        result = await use_setup_link(token, email, attempt, instance_of(request).email_login)
    except LinkNotGood:
        return _gone(request)
    except (BadUserInput, SeatLimitReached) as refused:
        return _page(request, "setup.html", refused, token=token, email=email)
    return await _welcome(request, result, PANEL)


async def show_invitation(request: Request) -> Response:
    """`GET /admin/invitation?token=…`: a button."""
    token = request.query_params.get("token", "")
    user = await find_invited(token)
    if user is None or user.role is not UserRole.ADMIN:
        return _gone(request)
    return _page(request, "invitation.html", token=token, email=user.email)


async def accept_invitation(request: Request) -> Response:
    """`POST /admin/invitation`: signs the invited admin in."""
    form = await _form_of(request)
    if form is None:
        return _refused_origin(request)
    attempt = SignInAttempt(client_of(request), TokenTransport.ADMIN_COOKIE)
    try:
        result = await use_invitation(text_of(form, "token"), attempt, instance_of(request).email_login)
    except LinkNotGood:
        return _gone(request)
    except SignInRefused as refused:
        return _page(request, "login.html", refused, email="", return_to=PANEL)
    return await _welcome(request, result, PANEL)


async def sign_out(request: Request) -> Response:
    """`POST /admin/logout`: ends the admin's session."""
    if await _form_of(request) is None:
        return _refused_origin(request)
    settings = instance_of(request).settings
    await _end_session_before(request)
    response = see_other(settings, SIGN_IN)
    clear_session_cookie(response, settings, TokenTransport.ADMIN_COOKIE)
    return response


async def _welcome(request: Request, result: SignInResult, where: str) -> Response:
    """A new session in place of the one that the cookie had."""
    settings = instance_of(request).settings
    await _end_session_before(request)
    response = see_other(settings, where)
    set_session_cookie(response, settings, TokenTransport.ADMIN_COOKIE, result.token, result.session.expires_at)
    return response


async def _end_session_before(request: Request) -> None:
    for token in cookie_tokens(request, instance_of(request).settings, TokenTransport.ADMIN_COOKIE):
        session = await find_session(token)
        if session is not None and session.token_transport is TokenTransport.ADMIN_COOKIE:
            await end_session(session.id)


async def _form_of(request: Request) -> FormData | None:
    """The form, where a page of this origin sent it: else somebody could be signed in as somebody else."""
    return await read_form(request) if is_same_origin(request, instance_of(request).settings) else None


def _return_to(path: str | None) -> str:
    """A page of the panel to go on to, and nothing else."""
    return safe if path and (safe := safe_path(path)).startswith("/admin/") and not safe.startswith(SIGN_IN) else PANEL


async def _code_form(
    request: Request, request_id: str, return_to: str, refused: SignInRefused | None = None
) -> Response:
    """Without the request, which may be long over, there is only the address to begin again with."""
    asked = await find_request(request_id)
    if asked is None:
        return _page(request, "login.html", refused or _OVER, email="", return_to=return_to)
    wait = resend_wait(asked)
    values = {"request_id": request_id, "asked": asked, "resend_seconds": wait, "return_to": return_to}
    return _page(request, "login_code.html", refused, scripts=True, **values)


def _page(request: Request, template: str, refused: Refusal | str | None = None, **values: Any) -> Response:
    problem = in_words(refused.message) if isinstance(refused, Refusal) else refused
    status, headers = 200 if problem is None else 422, {}
    if isinstance(refused, Forbidden):
        status = 403
    if isinstance(refused, SignInRefused):
        problem = _OFF if refused.code is SignInErrorCode.EMAIL_LOGIN_DISABLED else problem
        status = _TOO_MANY if refused.code is SignInErrorCode.TOO_MANY_ATTEMPTS else 401
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
    settings = instance_of(request).settings
    values["no_mail_is_sent"] = settings.mail_delivery is MailDelivery.NONE
    values["mail_is_printed"] = settings.mail_delivery is MailDelivery.TERMINAL
    return page(
        settings,
        f"admin/{template}",
        status=status,
        checks_origin=True,
        headers=headers,
        problem=problem,
        **values,
    )


def _gone(request: Request) -> Response:
    return page(instance_of(request).settings, "admin/link_gone.html", status=404)


def _refused_origin(request: Request) -> Response:
    return page(instance_of(request).settings, "admin/refused_origin.html", status=403)
