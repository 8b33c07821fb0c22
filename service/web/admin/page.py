"""What every page of the panel has in common: the admin who asks, the frame of the page, and how refusals are shown.

The pages are for admins who signed in by email and have the admin cookie. Other callers are redirected to the sign-in.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.accounts.models import User
from service.authority import Caller
from service.credentials import by_cookie
from service.errors import ErrorCode, RequestRefused
from service.instance import Instance
from service.sessions.models import TokenTransport
from service.sessions.sent_forms import SentFormId
from service.settings import MailDelivery, Settings
from service.web.admin import operations
from service.web.admin.field_names import in_words
from service.web.admin.operations import OperationRefused
from service.web.forms import read_form
from service.web.pages import page
from service.web.refused_forms import RefusedForm, show_again
from service.web.requests import instance_of
from service.web.security import see_other

SIGN_IN = "/admin/login"
MAX_FIELDS = 100  # of a form: the list of users has 50 boxes to tick
FEW_SEATS = 0.1  # of the limit: with fewer left, every page warns

_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.CONFLICT: 409,
    ErrorCode.SEAT_LIMIT_REACHED: 409,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.INTERNAL_SERVER_ERROR: 500,
}

# The messages after a form, by the name in the URL of the next page.
_DONE = {
    "invited": "The user is invited, and uses one seat.",
    "invited-many": "The users are invited. Each uses one seat.",
    "created": "The user is created, and uses one seat.",
    "deactivated-many": "Deactivated. All sessions of these users are ended, and their seats are free.",
    "reactivated-many": "Reactivated.",
    "invited-again": "A new invitation is being sent. The previous link no longer works.",
    "unlocked": "Email codes are accepted again for this user.",
    "updated": "Saved.",
    "deactivated": "Deactivated. All sessions are ended, and the seat is free.",
    "reactivated": "Reactivated.",
    "deleted": "Deleted.",
    "erased": "Erased. The audit log keeps what happened, under a pseudonym.",
    "sessions-ended": "All sessions are ended.",
    "session-ended": "The session is ended.",
    "groups-set": "Saved. The groups apply from the next access token and request on.",
    "role-set": "The role is changed.",
    "jwt-enabled": "JWT sign-in is on. Its secrets are the same as before.",
    "jwt-disabled": "JWT sign-in is off.",
    "secret-revoked": "Revoked. Codes of that secret are now refused.",
    "codes-revoked": "Done. Links that were made before now are refused. New ones work.",
    "policy-updated": "Saved. The policy applies from the next code on.",
    "sign-in-updated": "Saved. The sign-in pages use it immediately.",
    "email-login-updated": "Saved.",
    "branding-updated": "Saved. Pages and mails now show it.",
    "limit-set": "Saved. The limit now applies.",
    "mail-sent": "The mail server has accepted the test mail. Look into your mailbox.",
    "key-revoked": "Revoked. The key no longer works.",
}


@dataclass(frozen=True, slots=True)
class AdminPage:
    """One request of an admin to the panel."""

    request: Request
    instance: Instance
    caller: Caller
    sent: FormData | None = None
    """The form of the request. If it is refused, the page shows it again as it was sent."""
    faulty: str | None = None
    """The field that is wrong, if the message does not say which."""

    @property
    def settings(self) -> Settings:
        """The settings of the instance."""
        return self.instance.settings

    @property
    def admin(self) -> User:
        """The admin who sent the request."""
        assert self.caller.session is not None
        return self.caller.session.user

    def asked(self, name: str) -> str | None:
        """Return a query parameter without white space around it. None if it is absent or empty."""
        return self.request.query_params.get(name, "").strip() or None

    def asked_exactly(self, name: str) -> str | None:
        """Return a query parameter unchanged, for IDs: they are compared exactly, and may begin or end with a space."""
        return self.request.query_params.get(name) or None

    async def run(self, operation: str, /, **variables: object) -> dict[str, Any]:
        """Run one of the panel's operations as this admin."""
        return await operations.run(operation, self.request, self.caller, **variables)

    def show(self, template: str, *, status: int = 200, problem: str | None = None, **values: Any) -> Response:
        """Render a page in the panel's frame. The seat warning is derived from the value `seat_usage`."""
        rewrite = None
        if problem and self.sent is not None:
            refused = RefusedForm(self.request.url.path, self.sent, problem, self.faulty)
            rewrite = partial(show_again, refused=refused)
        return page(
            self.settings,
            f"admin/{template}",
            status=status,
            checks_origin=True,
            scripts=True,
            admin=self.admin,
            has_guide=self.settings.guide,
            path=self.request.url.path,
            problem=problem and in_words(problem),
            rewrite=rewrite,
            done=self.asked("done"),
            messages=_DONE,
            no_mail_is_sent=self.settings.mail_delivery is MailDelivery.NONE,
            few_seats=seats_are_few(values.get("seat_usage")),
            **values,
        )

    def go(self, path: str, **parameters: str | None) -> Response:
        """Redirect to a page after a form. `done` names the message that the page shows."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return see_other(self.settings, f"{path}?{urlencode(given)}" if given else path)


class FormRefused(Exception):
    """A form that cannot be carried out, for a reason that the panel itself sees. `field` is the field that is wrong."""

    def __init__(self, message: str, field: str | None = None, *, status: int = 422) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.status = status


Handler = Callable[[AdminPage], Awaitable[Response]]
FormHandler = Callable[[AdminPage, FormData], Awaitable[Response]]


class FormPage(Protocol):
    """Shows a page with forms. The same function shows it again with the problem of a form that was refused."""

    def __call__(self, admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Awaitable[Response]:
        """Return the page with this status."""


def shown_to_admins(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a page. Other callers are redirected to the sign-in page."""

    async def endpoint(request: Request) -> Response:
        admin_page = await _admin_page_of(request)
        if admin_page is None:
            return _to_sign_in(request)
        try:
            return await handler(admin_page)
        except (OperationRefused, RequestRefused) as refused:
            return await show_problem(admin_page, refused.message, status_of(refused))

    return endpoint


