"""The forms of the page of users: invite, create, and change the users whose boxes are ticked."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from service.accounts.models import UserRole
from service.web.admin.field_names import in_words
from service.web.admin.page import AdminPage, FormRefused, exact_text_of, show_problem, text_of
from service.web.admin.users import USERS, kept_filters

_SEPARATORS = re.compile(r"[,;\r\n]+")
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_FEW = 5  # problems that a page lists


async def change_users(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/users`: run the action of the form that was sent."""
    action = _ACTIONS.get(text_of(form, "action"))
    if action is None:
        return await show_problem(admin_page, "This form is unknown. Go back, reload the page and try again.", 422)
    return await action(admin_page, form)


def typed_time(form: FormData, name: str) -> str | None:
    """Return a time that was typed in UTC, in RFC 3339 format. None if the field is empty. Raises `FormRefused`."""
    typed = text_of(form, name)
    if typed and not _LOCAL_TIME.fullmatch(typed):
        raise FormRefused("Give the end of the access as a date and a time.", name)
    return f"{typed}{'' if typed.count(':') == 2 else ':00'}Z" if typed else None


async def _invite(admin_page: AdminPage, form: FormData) -> Response:
    """Invite one user, or many: the others are invited even if one cannot be."""
    role = UserRole.ADMIN if text_of(form, "role") == UserRole.ADMIN else UserRole.MEMBER
    emails = [email for part in _SEPARATORS.split(text_of(form, "email")) if (email := part.strip())]
    if len(emails) <= 1:
        invited = await admin_page.run("invite_user", email="".join(emails), role=role)
        return admin_page.go(f"{USERS}/user", id=invited["inviteUser"]["id"], done="invited")
    results = (await admin_page.run("invite_users", emails=emails, role=role))["inviteUsers"]
    return await _after(admin_page, results, "email", "invited-many")


async def _create(admin_page: AdminPage, form: FormData) -> Response:
    created = await admin_page.run(
        "create_user",
        externalId=exact_text_of(form, "externalId"),
        email=text_of(form, "newEmail") or None,
        accessUntil=typed_time(form, "accessUntil"),
    )
    return admin_page.go(f"{USERS}/user", id=created["createUser"]["id"], done="created")


async def _deactivate(admin_page: AdminPage, form: FormData) -> Response:
    results = (await admin_page.run("deactivate_users", ids=_ticked(form)))["deactivateUsers"]
    return await _after(admin_page, results, "id", "deactivated-many")


async def _reactivate(admin_page: AdminPage, form: FormData) -> Response:
    results = (await admin_page.run("reactivate_users", ids=_ticked(form)))["reactivateUsers"]
    return await _after(admin_page, results, "id", "reactivated-many")


def _ticked(form: FormData) -> list[str]:
    return [user_id for user_id in form.getlist("id") if isinstance(user_id, str)]


async def _after(admin_page: AdminPage, results: list[dict[str, Any]], name: str, done: str) -> Response:
    """Return to the list. If some entries were refused, show which and why; the others are done."""
    if not results:
        raise FormRefused("Tick the boxes of the users first. Nothing was changed.")
    refused = [result for result in results if result["error"]]
    if not refused:
        return admin_page.go(USERS, **kept_filters(admin_page), done=done)
    reasons = "; ".join(f"{result[name]}: {in_words(result['error'].partition(': ')[2])}" for result in refused[:_FEW])
    more = f" And {len(refused) - _FEW} more." if len(refused) > _FEW else ""
    told = f"{len(results) - len(refused)} of {len(results)} are done. Not done: {reasons}{more}"
    raise FormRefused(told, status=409)


_ACTIONS: dict[str, Callable[[AdminPage, FormData], Awaitable[Response]]] = {
    "": _invite,
    "invite": _invite,
    "create": _create,
    "deactivate": _deactivate,
    "reactivate": _reactivate,
}
