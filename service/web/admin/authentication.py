"""User Authentication: both methods with their switches, the secrets, the policy."""

import re
from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.responses import Response

from service.sessions.shown_once import keep_to_show, secret_to_show
from service.web.admin.desk import Desk, in_words, show_problem, status_of, text_of
from service.web.admin.operations import OperationRefused

AUTHENTICATION = "/admin/authentication"
SECRET = f"{AUTHENTICATION}/secret"

_JWT_SECRET = "jwt"
_API_KEY = "api-key"
_GRACE_PERIODS = {0: "now", 3_600: "1 hour", 86_400: "24 hours", 604_800: "7 days"}
_SWITCHES = ("requireExpiry", "singleUse", "sessionEndsWithCode")
_NUMBERS = {"maxLifetimeSeconds": "The longest life of a code", "clockSkewSeconds": "The clock grace"}
_NAMES = ("issuer", "audience")
_REQUIRED = "clockSkewSeconds"
_NUMBER = re.compile(r"[0-9]{0,9}")


async def show_authentication(desk: Desk) -> Response:
    """`GET /admin/authentication`."""
    return await _show(desk, None, 200)


async def show_authentication_with_problem(desk: Desk, problem: str, status: int) -> Response:
    """The same, with what went wrong with a form on it."""
    return await _show(desk, problem, status)


async def change_authentication(desk: Desk, form: FormData) -> Response:
    """`POST /admin/authentication`: what its button says."""
    action = _ACTIONS.get(text_of(form, "action"))
    if action is None:
        return await show_problem(desk, "This form is not known here. Go back and try again.", 422)
    return await action(desk, form)


async def show_secret(desk: Desk) -> Response:
    """`GET /admin/authentication/secret?id=…`: the secret that was just made, for ten minutes, to whoever made it."""
    session = desk.caller.require_session()
    kept = await secret_to_show(desk.asked("id") or "", session, desk.instance.cipher)
    if kept is None:
        gone = "This is not shown any more. Where you have not kept it, make a new one: rotate the secret, or make another key."
        return await show_problem(desk, gone, 404)
    kind, secret = kept
    seat_usage = (await desk.run("seat_usage"))["seatUsage"]
    return desk.show("secret.html", secret=secret, is_api_key=kind == _API_KEY, seat_usage=seat_usage)


async def to_secret(desk: Desk, secret: str, *, api_key: bool = False) -> Response:
    """On to the page that shows a new secret: it can be reloaded without making another one."""
    kind = _API_KEY if api_key else _JWT_SECRET
    shown_id = await keep_to_show(secret, kind, desk.caller.require_session(), desk.instance.cipher)
    return desk.go(SECRET, id=shown_id)


async def _show(
    desk: Desk, problem: str | None, status: int, typed_policy: dict[str, object] | None = None
) -> Response:
    data = await desk.run("authentication")
    return desk.show(
        "authentication.html",
        status=status,
        problem=problem,
        settings=data["authentication"],
        seat_usage=data["seatUsage"],
        grace_periods=_GRACE_PERIODS,
        typed_policy=typed_policy,
        public_url=desk.settings.public_url,
        revoking=desk.asked("revoke"),
    )


async def _enable(desk: Desk, _form: FormData) -> Response:
    secret = (await desk.run("enable_jwt"))["enableJwtAuth"]["secret"]
    return await to_secret(desk, secret) if secret else desk.go(AUTHENTICATION, done="jwt-enabled")


async def _disable(desk: Desk, form: FormData) -> Response:
    await desk.run("disable_jwt", endSessions=bool(text_of(form, "endSessions")))
    return desk.go(AUTHENTICATION, done="jwt-disabled")


async def _rotate(desk: Desk, form: FormData) -> Response:
    grace = text_of(form, "gracePeriodSeconds")
    if grace not in map(str, _GRACE_PERIODS):
        return await _show(desk, "Choose when the old secret stops.", 422)
    made = await desk.run("rotate_secret", gracePeriodSeconds=int(grace))
    return await to_secret(desk, made["rotateJwtSecret"]["secret"])


async def _revoke(desk: Desk, form: FormData) -> Response:
    """For a leak: with `replace` a new secret is there before anybody misses the old one.

    Sent twice, it makes one all the same: the second would stop the first one's, that somebody is just copying.
    """
    revoked = await desk.run("revoke_secret", id=text_of(form, "id"), endSessions=bool(text_of(form, "endSessions")))
    has_current = any(secret["status"] == "CURRENT" for secret in revoked["revokeJwtSecret"]["secrets"])
    if text_of(form, "replace") and not has_current:
        made = await desk.run("rotate_secret", gracePeriodSeconds=0)
        return await to_secret(desk, made["rotateJwtSecret"]["secret"])
    return desk.go(AUTHENTICATION, done="secret-revoked")


async def _update_policy(desk: Desk, form: FormData) -> Response:
    """Where it is refused, the form stands there as it was typed."""
    typed = _typed_policy(form)
    for name, words in _NUMBERS.items():
        if not _NUMBER.fullmatch(text_of(form, name)) or (name == _REQUIRED and not text_of(form, name)):
            return await _show(desk, f"{words} must be a number of seconds.", 422, typed)
    numbers = {name: int(number) if (number := text_of(form, name)) else None for name in _NUMBERS}
    names = {name: text_of(form, name) or None for name in _NAMES}
    try:
        await desk.run("update_policy", policy=typed | numbers | names)
    except OperationRefused as refused:
        return await _show(desk, in_words(refused.message), status_of(refused), typed)
    return desk.go(AUTHENTICATION, done="policy-updated")


def _typed_policy(form: FormData) -> dict[str, object]:
    """The policy's fields as the schema names them, numbers as text."""
    switches: dict[str, object] = {name: bool(text_of(form, name)) for name in _SWITCHES}
    texts = {name: text_of(form, name) for name in (*_NUMBERS, *_NAMES)}
    return switches | texts | {"emailLinking": "LINK" if text_of(form, "emailLinking") else "REFUSE"}


async def _update_email_login(desk: Desk, form: FormData) -> Response:
    await desk.run(
        "update_email_login",
        enabled=bool(text_of(form, "enabled")),
        signUp="OPEN" if text_of(form, "open") else "INVITATION",
    )
    return desk.go(AUTHENTICATION, done="email-login-updated")


_ACTIONS: dict[str, Callable[[Desk, FormData], Awaitable[Response]]] = {
    "enable": _enable,
    "disable": _disable,
    "rotate": _rotate,
    "revoke": _revoke,
    "policy": _update_policy,
    "email-login": _update_email_login,
}