def done_by_admins(
    handler: FormHandler, *, on_problem: FormPage, max_files: int = 0
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of an admin's form. A refusal is shown on the page of the form."""

    async def endpoint(request: Request) -> Response:
        form = await read_form(request, max_fields=MAX_FIELDS, max_files=max_files)
        admin_page = await _admin_page_of(request)
        if admin_page is None:
            return _to_sign_in(request, form)
        admin_page = replace(admin_page, sent=form)
        try:
            return await _handle_once(admin_page, form, handler)
        except FormRefused as refused:
            admin_page = replace(admin_page, faulty=refused.field)
            return await _show_on_its_page(admin_page, refused.message, refused.status, on_problem)
        except (OperationRefused, RequestRefused) as refused:
            return await _show_on_its_page(admin_page, refused.message, status_of(refused), on_problem)

    return endpoint


async def _handle_once(admin_page: AdminPage, form: FormData, handler: FormHandler) -> Response:
    """Handle a form. If its button is pressed twice, the second press leads to the page of the first."""
    session, form_id = admin_page.caller.session, text_of(form, "formId")
    if session is None or not form_id:
        return await handler(admin_page, form)
    sent = SentFormId(form_id, session.id)
    while not await sent.claim():
        location = await sent.wait_for_result()
        if location is not None:
            return RedirectResponse(location, 303)
    location = None
    try:
        response = await handler(admin_page, form)
        location = response.headers.get("location")
        return response
    finally:
        await sent.finish(location)


async def _show_on_its_page(admin_page: AdminPage, message: str, status: int, on_problem: FormPage) -> Response:
    """Show what went wrong on the page of the form, or on a page of its own if the form's page is refused too."""
    try:
        return await on_problem(admin_page, message, status)
    except (OperationRefused, RequestRefused):
        return await show_problem(admin_page, message, status)


async def show_problem(admin_page: AdminPage, message: str, status: int) -> Response:
    """Show a page with only this message, if no form page can show it."""
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    return admin_page.show("problem.html", status=status, problem=message, seat_usage=seat_usage)


def text_of(form: FormData, name: str) -> str:
    """Return a field without white space around it. Empty if it is absent."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def exact_text_of(form: FormData, name: str) -> str:
    """Return a field unchanged, for IDs: they are compared exactly, and may begin or end with a space."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def seats_are_few(seat_usage: Any) -> bool:
    """Whether a tenth of the seats or less is free. Then every page shows a warning."""
    if not seat_usage or seat_usage["limit"] is None:
        return False
    return bool(seat_usage["available"] <= seat_usage["limit"] * FEW_SEATS)


async def _admin_page_of(request: Request) -> AdminPage | None:
    """The admin cookie is SameSite=Strict, so no other site's link or form brings it along."""
    instance = instance_of(request)
    caller = await by_cookie(request, instance.settings, TokenTransport.ADMIN_COOKIE)
    return AdminPage(request, instance, caller) if caller.session and caller.session.has_admin_rights else None


def _to_sign_in(request: Request, form: FormData | None = None) -> Response:
    """Redirect to the sign-in page, which returns to this page.

    With the `form` that was sent, the sign-in page says that it was not carried out.
    """
    settings, path = instance_of(request).settings, request.url.path
    query = request.url.query
    if form is not None and not query and (user_id := exact_text_of(form, "id")) and path.startswith("/admin/users/"):
        query = urlencode({"id": user_id})
    asked = {} if path == "/admin" else {"returnTo": f"{path}?{query}" if query else path}
    if form is not None:
        asked["ended"] = "1"
    return see_other(settings, f"{SIGN_IN}?{urlencode(asked)}" if asked else SIGN_IN)


def status_of(refused: OperationRefused | RequestRefused) -> int:
    """Return the HTTP status of a page that says why an operation was refused."""
    return _STATUSES.get(refused.code, 422)
