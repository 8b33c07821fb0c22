"""The page "User Authentication": email login, JWT sign-in, the secrets and the policy."""

import re
from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.responses import Response

from service.sessions.shown_once import keep_to_show, secret_to_show
from service.web.admin.page import AdminPage, FormRefused, show_problem, text_of

AUTHENTICATION = "/admin/authentication"
SECRET = f"{AUTHENTICATION}/secret"

_JWT_SECRET = "jwt"
_API_KEY = "api-key"
_GRACE_PERIODS = {0: "immediately", 3_600: "1 hour", 86_400: "24 hours", 604_800: "7 days"}
_SWITCHES = ("requireExpiry", "singleUse", "sessionEndsWithCode", "trustEmails")
_NUMBERS = {"maxLifetimeSeconds": "The maximum lifetime of a code", "clockSkewSeconds": "The clock skew"}
_NAMES = ("issuer", "audience", "groupsMember")
_URLS = ("signInUrl", "signOutUrl")
_SIGN_IN_SWITCHES = ("startAutomatically", "requireState")
_REQUIRED = "clockSkewSeconds"
_LIVE = ("CURRENT", "RETIRING")
_NUMBER = re.compile(r"[0-9]{0,9}")


async def show_authentication(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/authentication`: the page. With a `problem`, also the answer to a refused form."""
    data = await admin_page.run("authentication")
    secrets = data["authentication"]["jwt"]["secrets"]
    named = {admin_page.asked("revoke"), admin_page.asked("describe")}
    shows_ended = admin_page.asked("ended") is not None
    live = [secret for secret in secrets if secret["status"] in _LIVE or secret["id"] in named]
    return admin_page.show(
        "authentication.html",
        status=status,
        problem=problem,
        settings=data["authentication"],
        seat_usage=data["seatUsage"],
        grace_periods=_GRACE_PERIODS,
        public_url=admin_page.settings.public_url,
        revoking=admin_page.asked("revoke"),
        describing=admin_page.asked("describe"),
        shown_secrets=secrets if shows_ended else live,
        shows_ended=shows_ended,
        ended=len(secrets) - len(live),
    )


async def change_authentication(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/authentication`: run the action of the form that was sent."""
    action = _ACTIONS.get(text_of(form, "action"))
    if action is None:
        return await show_problem(admin_page, "This form is unknown. Go back, reload the page and try again.", 422)
    return await action(admin_page, form)


async def show_secret(admin_page: AdminPage) -> Response:
    """`GET /admin/authentication/secret?id=…`: a new secret, for 10 minutes, to the session that made it."""
    session = admin_page.caller.require_session()
    kept = await secret_to_show(admin_page.asked("id") or "", session, admin_page.instance.cipher)
    if kept is None or kept[0] not in (_JWT_SECRET, _API_KEY):
        gone = (
            "This secret can no longer be shown. If you did not copy it, make a new one: rotate the JWT secret, or"
            " create another API key."
        )
        return await show_problem(admin_page, gone, 404)
    kind, secret = kept
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    return admin_page.show("secret.html", secret=secret, is_api_key=kind == _API_KEY, seat_usage=seat_usage)


async def to_secret(admin_page: AdminPage, secret: str, *, api_key: bool = False) -> Response:
    """Redirect to the page that shows a new secret, so that a reload does not make another one."""
    kind = _API_KEY if api_key else _JWT_SECRET
    shown_id = await keep_to_show(secret, kind, admin_page.caller.require_session(), admin_page.instance.cipher)
    return admin_page.go(SECRET, id=shown_id)


async def _enable(admin_page: AdminPage, _form: FormData) -> Response:
    secret = (await admin_page.run("enable_jwt"))["enableJwtAuth"]["secret"]
    return await to_secret(admin_page, secret) if secret else admin_page.go(AUTHENTICATION, done="jwt-enabled")


async def _disable(admin_page: AdminPage, form: FormData) -> Response:
    await admin_page.run("disable_jwt", endSessions=bool(text_of(form, "endSessions")))
    return admin_page.go(AUTHENTICATION, done="jwt-disabled")


async def _rotate(admin_page: AdminPage, form: FormData) -> Response:
    grace = text_of(form, "gracePeriodSeconds")
    if grace not in map(str, _GRACE_PERIODS):
        raise FormRefused("Choose when the old secret stops working.")
    made = await admin_page.run("rotate_secret", gracePeriodSeconds=int(grace))
    return await to_secret(admin_page, made["rotateJwtSecret"]["secret"])


async def _revoke(admin_page: AdminPage, form: FormData) -> Response:
    """Revoke a secret. With `replace`, also make a new one if the current secret was revoked.

    A form that is sent twice makes one new secret: a second one would replace the secret that the admin is copying.
    """
    revoked = await admin_page.run(
        "revoke_secret", id=text_of(form, "id"), endSessions=bool(text_of(form, "endSessions"))
    )
    has_current = any(secret["status"] == "CURRENT" for secret in revoked["revokeJwtSecret"]["secrets"])
    if text_of(form, "replace") and not has_current:
        made = await admin_page.run("rotate_secret", gracePeriodSeconds=0)
        return await to_secret(admin_page, made["rotateJwtSecret"]["secret"])
    return admin_page.go(AUTHENTICATION, done="secret-revoked")


async def _describe(admin_page: AdminPage, form: FormData) -> Response:
    texts = {name: text_of(form, name) for name in ("name", "note")}
    await admin_page.run("describe_secret", id=text_of(form, "id"), **texts)
    return admin_page.go(AUTHENTICATION, done="updated")


async def _revoke_codes(admin_page: AdminPage, form: FormData) -> Response:
    await admin_page.run("revoke_all_codes", endSessions=bool(text_of(form, "endSessions")))
    return admin_page.go(AUTHENTICATION, done="codes-revoked")


async def _update_policy(admin_page: AdminPage, form: FormData) -> Response:
    for name, words in _NUMBERS.items():
        if not _NUMBER.fullmatch(text_of(form, name)) or (name == _REQUIRED and not text_of(form, name)):
            raise FormRefused(f"{words} must be a number of seconds.", name)
    await admin_page.run("update_policy", policy=_policy_of(form))
    return admin_page.go(AUTHENTICATION, done="policy-updated")


def _policy_of(form: FormData) -> dict[str, object]:
    """Return the policy with the field names of the schema."""
    switches: dict[str, object] = {name: bool(text_of(form, name)) for name in _SWITCHES}
    numbers = {name: int(number) if (number := text_of(form, name)) else None for name in _NUMBERS}
    names = {name: text_of(form, name) or None for name in _NAMES}
    choices: dict[str, object] = {
        "sharedMetadata": text_of(form, "sharedMetadata").replace(",", " ").split(),
        "emailLinking": "LINK" if text_of(form, "emailLinking") else "REFUSE",
        "provisioning": "EXISTING_ONLY" if text_of(form, "existingOnly") else "CREATE",
    }
    return switches | numbers | names | choices


async def _update_sign_in(admin_page: AdminPage, form: FormData) -> Response:
    urls: dict[str, object] = {name: text_of(form, name) or None for name in _URLS}
    await admin_page.run("update_sign_in", input=urls | {name: bool(text_of(form, name)) for name in _SIGN_IN_SWITCHES})
    return admin_page.go(AUTHENTICATION, done="sign-in-updated")


async def _update_email_login(admin_page: AdminPage, form: FormData) -> Response:
    await admin_page.run(
        "update_email_login",
        enabled=bool(text_of(form, "enabled")),
        signUp="OPEN" if text_of(form, "open") else "INVITATION",
        allowedDomains=text_of(form, "allowedDomains").split(),
    )
    return admin_page.go(AUTHENTICATION, done="email-login-updated")


_ACTIONS: dict[str, Callable[[AdminPage, FormData], Awaitable[Response]]] = {
    "enable": _enable,
    "disable": _disable,
    "rotate": _rotate,
    "revoke": _revoke,
    "revoke-codes": _revoke_codes,
    "describe": _describe,
    "policy": _update_policy,
    "sign-in": _update_sign_in,
    "email-login": _update_email_login,
}
