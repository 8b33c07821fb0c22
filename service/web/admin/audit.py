"""The page of the audit log and its export, filtered by action, person, actor, secret, address, reference and time.

The filters are in the URL.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.responses import Response

from service.audit.actions import Action
from service.audit.listing import record_export
from service.csv_lines import BYTE_ORDER_MARK, csv_line
from service.web.admin.days import ZONE, Days, day_of
from service.web.admin.event_texts import told_events
from service.web.admin.exports import csv_file, json_file
from service.web.admin.operations import OperationRefused
from service.web.admin.page import AdminPage
from service.web.security import see_other

AUDIT = "/admin/audit"
_EXACT = ("userId", "actor", "secretId")
_FILTERS = ("action", *_EXACT, "ipAddress", "reference", "from", "until", ZONE)
_COLUMNS = (
    "createdAt",
    "action",
    "actor",
    "actorEmail",
    "userId",
    "userEmail",
    "secretId",
    "ipAddress",
    "reference",
    "detail",
)


async def show_audit_log(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/audit`."""
    wanted = await _filter(admin_page)
    data = await admin_page.run("audit_log", after=admin_page.asked("after"), filter=wanted)
    filters = {name: admin_page.asked_exactly(name) for name in _FILTERS}
    kept = {name: value for name, value in filters.items() if value}
    events = data["auditLog"]
    older = events["pageInfo"]["hasNextPage"]
    return admin_page.show(
        "audit.html",
        status=status,
        problem=problem,
        events=told_events(events["nodes"]),
        secret_names={secret["id"]: secret["name"] for secret in data["authentication"]["jwt"]["secrets"]},
        seat_usage=data["seatUsage"],
        filters=filters,
        actions=list(Action),
        older=f"{AUDIT}?{urlencode(kept | {'after': events['pageInfo']['endCursor']})}" if older else None,
        newest=f"{AUDIT}?{urlencode(kept)}" if admin_page.asked("after") else None,
        exports={name: f"{AUDIT}.{name}?{urlencode(kept)}" for name in ("csv", "json")},
    )


async def export_csv(admin_page: AdminPage) -> Response:
    """`GET /admin/audit.csv`: all events that the filters let through."""
    return csv_file("audit-log", _csv_lines(await _exported(admin_page, "csv")))


async def export_json(admin_page: AdminPage) -> Response:
    """`GET /admin/audit.json`: all events that the filters let through, as the API answers them."""
    return json_file("audit-log", await _exported(admin_page, "json"))


def go_on_to_export(file_format: str) -> Callable[[AdminPage, FormData], Awaitable[Response]]:
    """Return the handler of `POST /admin/audit.csv` or `.json`, which the page sends that asked for a proof."""

    async def go_on(admin_page: AdminPage, _form: FormData) -> Response:
        admin_page.caller.require_fresh_proof()
        query = admin_page.request.url.query
        return see_other(admin_page.settings, f"{AUDIT}.{file_format}" + (f"?{query}" if query else ""))

    return go_on


async def _exported(admin_page: AdminPage, file_format: str) -> AsyncIterator[list[Any]]:
    """Return the pages of the export, and record it. What is refused, is refused before the file begins."""
    admin_page.caller.require_fresh_proof()
    wanted = await _filter(admin_page)
    first = await admin_page.run("export_audit_log", after=None, filter=wanted)
    await record_export(file_format, wanted, admin_page.caller.actor)
    return _pages(admin_page, wanted, first["auditLog"])


async def _pages(admin_page: AdminPage, wanted: dict[str, object], page: dict[str, Any]) -> AsyncIterator[list[Any]]:
    while True:
        yield page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
        page = (await admin_page.run("export_audit_log", after=after, filter=wanted))["auditLog"]


async def _csv_lines(pages: AsyncIterator[list[Any]]) -> AsyncIterator[str]:
    yield BYTE_ORDER_MARK + csv_line(_COLUMNS)
    async for events in pages:
        yield "".join(csv_line(_value(event, column) for column in _COLUMNS) for event in events)


def _value(event: dict[str, Any], column: str) -> object:
    match column:
        case "actorEmail":
            return (event["actorUser"] or {}).get("email")
        case "userEmail":
            return (event["user"] or {}).get("email")
    return event[column]


async def _filter(admin_page: AdminPage) -> dict[str, object]:
    chosen: dict[str, object | None] = {name: admin_page.asked(name) for name in ("action", "ipAddress", "reference")}
    chosen |= {name: admin_page.asked_exactly(name) for name in _EXACT}
    if person := await _find_person(admin_page, chosen["userId"]):
        chosen["userId"] = person
    if person := await _find_person(admin_page, chosen["actor"]):
        chosen["actor"] = f"user:{person}"
    days = Days.of(admin_page.request.query_params)
    first, last = day_of(admin_page.asked("from")), day_of(admin_page.asked("until"))
    chosen["after"] = days.before(first) if first else None
    chosen["before"] = days.after(last) if last else None
    return {name: value for name, value in chosen.items() if value is not None}


async def _find_person(admin_page: AdminPage, text: object) -> str | None:
    """Return the ID of the user with this email. None if the text is the ID of a user, or no email that a user has."""
    if not isinstance(text, str) or "@" not in text:
        return None
    try:
        found = await admin_page.run("find_person", id=text, email=text.strip())
    except OperationRefused:
        return None  # not an email address
    people = found["users"]["nodes"]
    return str(people[0]["id"]) if people and found["user"] is None else None
