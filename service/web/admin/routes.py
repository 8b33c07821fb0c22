"""The routes of the panel: what each page shows, and what its forms do."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.web.admin import (
    api_keys,
    audit,
    authentication,
    branding,
    debugger,
    groups,
    leaked,
    overview,
    recommended,
    refusals,
    seats,
    settings,
    sign_in_link,
    snippets,
    user,
    user_forms,
    user_import,
    users,
)
from service.web.admin.page import FormHandler, FormPage, Handler, done_by_admins, shown_to_admins
from service.web.admin.proof import shown_with_proof, with_proof
from service.web.admin.sign_in_routes import admin_sign_in_routes
from service.web.forms import form_route
from service.web.requests import instance_of
from service.web.security import see_other


def admin_routes() -> list[Route]:
    """Return all routes under `/admin`."""
    return [
        _page(overview.OVERVIEW, overview.show_overview, overview.make_test_link),
        Route(f"{overview.OVERVIEW}/", _to_overview),
        *admin_sign_in_routes(),
        _page(users.USERS, users.show_users, user_forms.change_users),
        _export(f"{users.USERS}.csv", users.export_users, users.go_on_to_export, on_problem=users.show_users),
        _page(user.USER, user.show_user, user.change_user),
        form_route(
            user_import.USER_IMPORT,
            show=shown_to_admins(user_import.show_import),
            send=done_by_admins(user_import.change_import, on_problem=user_import.show_import, max_files=1),
            max_body=user_import.MAX_BODY,
        ),
        _export(
            user_import.EXPORT,
            user_import.export_all,
            user_import.go_on_to_export_all,
            on_problem=user_import.show_import,
        ),
        Route(sign_in_link.SIGN_IN_LINK, shown_to_admins(sign_in_link.show_sign_in_link)),
        _page(
            authentication.AUTHENTICATION,
            authentication.show_authentication,
            authentication.change_authentication,
        ),
        Route(authentication.SECRET, shown_to_admins(authentication.show_secret)),
        Route(leaked.LEAKED, shown_to_admins(leaked.show_leaked)),
        Route(snippets.SNIPPETS, shown_to_admins(snippets.show_snippets)),
        _page(recommended.RECOMMENDED, recommended.show_recommended, recommended.apply_recommended),
        _page(debugger.DEBUGGER, debugger.show_debugger, debugger.debug_code),
        Route(groups.GROUPS, shown_to_admins(groups.show_groups)),
        _page(seats.SEATS, seats.show_seats, seats.set_limit),
        Route(audit.AUDIT, shown_to_admins(audit.show_audit_log)),
        _export(f"{audit.AUDIT}.csv", audit.export_csv, audit.go_on_to_export("csv"), on_problem=audit.show_audit_log),
        _export(
            f"{audit.AUDIT}.json", audit.export_json, audit.go_on_to_export("json"), on_problem=audit.show_audit_log
        ),
        Route(refusals.REFUSALS, shown_to_admins(refusals.show_refusals)),
        form_route(
            branding.BRANDING,
            show=shown_to_admins(branding.show_branding),
            send=done_by_admins(branding.change_branding, on_problem=branding.show_branding, max_files=2),
            max_body=branding.MAX_BODY,
        ),
        _page(settings.SETTINGS, settings.show_settings, settings.try_mail),
        _page(api_keys.API_KEYS, api_keys.show_api_keys, api_keys.change_api_keys),
    ]


def _page(path: str, show: FormPage, change: FormHandler) -> Route:
    return form_route(path, show=shown_to_admins(show), send=done_by_admins(with_proof(change), on_problem=show))


def _export(path: str, export: Handler, go_on: FormHandler, *, on_problem: FormPage) -> Route:
    """Return the route of a file, which needs a fresh proof. The page that asks for it sends a form to the same address."""
    return form_route(
        path,
        show=shown_to_admins(shown_with_proof(export)),
        send=done_by_admins(with_proof(go_on), on_problem=on_problem),
    )


async def _to_overview(request: Request) -> Response:
    return see_other(instance_of(request).settings, overview.OVERVIEW)
