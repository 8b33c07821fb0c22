"""The desk that every page of the panel is served at: who sits there, the page's frame, and the check of every form.

A page is for an admin who signed in by email, on the admin cookie; anyone else is sent to sign in first.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from service.accounts.models import User
from service.authority import Caller
from service.credentials import by_cookie, is_same_origin
from service.errors import ErrorCode, RequestRefused
from service.instance import Instance
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.admin import operations
from service.web.admin.operations import OperationRefused
from service.web.forms import read_form
from service.web.pages import page
from service.web.requests import instance_of
from service.web.security import see_other

SIGN_IN = "/admin/login"
FEW_SEATS = 0.1  # of the limit: with fewer left, every page warns

_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.CONFLICT: 409,
    ErrorCode.SEAT_LIMIT_REACHED: 409,
}

# What a form has done, by the name that stands in the address of the page that follows.
_DONE = {
    "invited": "Invited. The seat is taken.",
    "invited-again": "Another invitation is on its way. The link before is void.",
    "updated": "Saved.",
    "deactivated": "Deactivated. Signed out everywhere, and the seat is free.",
    "reactivated": "Reactivated.",
    "deleted": "Deleted for good.",
    "sessions-ended": "All sessions are ended.",
    "session-ended": "The session is ended.",
    "role-set": "Saved. The role holds from now on.",
    "jwt-enabled": "JWT sign-in is on, with the secrets it had.",
    "jwt-disabled": "JWT sign-in is off.",
    "secret-revoked": "Revoked. No code of that secret is accepted any more.",
    "policy-updated": "Saved. The policy holds from the next code on.",
    "email-login-updated": "Saved.",
    "limit-set": "Saved. The limit holds from now on.",
    "key-revoked": "Revoked. The key can do nothing any more.",
}


_ARGUMENT = re.compile(r"`(\w+)`")
_FIELDS = {
    "clockSkewSeconds": "The clock grace",
    "maxLifetimeSeconds": "The longest life of a code",
    "issuer": "The issuer",
    "audience": "The audience",
    "email": "The email",
    "externalId": "The external ID",
    "name": "The name",
    "expiresAt": "The day on which the key ends",
}


@dataclass(frozen=True, slots=True)
class AdminPage:
    """One request of an admin to the panel."""

    request: Request
    instance: Instance
    caller: Caller

    @property
    def settings(self) -> Settings:
        """What the operator set."""
        return self.instance.settings

    @property
    def admin(self) -> User:
        """Who sits here."""
        assert self.caller.session is not None
        return self.caller.session.user

    def asked(self, name: str) -> str | None:
        """A parameter of the address; None where it is absent or empty."""
        return self.request.query_params.get(name, "").strip() or None

    def asked_exactly(self, name: str) -> str | None:
        """The same to the letter: ids are compared exactly, and may begin or end with a space."""
        return self.request.query_params.get(name) or None

    async def run(self, operation: str, /, **variables: object) -> dict[str, Any]:
        """Run one of the panel's operations as this admin."""
        return await operations.run(operation, self.instance, self.caller, **variables)

    def show(self, template: str, *, status: int = 200, problem: str | None = None, **values: Any) -> Response:
        """A page in the panel's frame. `seat_usage` among the values is what its warning goes by."""
        return page(
            self.settings,
            f"admin/{template}",
            status=status,
            checks_origin=True,
            scripts=True,
            admin=self.admin,
            has_guide=self.settings.guide,
            path=self.request.url.path,
            problem=problem,
            done=self.asked("done"),
            messages=_DONE,
            no_mail_is_sent=no_mail_is_sent(self.settings),
            few_seats=seats_are_few(values.get("seat_usage")),
            **values,
        )

    def go(self, path: str, **parameters: str | None) -> Response:
        """On to a page, after a form has done its work; `done` names what was done."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return see_other(self.settings, f"{path}?{urlencode(given)}" if given else path)


Handler = Callable[[AdminPage], Awaitable[Response]]
FormHandler = Callable[[AdminPage, FormData], Awaitable[Response]]
Problem = Callable[[AdminPage, str, int], Awaitable[Response]]


def shown_to_admins(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A page that an admin reads."""

    async def endpoint(request: Request) -> Response:
        admin_page = await _admin_page_of(request)
        if admin_page is None:
            return _to_sign_in(request)
        try:
            return await handler(admin_page)
        except (OperationRefused, RequestRefused) as refused:
            return await show_problem(admin_page, in_words(refused.message), status_of(refused))

    return endpoint


