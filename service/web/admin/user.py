"""A user's page: who it is, live sessions, history; and everything that can be done to it, each saying what it will do."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.responses import Response

from service.accounts.models import UserRole
from service.web.admin.page import AdminPage, exact_text_of, show_problem, text_of
from service.web.admin.users import USERS

USER = f"{USERS}/user"


async def show_user(admin_page: AdminPage) -> Response:
    """`GET /admin/users/user?id=…`: the id may hold any character, so it is no part of the path."""
    return await _show(admin_page, admin_page.request.query_params.get("id", ""))


async def show_user_with_problem(admin_page: AdminPage, problem: str, status: int) -> Response:
    """The same, with what went wrong with a form on it, as it was typed. The form says whom it is about."""
    form = await admin_page.request.form()
    return await _show(admin_page, exact_text_of(form, "id"), problem, status, form)


async def change_user(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/users/user`: what its button says."""
    action = _ACTIONS.get(text_of(form, "action"))
    if action is None:
        return await show_problem(admin_page, "This form is not known here. Go back and try again.", 422)
    return await action(admin_page, exact_text_of(form, "id"), form)


async def _show(
    admin_page: AdminPage, user_id: str, problem: str | None = None, status: int = 200, form: FormData | None = None
) -> Response:
    data = await admin_page.run("user", id=user_id)
    if data["user"] is None:
        return await show_problem(admin_page, "There is no user with this id. It may have been deleted.", 404)
    return admin_page.show(
        "user.html",
        status=status,
        problem=problem,
        user=data["user"],
        failed=text_of(form, "action") if form else None,
        typed={name: _typed(form, name, data["user"][name]) for name in ("email", "externalId")},
        events=data["auditLog"],
        seat_usage=data["seatUsage"],
    )


def _typed(form: FormData | None, name: str, value: str | None) -> str:
    """A field as it was typed, where a form that has it was refused."""
    return exact_text_of(form, name) if form and name in form else value or ""


async def _update(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    """Only what was changed on the page: what a code has brought up to date since it was loaded is not undone."""
    typed = {"email": text_of(form, "email"), "externalId": exact_text_of(form, "externalId")}
    changed = {name: text or None for name, text in typed.items() if text != exact_text_of(form, f"{name}Before")}
    await admin_page.run("update_user", id=user_id, **changed)
    return admin_page.go(USER, id=user_id, done="updated")


async def _invite_again(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("send_invitation", id=user_id)
    return admin_page.go(USER, id=user_id, done="invited-again")


async def _deactivate(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("deactivate_user", id=user_id)
    return admin_page.go(USER, id=user_id, done="deactivated")


async def _reactivate(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("reactivate_user", id=user_id)
    return admin_page.go(USER, id=user_id, done="reactivated")


async def _delete(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    # A page shows several spaces as one, so the ID cannot be typed with more.
    if text_of(form, "confirmation").split() != user_id.split():
        return await _show(
            admin_page, user_id, "Nothing was deleted: the id that you typed is not this user's.", 422, form
        )
    await admin_page.run("delete_user", id=user_id)
    return admin_page.go(USERS, done="deleted")


async def _end_sessions(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("end_user_sessions", id=user_id)
    return admin_page.go(USER, id=user_id, done="sessions-ended")


async def _end_session(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    await admin_page.run("end_session", id=text_of(form, "session"))
    return admin_page.go(USER, id=user_id, done="session-ended")


async def _set_role(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    role = UserRole.ADMIN if text_of(form, "role") == UserRole.ADMIN else UserRole.MEMBER
    await admin_page.run("set_user_role", id=user_id, role=role)
    return admin_page.go(USER, id=user_id, done="role-set")


_ACTIONS: dict[str, Callable[[AdminPage, str, FormData], Awaitable[Response]]] = {
    "update": _update,
    "deactivate": _deactivate,
    "reactivate": _reactivate,
    "delete": _delete,
    "invite-again": _invite_again,
    "end-sessions": _end_sessions,
    "end-session": _end_session,
    "set-role": _set_role,
}
