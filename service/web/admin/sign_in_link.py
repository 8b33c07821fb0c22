"""The page that shows a sign-in link once, with a QR code for a phone."""

import json

import segno
from markupsafe import Markup
from segno.encoder import DataOverflowError
from starlette.datastructures import FormData
from starlette.responses import Response

from service.sessions.shown_once import keep_to_show, secret_to_show
from service.web.admin.page import AdminPage, show_problem, text_of

SIGN_IN_LINK = "/admin/users/sign-in-link"
_KIND = "sign-in-link"
LIFETIMES = {300: "5 minutes", 3_600: "1 hour", 86_400: "1 day", 604_800: "7 days"}
_QUIET_ZONE = 4  # modules on each side (ISO/IEC 18004)


async def create_sign_in_link(admin_page: AdminPage, user_id: str, form: FormData) -> Response:
    """Make a link, and redirect to the page that shows it, so that a reload does not make another one."""
    chosen = text_of(form, "lifetimeSeconds")
    lifetime = int(chosen) if chosen in map(str, LIFETIMES) else 0
    made = await admin_page.run("create_sign_in_link", userId=user_id, lifetimeSeconds=lifetime)
    shown = json.dumps({"userId": user_id, **made["createSignInLink"]})
    shown_id = await keep_to_show(shown, _KIND, admin_page.caller.require_session(), admin_page.instance.cipher)
    return admin_page.go(SIGN_IN_LINK, id=shown_id)


async def show_sign_in_link(admin_page: AdminPage) -> Response:
    """`GET /admin/users/sign-in-link?id=…`: a new link, for 10 minutes, to the session that made it."""
    session = admin_page.caller.require_session()
    kept = await secret_to_show(admin_page.asked("id") or "", session, admin_page.instance.cipher)
    if kept is None or kept[0] != _KIND:
        return await show_problem(admin_page, "This link can no longer be shown. Make another one for the user.", 404)
    shown = json.loads(kept[1])
    data = await admin_page.run("authentication")
    return admin_page.show(
        "sign_in_link.html",
        link=shown["link"],
        expires_at=shown["expiresAt"],
        user_id=shown["userId"],
        single_use=data["authentication"]["jwt"]["policy"]["singleUse"],
        qr_code=_qr_code(shown["link"]),
        seat_usage=data["seatUsage"],
    )


def _qr_code(link: str) -> Markup | None:
    """Return the link as an SVG, black on white with its quiet zone. None if the link is too long for a QR code.

    Colours are attributes, which the Content-Security-Policy allows, and not those of the page: many phones cannot read
    a code that is light on dark.
    """
    try:
        code = segno.make(link, error="l", micro=False)
    except DataOverflowError:
        return None
    drawn = code.svg_inline(
        border=_QUIET_ZONE, dark="#000", light="#fff", title="QR code of the sign-in link", omitsize=True
    )
    return Markup(drawn.replace("<svg ", '<svg role="img" ', 1))  # noqa: S704 - the link is drawn, not written
