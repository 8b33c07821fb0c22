"""`/login`: signing in by email, for everyone, on the members' cookie (contract §5). Two plain forms: the address, then the code.

What happened is told the same for every address. Another site's form signs nobody in: each form has to come from here.
"""

import math
from typing import TypedDict
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.credentials import client_of, is_same_origin
from service.email_login.codes import find_request
from service.email_login.configuration import read_configuration
from service.email_login.login import exchange_email_code, request_email_code, resend_wait
from service.errors import BadUserInput, SignInErrorCode, SignInRefused
from service.sessions.lifecycle import end_session
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web import link_login
from service.web.destination import after_sign_in
from service.web.email_refusals import refuse_other_origin, show_refused_sign_in
from service.web.forms import given_once, read_form
from service.web.front_page import show_front_page
from service.web.pages import page
from service.web.requests import instance_of, member_of
from service.web.security import see_other, set_session_cookie

PATH = "/login"
CODE_PATH = "/login/code"

_MINUTE = 60  # seconds

_NO_ADDRESS = "This is not an email address. Check how it is written."
_OVER = "That request is over. Ask for another code."
_WRONG_CODE = "This code is not right, or no longer valid. Check it, or ask for another one."


class _Answer(TypedDict):
    problem: str
    status: int
    headers: dict[str, str]


async def answer_email_sign_in(request: Request) -> Response:
    """`/login`. A code of another system's makes it link login, in a link as in a form."""
    fields = await read_form(request) if request.method == "POST" else request.query_params
    if "externalAuthCode" in fields:
        return await link_login.answer_link_login(request)
    return await (ask_for_code(request) if request.method == "POST" else show_sign_in(request))


async def show_sign_in(request: Request) -> Response:
    """`GET /login`: asks for the address; or says who is signed in, or that there is another way."""
    if (await member_of(request)).session or not (await read_configuration()).enabled:
        return await show_front_page(request)
    query = request.query_params
    return _address_form(request, given_once(query, "email") or "", given_once(query, "returnTo"))


async def ask_for_code(request: Request) -> Response:
    """`POST /login`: has a code sent, and goes on to the page that asks for it."""
    instance = instance_of(request)
    if not is_same_origin(request, instance.settings):
        return refuse_other_origin(request)
    form = await read_form(request)
    email, return_to = given_once(form, "email") or "", given_once(form, "returnTo")
    try:
        asked = await request_email_code(email, client_of(request), instance.email_login)
    except BadUserInput:
        return _address_form(request, email, return_to, problem=_NO_ADDRESS, status=400)
    except SignInRefused as refusal:
        if refusal.code is SignInErrorCode.TOO_MANY_ATTEMPTS:
            return _address_form(request, email, return_to, **_too_many(refusal))
        return show_refused_sign_in(request, refusal)
    parameters = {"request": asked.id} | ({} if return_to is None else {"returnTo": return_to})
    return see_other(instance.settings, f"{CODE_PATH}?{urlencode(parameters)}")


async def answer_email_code(request: Request) -> Response:
    """`/login/code`: asks for the code, and signs in by it."""
    if request.method == "POST":
        return await _sign_in(request)
    query = request.query_params
    return await _code_form(request, given_once(query, "request") or "", given_once(query, "returnTo"))


async def welcome(request: Request, result: SignInResult, return_to: str | None) -> Response:
    """A new session, always; the one that this browser had before ends, because nobody is left who could end it."""
    settings = instance_of(request).settings
    before = (await member_of(request)).session
    if before is not None:
        await end_session(before.id)
    response = see_other(settings, after_sign_in(settings, return_to))
    set_session_cookie(response, settings, TokenTransport.COOKIE, result.token, result.session.expires_at)
    return response


async def _sign_in(request: Request) -> Response:
    instance = instance_of(request)
    if not is_same_origin(request, instance.settings):
        return refuse_other_origin(request)
    form = await read_form(request)
    request_id, return_to = given_once(form, "request") or "", given_once(form, "returnTo")
    attempt = SignInAttempt(client_of(request), TokenTransport.COOKIE)
    try:
        result = await exchange_email_code(request_id, given_once(form, "code") or "", attempt, instance.email_login)
    except SignInRefused as refusal:
        if refusal.code is SignInErrorCode.INVALID_EMAIL_CODE:
            return await _code_form(request, request_id, return_to, problem=_WRONG_CODE, status=401)
        if refusal.code is SignInErrorCode.TOO_MANY_ATTEMPTS:
            return await _code_form(request, request_id, return_to, **_too_many(refusal))
        return show_refused_sign_in(request, refusal)
    return await welcome(request, result, return_to)


def _address_form(
    request: Request,
    email: str,
    return_to: str | None,
    *,
    problem: str | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return page(
        instance_of(request).settings,
        "email_sign_in.html",
        status=status,
        checks_origin=True,
        headers=headers,
        email=email,
        return_to=return_to,
        problem=problem,
    )


async def _code_form(
    request: Request,
    request_id: str,
    return_to: str | None,
    *,
    problem: str | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Without the request, which may be long over, there is only the address to begin again with."""
    asked = await find_request(request_id)
    if asked is None:
        return _address_form(request, "", return_to, problem=problem or _OVER, status=max(status, 401), headers=headers)
    return page(
        instance_of(request).settings,
        "email_code.html",
        status=status,
        checks_origin=True,
        scripts=True,
        headers=headers,
        request_id=request_id,
        asked=asked,
        resend_seconds=resend_wait(asked),
        return_to=return_to,
        problem=problem,
    )


def _too_many(refusal: SignInRefused) -> _Answer:
    """What the form says and how, with the time to wait."""
    seconds = refusal.retry_after or 1
    wait = f"{seconds} seconds" if seconds < 2 * _MINUTE else f"{math.ceil(seconds / _MINUTE)} minutes"
    return {
        "problem": f"Too many tries from your network, or for this address. Wait {wait}, then try again.",
        "status": 429,
        "headers": {"Retry-After": str(seconds)},
    }
