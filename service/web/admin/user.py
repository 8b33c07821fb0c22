"""The page of one user: profile, live sessions, history, and the actions on the user."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.responses import Response

from service.accounts.models import UserRole
from service.web.admin.browsers import browser_names
from service.web.admin.event_texts import told_events
from service.web.admin.page import AdminPage, FormRefused, exact_text_of, show_problem, text_of
from service.web.admin.sign_in_link import LIFETIMES, create_sign_in_link
from service.web.admin.user_forms import typed_time
from service.web.admin.users import USERS

USER = f"{USERS}/user"


async def show_user(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/users/user?id=…`: the page. With a `problem`, also the answer to a refused form, with the typed values.

    The ID is not part of the path, because it may contain any character. A form holds it in its body.
    """
    form = admin_page.sent
    user_id = admin_page.request.query_params.get("id", "") if form is None else exact_text_of(form, "id")
    data = await admin_page.run("user", id=user_id)
    if data["user"] is None:
        return await show_problem(admin_page, "There is no user with this ID. The user may have been deleted.", 404)
    if data["user"]["id"] != user_id:  # found by its external ID: the forms and the history of the page need the ID
        return admin_page.go(USER, id=data["user"]["id"])
    return admin_page.show(
        "user.html",
        status=status,
        problem=problem,
        user=data["user"],
        browsers=await browser_names(session["userAgent"] for session in data["user"]["sessions"]["nodes"]),
        events=told_events(data["auditLog"]["nodes"]),
        has_more_events=data["auditLog"]["pageInfo"]["hasNextPage"],
        lifetimes=LIFETIMES,
        seat_usage=data["seatUsage"],
    )


async def change_user(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/users/user`: run the action of the form that was sent."""
    action = _ACTIONS.get(text_of(form, "action"))
    if action is None:
        return await show_problem(admin_page, "This form is unknown. Go back, reload the page and try again.", 422)
    return await action(admin_page, exact_text_of(form, "id"), form)


async def _update(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    """Change only the fields that were edited, because a code may have updated the others since the page was loaded."""
    typed = {"email": text_of(form, "email"), "externalId": exact_text_of(form, "externalId")}
    changed = {name: text or None for name, text in typed.items() if text != exact_text_of(form, f"{name}Before")}
    if text_of(form, "accessUntil") != text_of(form, "accessUntilBefore"):
        changed["accessUntil"] = typed_time(form, "accessUntil")
    await admin_page.run("update_user", id=user_id, **changed)
    return admin_page.go(USER, id=user_id, done="updated")


async def _verify_email(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    """Set the email that the page showed, so that another one that a code has claimed meanwhile is not verified."""
    await admin_page.run("update_user", id=user_id, email=text_of(form, "email"))
    return admin_page.go(USER, id=user_id, done="updated")


async def _set_groups(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    """Give the user the groups of the lines. A blank line is none; a name keeps the spaces around it."""
    names = [line for line in exact_text_of(form, "groups").splitlines() if line.strip()]
    await admin_page.run("set_user_groups", id=user_id, names=names)
    return admin_page.go(USER, id=user_id, done="groups-set")


async def _invite_again(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("send_invitation", id=user_id)
    return admin_page.go(USER, id=user_id, done="invited-again")


async def _unlock(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("unlock_email_sign_in", id=user_id)
    return admin_page.go(USER, id=user_id, done="unlocked")


async def _deactivate(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("deactivate_user", id=user_id)
    return admin_page.go(USER, id=user_id, done="deactivated")


async def _reactivate(admin_page: AdminPage, user_id: str, _form: FormData) -> Response:
    await admin_page.run("reactivate_user", id=user_id)
    return admin_page.go(USER, id=user_id, done="reactivated")


async def _delete(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    # A page shows several spaces as one, so the ID cannot be typed with more.
    if text_of(form, "confirmation").split() != user_id.split():
        raise FormRefused("Nothing was deleted: the ID that you typed is not this user's.", "confirmation")
    await admin_page.run("delete_user", id=user_id, revokeCodes=bool(text_of(form, "revokeCodes")))
    return admin_page.go(USERS, done="deleted")


async def _erase(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    if text_of(form, "confirmation").split() != user_id.split():
        raise FormRefused("Nothing was erased: the ID that you typed is not this user's.", "confirmation")
    await admin_page.run("erase_user", id=user_id, revokeCodes=bool(text_of(form, "revokeCodes")))
    return admin_page.go(USERS, done="erased")


async def _revoke_codes(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    await admin_page.run("revoke_user_codes", id=user_id, endSessions=bool(text_of(form, "endSessions")))
    return admin_page.go(USER, id=user_id, done="codes-revoked")


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
    "verify-email": _verify_email,
    "set-groups": _set_groups,
    "deactivate": _deactivate,
    "reactivate": _reactivate,
    "delete": _delete,
    "erase": _erase,
    "invite-again": _invite_again,
    "revoke-codes": _revoke_codes,
    "sign-in-link": create_sign_in_link,
    "unlock": _unlock,
    "end-sessions": _end_sessions,
    "end-session": _end_session,
    "set-role": _set_role,
}
