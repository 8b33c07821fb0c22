"""The first page of the panel: what to do next, and how sign-in, seats and secrets are."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from service.clock import now
from service.settings import MailDelivery
from service.settings_overview import NOT_SET
from service.web.admin.page import AdminPage

OVERVIEW = "/admin"
_RECENT = timedelta(days=7)


async def show_overview(admin_page: AdminPage) -> Response:
    """`GET /admin`."""
    data = await admin_page.run("overview", weekAgo=(now() - _RECENT).isoformat())
    jwt, seat_usage = data["authentication"]["jwt"], data["seatUsage"]
    steps = _steps(admin_page, data)
    return admin_page.show(
        "overview.html",
        email_login=data["authentication"]["emailLogin"]["enabled"],
        jwt_enabled=jwt["enabled"],
        live_secrets=[secret for secret in jwt["secrets"] if secret["status"] in ("CURRENT", "RETIRING")],
        new_users=data["newUsers"],
        seat_usage=seat_usage,
        steps=steps if not all(done for done, *_ in steps) else [],
    )


def _steps(admin_page: AdminPage, data: dict[str, Any]) -> list[tuple[bool, str, str, str]]:
    """Return the way to the first user who signed in by a code: whether a step is done, its name, its page, and why."""
    given = {setting["name"]: setting["value"] != NOT_SET for setting in data["settings"]["values"]}
    jwt = data["authentication"]["jwt"]
    by_code = next(seats["used"] for seats in data["seatUsage"]["byOrigin"] if seats["origin"] == "EXTERNAL_JWT")
    used = any(secret["lastUsedAt"] for secret in jwt["secrets"])
    return [
        (
            admin_page.settings.mail_delivery is not MailDelivery.NONE,
            "Set a mail server",
            "/admin/settings",
            "Without DOORCODE_SMTP_URL no admin gets a sign-in code.",
        ),
        (
            jwt["enabled"],
            "Enable JWT sign-in",
            "/admin/authentication#jwt",
            "It makes the secret that your backend signs with.",
        ),
        (
            used,
            "Sign a code in your backend",
            "/admin/authentication/snippets",
            "Programs to copy. If a code is refused, the page says why.",
        ),
        (
            given["DOORCODE_APP_URL"] or given["DOORCODE_ALLOWED_ORIGINS"],
            "Name your application",
            "/admin/settings",
            "DOORCODE_APP_URL is where a link leads; DOORCODE_ALLOWED_ORIGINS are the pages that may use the widget.",
        ),
        (by_code > 0, "Sign a first user in", "/admin/users", "The user appears in the list."),
    ]
