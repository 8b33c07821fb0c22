"""The routes of signing in and out, for members; and those of email sign-in at any place."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.credentials import is_same_origin, may_use_members_cookie
from service.email_login.configuration import read_configuration
from service.page_urls import INVITATION_PATH
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.branding import branded_page
from service.web.destination import after_sign_in
from service.web.forms import form_route, given_once, read_form
from service.web.navigation import on_navigation
from service.web.requests import member_of
from service.web.sign_in import email, front_page, link, one_time_links, refused, start
from service.web.sign_in.link_parameters import corrected_return_to, has_code, has_code_elsewhere, without_code
from service.web.sign_in.place import SignInPlace

MEMBERS = SignInPlace(
    token_transport=TokenTransport.COOKIE,
    path=start.LOGIN_PATH,
    invitation_path=INVITATION_PATH,
    templates="sign_in",
    refused_origin="sign_in/refused_origin.html",
    read_return_to=lambda return_to: None if return_to is None else without_code(return_to),
    destination=after_sign_in,
)


def sign_in_routes() -> list[Route]:
    """Return the routes on which members sign in and out."""
    return [
        form_route(link.PATH, show=link.answer_link, send=link.answer_form, trusts=_trust_any_origin),
        form_route(
            MEMBERS.path, show=_show_login, send=_send_login, trusts=_trust_codes, refused=MEMBERS.refused_origin
        ),
        form_route(
            link.CONTINUE_PATH, show=link.continue_held, send=link.continue_held, refused=MEMBERS.refused_origin
        ),
        *email_sign_in_routes(MEMBERS),
        Route(start.PATH, start.start_sign_in),
        Route(refused.PATH, refused.show_refusal),
        form_route(
            "/logout", send=front_page.sign_out, trusts=_trust_application, refused="sign_in/sign_out_refused.html"
        ),
    ]


def email_sign_in_routes(place: SignInPlace) -> list[Route]:
    """Return the routes of the code and the invitation at a place. Its own path is not among them."""
    return [
        form_route(
            place.code_path,
            show=partial(email.show_code_form, place),
            send=on_navigation(partial(email.sign_in_by_code, place)),
            refused=place.refused_origin,
        ),
        form_route(
            place.invitation_path,
            show=partial(one_time_links.show_invitation, place),
            send=on_navigation(partial(one_time_links.accept_invitation, place)),
            refused=place.refused_origin,
        ),
    ]


async def _show_login(request: Request) -> Response:
    """`GET /login`: link login with a code; else the ways to sign in, or who is signed in.

    With `method=email`, always the form of email login, unless that is disabled: no setting of sign-in by codes
    can keep it out of reach.
    """
    query = request.query_params
    if (return_to := corrected_return_to(request.url.query)) is not None:
        return await link.drop_code(request, return_to)
    if has_code(query) or has_code_elsewhere(query):
        return await link.answer_link(request)
    return_to = start.read_return_to(request)
    wants_email = given_once(query, "method") == "email"
    if not wants_email and (await member_of(request)).session is None:
        if (started := await start.start_by_itself(request, return_to)) is not None:
            return started
        ways = await start.sign_in_ways(request, return_to)
        if ways.start is not None:
            return await branded_page(request, "sign_in/choose.html", ways=ways)
        wants_email = True
    if wants_email and (await read_configuration()).enabled:
        return await email.show_address_form(MEMBERS, request)
    return await front_page.show_front_page(request)


async def _send_login(request: Request) -> Response:
    """`POST /login`: link login with a code, else a request for an email code."""
    if has_code(await read_form(request)):
        return await link.answer_form(request)
    return await email.request_code(MEMBERS, request)


async def _trust_any_origin(request: Request, settings: Settings) -> bool:
    """Link login: the integrator's page, on another origin, sends the form. The signed code is what counts."""
    return True


async def _trust_codes(request: Request, settings: Settings) -> bool:
    """Link login from any origin; a request for an email code from this origin only."""
    return is_same_origin(request, settings) or has_code(await read_form(request))


async def _trust_application(request: Request, settings: Settings) -> bool:
    """The application's own pages may sign a member out, too."""
    return may_use_members_cookie(request, settings)
