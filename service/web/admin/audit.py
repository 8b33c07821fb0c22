"""The audit log: filtered by action, user and time; the filters stand in the address."""

from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from service.audit.actions import Action
from service.web.admin.desk import Desk

AUDIT = "/admin/audit"
_FILTERS = ("action", "userId", "from", "until")


async def show_audit_log(desk: Desk) -> Response:
    """`GET /admin/audit`."""
    data = await desk.run("audit_log", after=desk.asked("after"), filter=_filter(desk))
    filters = {name: desk.asked_exactly(name) for name in _FILTERS}
    kept = {name: value for name, value in filters.items() if value}
    events = data["auditLog"]
    older = events["pageInfo"]["hasNextPage"]
    return desk.show(
        "audit.html",
        events=events,
        seat_usage=data["seatUsage"],
        filters=filters,
        actions=list(Action),
        older=f"{AUDIT}?{urlencode(kept | {'after': events['pageInfo']['endCursor']})}" if older else None,
        newest=f"{AUDIT}?{urlencode(kept)}" if desk.asked("after") else None,
    )


def _filter(desk: Desk) -> dict[str, object]:
    chosen: dict[str, object | None] = {"action": desk.asked("action"), "userId": desk.asked_exactly("userId")}
    first, last = _day(desk.asked("from")), _day(desk.asked("until"))
    chosen["after"] = _moment(first - timedelta(days=1), time.max) if first else None
    chosen["before"] = _moment(last + timedelta(days=1), time.min) if last else None
    return {name: value for name, value in chosen.items() if value is not None}


def _day(text: str | None) -> date | None:
    """A day as a date field sends it; what is none does not filter."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if date.min < day < date.max else None


def _moment(day: date, at: time) -> str:
    return datetime.combine(day, at, UTC).isoformat()