def done_by_admins(handler: FormHandler, *, on_problem: Problem) -> Callable[[Request], Awaitable[Response]]:
    """A form that an admin sends, from a page of this origin. What is refused is told on the page that the form stands on."""

    async def endpoint(request: Request) -> Response:
        settings = instance_of(request).settings
        if not is_same_origin(request, settings):
            return page(settings, "admin/refused_origin.html", status=403)
        form = await read_form(request)
        admin_page = await _admin_page_of(request)
        if admin_page is None:
            return _to_sign_in(request)
        try:
            return await handler(admin_page, form)
        except (OperationRefused, RequestRefused) as refused:
            return await _show_on_its_page(admin_page, refused, on_problem)

    return endpoint


async def _show_on_its_page(
    admin_page: AdminPage, refused: OperationRefused | RequestRefused, on_problem: Problem
) -> Response:
    """Show what went wrong on the page of the form, or on a page of its own if the form's page is refused too."""
    message, status = in_words(refused.message), status_of(refused)
    try:
        return await on_problem(admin_page, message, status)
    except (OperationRefused, RequestRefused):
        return await show_problem(admin_page, message, status)


async def show_problem(admin_page: AdminPage, message: str, status: int) -> Response:
    """A page that says what went wrong, where there is no better place to say it."""
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    return admin_page.show("problem.html", status=status, problem=message, seat_usage=seat_usage)


def text_of(form: FormData, name: str) -> str:
    """A field as it was typed, without white space around it; empty where it is absent."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def exact_text_of(form: FormData, name: str) -> str:
    """A field to the letter: ids are compared exactly, and may begin or end with a space."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def in_words(message: str) -> str:
    """What the API says of its arguments, said of the panel's fields."""
    return _ARGUMENT.sub(lambda found: _FIELDS.get(found[1], found[0]), message)


def no_mail_is_sent(settings: Settings) -> bool:
    """Whether mails go nowhere: no server is set, and the terminal is not the reader's (contract §7)."""
    return settings.smtp_url is None and not settings.is_on_loopback


def seats_are_few(seat_usage: Any) -> bool:
    """Whether every page should warn: a tenth of the seats or less is left."""
    if not seat_usage or seat_usage["limit"] is None:
        return False
    return bool(seat_usage["available"] <= seat_usage["limit"] * FEW_SEATS)


async def _admin_page_of(request: Request) -> AdminPage | None:
    """The admin cookie is SameSite=Strict, so no other site's link or form brings it along."""
    instance = instance_of(request)
    caller = await by_cookie(request, instance.settings, TokenTransport.ADMIN_COOKIE)
    return AdminPage(request, instance, caller) if caller.session and caller.session.has_admin_rights else None


def _to_sign_in(request: Request) -> Response:
    """Back to this page afterwards, where it is one that can be read."""
    settings = instance_of(request).settings
    if request.method != "GET" or request.url.path == "/admin":
        return see_other(settings, SIGN_IN)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other(settings, f"{SIGN_IN}?{urlencode({'returnTo': here})}")


def status_of(refused: OperationRefused | RequestRefused) -> int:
    """The status of a page that says why an operation was refused."""
    return _STATUSES.get(refused.code, 500 if refused.code is ErrorCode.INTERNAL_SERVER_ERROR else 422)
