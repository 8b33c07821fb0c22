"""The page of the recommended policy: what would change and why, before anything is changed."""

from starlette.datastructures import FormData
from starlette.responses import Response

from service.web.admin.authentication import AUTHENTICATION
from service.web.admin.page import AdminPage, FormRefused

RECOMMENDED = f"{AUTHENTICATION}/recommended"
WORDS = {
    "requireExpiry": "Require an expiry",
    "maxLifetimeSeconds": "Maximum lifetime of a code, in seconds",
    "clockSkewSeconds": "Clock skew, in seconds",
    "trustEmails": "The emails in codes are verified",
    "emailLinking": "Link by email",
    "issuer": "Issuer",
    "audience": "Audience",
}


async def show_recommended(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/authentication/recommended`. With a `problem`, also the answer to a refused form."""
    data = await admin_page.run("recommended_policy")
    rows = data["authentication"]["jwt"]["recommendedPolicy"]
    return admin_page.show(
        "recommended.html", status=status, problem=problem, rows=rows, words=WORDS, seat_usage=data["seatUsage"]
    )


async def apply_recommended(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/authentication/recommended`: set the values whose boxes are ticked."""
    data = await admin_page.run("recommended_policy")
    rows = data["authentication"]["jwt"]["recommendedPolicy"]
    chosen = {row["field"]: row["recommended"] for row in rows if row["field"] in form.getlist("field")}
    values = {name: value for name, value in chosen.items() if value is not None}
    if not values:
        raise FormRefused("Tick the values that you want to set. Nothing was changed.")
    await admin_page.run("update_policy", policy=values)
    return admin_page.go(AUTHENTICATION, done="policy-updated")
