"""The first page of the panel: what to do next, and how sign-in, seats, secrets, mail and origins are."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from service.clock import now
from service.settings import MailDelivery
from service.web.admin.chart import sign_in_chart
from service.web.admin.page import AdminPage

OVERVIEW = "/admin"
_RECENT = timedelta(days=7)
_SOON = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Step:
    """A step to the first user who signs in by a code."""

    is_done: bool
    name: str
    page: str
    why: str
    makes_test_link: bool = False


async def show_overview(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin`. With a `problem`, also the answer to a test link that could not be made."""
    data = await admin_page.run("overview", weekAgo=(now() - _RECENT).isoformat())
    jwt = data["authentication"]["jwt"]
    secrets = [secret for secret in jwt["secrets"] if secret["status"] in ("CURRENT", "RETIRING")]
    days = [
        (day["date"], day["signIns"], sum(one["count"] for one in day["refusals"]), day["refusals"])
        for day in data["signInDays"]
    ]
    reasons = Counter[str]()
    for *_, refusals in days:
        reasons.update({one["code"]: one["count"] for one in refusals})
    steps = _steps(admin_page, data)
    return admin_page.show(
        "overview.html",
        status=status,
        problem=problem,
        email_login=data["authentication"]["emailLogin"]["enabled"],
        jwt_enabled=jwt["enabled"],
        live_secrets=secrets,
        secret_warnings=_secret_warnings(secrets),
        new_users=data["newUsers"],
        seat_usage=data["seatUsage"],
        days=days,
        chart=sign_in_chart([day[:3] for day in days]),
        reasons=reasons.most_common(),
        mail=data["mailStatus"],
        refused_origins=data["refusedOrigins"],
        app_url=admin_page.settings.app_url,
        allowed_origins=admin_page.settings.allowed_origins,
        steps=steps if not all(step.is_done for step in steps) else [],
    )


async def make_test_link(admin_page: AdminPage, _form: FormData) -> Response:
    """`POST /admin`: show a link that signs in a test user. A reload makes another one, which does no harm."""
    link = (await admin_page.run("create_test_link"))["createTestLink"]
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    return admin_page.show("test_link.html", link=link, seat_usage=seat_usage)


def _steps(admin_page: AdminPage, data: dict[str, Any]) -> list[Step]:
    """Return the way to the first user who signed in by a code."""
    settings, jwt = admin_page.settings, data["authentication"]["jwt"]
    by_code = next(seats["used"] for seats in data["seatUsage"]["byOrigin"] if seats["origin"] == "EXTERNAL_JWT")
    return [
        Step(
            settings.mail_delivery is not MailDelivery.NONE,
            "Set a mail server",
            "/admin/settings",
            "Without DOORCODE_SMTP_URL, no admin gets a sign-in code.",
        ),
        Step(
            jwt["enabled"],
            "Enable JWT sign-in",
            "/admin/authentication#jwt",
            "This creates the secret that your backend signs codes with.",
        ),
        Step(
            bool(settings.app_url or settings.allowed_origins),
            "Name your application",
            "/admin/settings",
            "DOORCODE_APP_URL is where a link leads. DOORCODE_ALLOWED_ORIGINS are the pages that may use the widget.",
        ),
        Step(
            by_code > 0,
            "Sign in a test user",
            "/admin/users",
            "The panel signs a code, as your backend would, and shows the link.",
            makes_test_link=jwt["enabled"],
        ),
        Step(
            any(secret["lastUsedAt"] for secret in jwt["secrets"]),
            "Sign a code in your backend",
            "/admin/authentication/snippets",
            "Copy a program. If a code is refused, the page says why.",
        ),
    ]


def _secret_warnings(secrets: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Return the secrets that need attention while a secret is being replaced, and why."""
    retiring = [secret for secret in secrets if secret["status"] == "RETIRING"]
    warnings = [
        (secret, "is new and not used yet, although the old secret stops working soon.")
        for secret in secrets
        if retiring and secret["status"] == "CURRENT" and not secret["lastUsedAt"]
    ]
    for secret in retiring:
        ends = datetime.fromisoformat(secret["retiresAt"])
        used = secret["lastUsedAt"] and datetime.fromisoformat(secret["lastUsedAt"]) > now() - _RECENT
        if used and ends - now() < _SOON:
            warnings.append((secret, "stops working soon, and codes were signed with it in the last 7 days."))
    return warnings
