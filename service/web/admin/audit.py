"""The page of the audit log, filtered by action, user and time. The filters are in the URL."""

from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from service.audit.actions import Action
from service.web.admin.page import AdminPage

AUDIT = "/admin/audit"
_FILTERS = ("action", "userId", "from", "until")


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
    chosen: dict[str, object | None] = {
        "action": admin_page.asked("action"),
        "userId": admin_page.asked_exactly("userId"),
    }
    first, last = _day(admin_page.asked("from")), _day(admin_page.asked("until"))
    chosen["after"] = _moment(first - timedelta(days=1), time.max) if first else None
    chosen["before"] = _moment(last + timedelta(days=1), time.min) if last else None
    return {name: value for name, value in chosen.items() if value is not None}


def _day(text: str | None) -> date | None:
    """Return the day of a date field. None if it is empty or not a date: then it does not filter."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if date.min < day < date.max else None


def _moment(day: date, at: time) -> str:
    return datetime.combine(day, at, UTC).isoformat()
