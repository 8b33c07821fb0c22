"""`/invitation`: a member's one-time link. Looking at it shows a button, because mail scanners open links; pressing it signs in."""

from starlette.requests import Request
from starlette.responses import Response

from service.credentials import client_of, is_same_origin
from service.email_login.link_sign_in import LinkNotGood, use_invitation
from service.email_login.links import find_invited
from service.errors import SignInRefused
from service.page_urls import INVITATION_PATH
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt
from service.web.email_refusals import refuse_other_origin, show_refused_sign_in
from service.web.email_sign_in import welcome
from service.web.forms import given_once, read_form
from service.web.pages import page
from service.web.requests import instance_of

PATH = INVITATION_PATH


async def answer_invitation(request: Request) -> Response:
    """`GET` asks, `POST` signs in and goes on to the application."""
    return await (_accept(request) if request.method == "POST" else _show(request))


async def _show(request: Request) -> Response:
    token = given_once(request.query_params, "token") or ""
    user = await find_invited(token)
    if user is None:
        return _show_dead_link(request)
    return page(instance_of(request).settings, "invitation.html", checks_origin=True, token=token, email=user.email)


async def _accept(request: Request) -> Response:
    instance = instance_of(request)
    if not is_same_origin(request, instance.settings):
        return refuse_other_origin(request)
    token = given_once(await read_form(request), "token") or ""
    try:
        result = await use_invitation(
            token, SignInAttempt(client_of(request), TokenTransport.COOKIE), instance.email_login
        )
    except LinkNotGood:
        return _show_dead_link(request)
    except SignInRefused as refusal:
        return show_refused_sign_in(request, refusal)
    return await welcome(request, result, None)


def _show_dead_link(request: Request) -> Response:
    return page(instance_of(request).settings, "dead_link.html", status=401)
