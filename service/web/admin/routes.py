"""The routes of the panel: what each page shows, and what its forms do."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.page_urls import ADMIN_INVITATION_PATH, SETUP_PATH
from service.web.admin import api_keys, audit, authentication, debugger, seats, sign_in, snippets, user, users
from service.web.admin.page import SIGN_IN, FormHandler, FormPage, done_by_admins, shown_to_admins
from service.web.forms import MAX_BODY
from service.web.requests import instance_of
from service.web.security import see_other

Endpoint = Callable[[Request], Awaitable[Response]]


def admin_routes() -> list[Route]:
    """Return all routes under `/admin`."""
    return [
        Route("/admin", _to_users),
        Route("/admin/", _to_users),
        _route(SIGN_IN, sign_in.show_sign_in, sign_in.ask_for_code),
        _route(sign_in.CODE, sign_in.show_code_form, sign_in.sign_in),
        _route(SETUP_PATH, sign_in.show_setup, sign_in.set_up),
        _route(ADMIN_INVITATION_PATH, sign_in.show_invitation, sign_in.accept_invitation),
        Route("/admin/logout", sign_in.sign_out, methods=["POST"], max_body_size=MAX_BODY),
        _page(users.USERS, users.show_users, users.invite),
        Route(f"{users.USERS}.csv", shown_to_admins(users.export_users)),
        _page(user.USER, user.show_user, user.change_user),
        _page(
            authentication.AUTHENTICATION,
            authentication.show_authentication,
            authentication.change_authentication,
        ),
        Route(authentication.SECRET, shown_to_admins(authentication.show_secret)),
        Route(snippets.SNIPPETS, shown_to_admins(snippets.show_snippets)),
        _page(debugger.DEBUGGER, debugger.show_debugger, debugger.debug_code),
        _page(seats.SEATS, seats.show_seats, seats.set_limit),
        Route(audit.AUDIT, shown_to_admins(audit.show_audit_log)),
        _page(api_keys.API_KEYS, api_keys.show_api_keys, api_keys.change_api_keys),
    ]


def _page(path: str, show: FormPage, change: FormHandler) -> Route:
    return _route(path, shown_to_admins(show), done_by_admins(change, on_problem=show))


def _route(path: str, show: Endpoint, send: Endpoint) -> Route:
    async def endpoint(request: Request) -> Response:
        return await (send(request) if request.method == "POST" else show(request))

    return Route(path, endpoint, methods=["GET", "POST"], max_body_size=MAX_BODY)


async def _to_users(request: Request) -> Response:
    return see_other(instance_of(request).settings, users.USERS)
