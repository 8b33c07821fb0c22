"""Sign-in by a one-time link: the invitation of a member or an admin, and the set-up link of the first admin.

Opening a link shows a form and uses nothing up, because mail scanners open links. Sending the form signs in.
"""

from starlette.requests import Request
from starlette.responses import Response

from service.email_login.link_sign_in import LinkNotGood, find_invitation, use_invitation, use_setup_link
from service.email_login.links import is_setup_link
from service.errors import BadUserInput, SeatLimitReached, SignInRefused
from service.web.forms import given_once, read_form
from service.web.requests import instance_of
from service.web.sign_in.cookie_session import email_attempt
from service.web.sign_in.email import NO_ADDRESS, welcome
from service.web.sign_in.place import Problem, SignInPlace
from service.web.sign_in.refused import show_refused_sign_in


async def show_invitation(place: SignInPlace, request: Request) -> Response:
    """`GET /invitation`, `GET /admin/invitation`: a button."""
    token = given_once(request.query_params, "token") or ""
    user = await find_invitation(token, place.token_transport)
    if user is None:
        return await place.show_dead_link(request)
    return await place.show(request, "invitation", token=token, email=user.email)


async def accept_invitation(place: SignInPlace, request: Request) -> Response:
    """`POST /invitation`, `POST /admin/invitation`: sign in the invited user."""
    token = given_once(await read_form(request), "token") or ""
    attempt = email_attempt(request, place.token_transport)
    try:
        result = await use_invitation(token, attempt, instance_of(request).email_login)
    except LinkNotGood:
        return await place.show_dead_link(request)
    except SignInRefused as refusal:
        return await show_refused_sign_in(request, refusal, place.token_transport)
    return await welcome(place, request, attempt, result, place.read_return_to(None))


async def show_setup(place: SignInPlace, request: Request) -> Response:
    """`GET /admin/setup`: ask for the first admin's address."""
    token = given_once(request.query_params, "token") or ""
    if not await is_setup_link(token):
        return await place.show_dead_link(request)
    return await place.show(request, "setup", token=token, email="")


async def set_up(place: SignInPlace, request: Request) -> Response:
    """`POST /admin/setup`: make the first admin. The link works for one of several requests at the same moment."""
    form = await read_form(request)
    token, email = given_once(form, "token") or "", given_once(form, "email") or ""
    attempt = email_attempt(request, place.token_transport)
    try:
        result = await use_setup_link(token, email, attempt, instance_of(request).email_login)
    except LinkNotGood:
        return await place.show_dead_link(request)
    except BadUserInput:
        return await place.show(request, "setup", Problem(NO_ADDRESS, 400), token=token, email=email)
    except SeatLimitReached as refusal:
        return await place.show(request, "setup", Problem(refusal.message, 403), token=token, email=email)
    return await welcome(place, request, attempt, result, place.read_return_to(None))
