"""The page for a signing secret that has leaked: what to do, in order, and what was done with the secret."""

from urllib.parse import urlencode

from starlette.responses import Response

from service.web.admin.audit import AUDIT
from service.web.admin.authentication import AUTHENTICATION
from service.web.admin.event_texts import told_events
from service.web.admin.page import AdminPage, show_problem

LEAKED = f"{AUTHENTICATION}/leaked"


async def show_leaked(admin_page: AdminPage) -> Response:
    """`GET /admin/authentication/leaked?id=…`: the steps for one secret. Without an ID, for the current one."""
    asked = admin_page.asked("id")
    data = await admin_page.run("leaked_secret", id=asked or "")
    secrets = data["authentication"]["jwt"]["secrets"]
    chosen = next((one for one in secrets if one["id"] == asked or (not asked and one["status"] == "CURRENT")), None)
    if chosen is None:
        return await show_problem(admin_page, "There is no such secret. Choose one under User Authentication.", 404)
    if not asked:
        data = await admin_page.run("leaked_secret", id=chosen["id"])
    return admin_page.show(
        "leaked.html",
        secret=chosen,
        others=[one for one in secrets if one["id"] != chosen["id"] and one["status"] != "REVOKED"],
        events=told_events(data["auditLog"]["nodes"]),
        all_events=f"{AUDIT}?{urlencode({'secretId': chosen['id']})}",
        seat_usage=data["seatUsage"],
    )
