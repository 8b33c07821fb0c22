"""The admin panel's own sign-in: the email flow on the admin cookie, the set-up link, and signing out."""

from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.page_urls import ADMIN_INVITATION_PATH, SETUP_PATH
from service.sessions.models import TokenTransport
from service.settings import MailDelivery, Settings
from service.web.admin.page import SIGN_IN
from service.web.destination import safe_path
from service.web.forms import form_route
from service.web.navigation import on_navigation
from service.web.requests import instance_of
from service.web.security import see_other
from service.web.sign_in import email, one_time_links
from service.web.sign_in.cookie_session import sign_out_of
from service.web.sign_in.place import Problem, SignInPlace
from service.web.sign_in.routes import email_sign_in_routes

_FIRST_PAGE = "/admin"
_ENDED = Problem(
    "Your session has ended, so your last change was not made. Sign in: you return to the page, and can make it again.",
    200,
)


def _panel_page(return_to: str | None) -> str:
    """Return `returnTo` if it is a page of the panel, else the first page."""
    path = safe_path(return_to) if return_to else ""
    return path if path.startswith("/admin/") and not path.startswith(SIGN_IN) else _FIRST_PAGE


def _destination(settings: Settings, return_to: str | None) -> str:
    return _panel_page(return_to)


def _mail_delivery(settings: Settings) -> Mapping[str, object]:
    return {
        "no_mail_is_sent": settings.mail_delivery is MailDelivery.NONE,
        "mail_is_printed": settings.mail_delivery is MailDelivery.TERMINAL,
    }


ADMINS = SignInPlace(
    token_transport=TokenTransport.ADMIN_COOKIE,
    path=SIGN_IN,
    invitation_path=ADMIN_INVITATION_PATH,
    templates="admin/sign_in",
    read_return_to=_panel_page,
    destination=_destination,
    values=_mail_delivery,
)


def admin_sign_in_routes() -> list[Route]:
    """Return the routes on which admins sign in to the panel and out of it."""
    return [
        form_route(ADMINS.path, show=_show_sign_in, send=partial(email.request_code, ADMINS)),
        *email_sign_in_routes(ADMINS),
        form_route(
            SETUP_PATH,
            show=partial(one_time_links.show_setup, ADMINS),
            send=on_navigation(partial(one_time_links.set_up, ADMINS)),
        ),
        form_route("/admin/logout", send=_sign_out),
    ]


async def _show_sign_in(request: Request) -> Response:
    """`GET /admin/login`. With `ended`, also the answer to a form that was sent without a session."""
    return await email.show_address_form(ADMINS, request, _ENDED if "ended" in request.query_params else None)


async def _sign_out(request: Request) -> Response:
    """`POST /admin/logout`: end the session of the admin cookie."""
    response = see_other(instance_of(request).settings, SIGN_IN)
    await sign_out_of(request, response, TokenTransport.ADMIN_COOKIE)
    return response
