"""Sign-in by email for members and admins: the form for the address, then the form for the code (contract §5).

The pages are the same for every address, so they do not tell whether a user exists. The route helper has checked already
that a page of this origin sent the form.
"""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.clock import duration_in_words
from service.credentials import client_of, device_token
from service.email_login.codes import find_request
from service.email_login.login import exchange_email_code, request_email_code, resend_wait
from service.errors import BadUserInput, Forbidden, SignInRefused
from service.refusal_texts import REFUSAL_TEXTS, SignInErrorCode
from service.sessions.administration import OwnEnd
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web.forms import given_once, read_form
from service.web.requests import instance_of
from service.web.security import see_other
from service.web.sign_in.cookie_session import email_attempt, end_sessions_in_cookies, go_on_signed_in
from service.web.sign_in.place import Problem, SignInPlace
from service.web.sign_in.refused import show_refused_sign_in

NO_ADDRESS = "This is not an email address. Check how it is written."
_OVER = "That request is over. Ask for another code."


async def show_address_form(place: SignInPlace, request: Request, problem: Problem | None = None) -> Response:
    """`GET /login`, `GET /admin/login`: ask for the address, which the link may fill in."""
    query = request.query_params
    return_to = place.read_return_to(given_once(query, "returnTo"))
    return await _address_form(place, request, given_once(query, "email") or "", return_to, problem)


async def request_code(place: SignInPlace, request: Request) -> Response:
    """`POST /login`, `POST /admin/login`: have a code sent, and go on to the form that asks for it."""
    instance, form = instance_of(request), await read_form(request)
    email, return_to = given_once(form, "email") or "", place.read_return_to(given_once(form, "returnTo"))
    try:
        device = device_token(request, instance.settings)
        asked = await request_email_code(email, client_of(request), instance.email_login, device=device)
    except BadUserInput:
        return await _address_form(place, request, email, return_to, Problem(NO_ADDRESS, 400))
    except SignInRefused as refusal:
        if refusal.code is SignInErrorCode.TOO_MANY_ATTEMPTS:
            return await _address_form(place, request, email, return_to, _too_many(refusal))
        return await show_refused_sign_in(request, refusal, place.token_transport)
    parameters = {"request": asked.id} | ({} if return_to is None else {"returnTo": return_to})
    return see_other(instance.settings, f"{place.code_path}?{urlencode(parameters)}")


async def show_code_form(place: SignInPlace, request: Request) -> Response:
    """`GET /login/code`, `GET /admin/login/code`: ask for the six digits."""
    query = request.query_params
    return_to = place.read_return_to(given_once(query, "returnTo"))
    return await _code_form(place, request, given_once(query, "request") or "", return_to)


async def sign_in_by_code(place: SignInPlace, request: Request) -> Response:
    """`POST /login/code`, `POST /admin/login/code`: sign in by the six digits."""
    form = await read_form(request)
    request_id, return_to = given_once(form, "request") or "", place.read_return_to(given_once(form, "returnTo"))
    attempt = email_attempt(request, place.token_transport)
    try:
        result = await exchange_email_code(
            request_id, given_once(form, "code") or "", attempt, instance_of(request).email_login
        )
    except SignInRefused as refusal:
        if refusal.code is SignInErrorCode.INVALID_EMAIL_CODE:
            return await _code_form(place, request, request_id, return_to, Problem(refusal.message, 401))
        if refusal.code is SignInErrorCode.TOO_MANY_ATTEMPTS:
            return await _code_form(place, request, request_id, return_to, _too_many(refusal))
        return await show_refused_sign_in(request, refusal, place.token_transport)
    except Forbidden as refusal:
        return await _address_form(place, request, "", return_to, Problem(refusal.message, 403))
    return await welcome(place, request, attempt, result, return_to)


async def welcome(
    place: SignInPlace, request: Request, attempt: SignInAttempt, result: SignInResult, return_to: str | None
) -> Response:
    """Go on with the new session. The session that the cookie had before ends: no page could end it any more."""
    await end_sessions_in_cookies(request, place.token_transport, OwnEnd.REPLACED)
    destination = place.destination(instance_of(request).settings, return_to)
    return go_on_signed_in(request, result, destination, device=attempt.device)


async def _address_form(
    place: SignInPlace, request: Request, email: str, return_to: str | None, problem: Problem | None = None
) -> Response:
    return await place.show(request, "address", problem, email=email, return_to=return_to)


async def _code_form(
    place: SignInPlace, request: Request, request_id: str, return_to: str | None, problem: Problem | None = None
) -> Response:
    """Ask for the code; or for the address again, if the request is unknown or was deleted after it expired."""
    asked = await find_request(request_id)
    if asked is None:
        return await _address_form(place, request, "", return_to, problem or Problem(_OVER, 401))
    values = {"request_id": request_id, "asked": asked, "resend_seconds": resend_wait(asked), "return_to": return_to}
    return await place.show(request, "code", problem, scripts=True, **values)


def _too_many(refusal: SignInRefused) -> Problem:
    """Say how long to wait, or what to do if waiting does not help."""
    seconds = refusal.retry_after or 1
    remedy = refusal.remedy or f"Wait {duration_in_words(seconds)}, then try again."
    text = f"{REFUSAL_TEXTS[refusal.code].what_happened}. {remedy}"
    return Problem(text, 429, {"Retry-After": str(seconds)})
