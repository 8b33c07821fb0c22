"""The page of the audit log, filtered by action, user, actor, secret, address, reference and time.

The filters are in the URL.
"""

from urllib.parse import urlencode

from starlette.responses import Response

from service.audit.actions import Action
from service.web.admin.days import ZONE, Days, day_of
from service.web.admin.page import AdminPage

AUDIT = "/admin/audit"
_EXACT = ("userId", "actor", "secretId")
_FILTERS = ("action", *_EXACT, "ipAddress", "reference", "from", "until", ZONE)


async def show_audit_log(admin_page: AdminPage) -> Response:
    """`GET /admin/audit`."""
    data = await admin_page.run("audit_log", after=admin_page.asked("after"), filter=_filter(admin_page))
    filters = {name: admin_page.asked_exactly(name) for name in _FILTERS}
    kept = {name: value for name, value in filters.items() if value}
    events = data["auditLog"]
    older = events["pageInfo"]["hasNextPage"]
    return admin_page.show(
        "audit.html",
        events=events,
        seat_usage=data["seatUsage"],
        filters=filters,
        actions=list(Action),
        older=f"{AUDIT}?{urlencode(kept | {'after': events['pageInfo']['endCursor']})}" if older else None,
        newest=f"{AUDIT}?{urlencode(kept)}" if admin_page.asked("after") else None,
    )


def _filter(admin_page: AdminPage) -> dict[str, object]:
    chosen: dict[str, object | None] = {name: admin_page.asked(name) for name in ("action", "ipAddress", "reference")}
    chosen |= {name: admin_page.asked_exactly(name) for name in _EXACT}
    days = Days.of(admin_page.request.query_params)
    first, last = day_of(admin_page.asked("from")), day_of(admin_page.asked("until"))
    chosen["after"] = days.before(first) if first else None
    chosen["before"] = days.after(last) if last else None
    return {name: value for name, value in chosen.items() if value is not None}
