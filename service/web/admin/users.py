"""The list of users: search and filters that stand in the address, pages, inviting, and the export."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.responses import Response, StreamingResponse

from service.accounts.directory import UserOrder
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.web.admin.desk import Desk, text_of

USERS = "/admin/users"
_PAGE = 50
_FILTERS = {"origin": UserOrigin, "status": UserStatus, "role": UserRole}
_COLUMNS = ("id", "externalId", "email", "origin", "role", "status", "createdAt", "lastSeenAt", "metadata")
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def show_users(desk: Desk) -> Response:
    """`GET /admin/users`."""
    return await _show(desk, None, 200)


async def show_users_with_problem(desk: Desk, problem: str, status: int) -> Response:
    """The same, with what went wrong with a form on it."""
    return await _show(desk, problem, status)


async def invite(desk: Desk, form: FormData) -> Response:
    """`POST /admin/users`: an invitation."""
    role = UserRole.ADMIN if text_of(form, "role") == UserRole.ADMIN else UserRole.MEMBER
    invited = await desk.run("invite_user", email=text_of(form, "email"), role=role)
    return desk.go(f"{USERS}/user", id=invited["inviteUser"]["id"], done="invited")


async def export_users(desk: Desk) -> Response:
    """`GET /admin/users.csv`: all users that the filters let through, as they are read: no size is too large."""
    first = await _read(desk, None)  # what is refused, is refused before the file begins
    headers = {
        "Content-Disposition": 'attachment; filename="users.csv"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_lines(desk, first), media_type="text/csv; charset=utf-8", headers=headers)


async def _show(desk: Desk, problem: str | None, status: int) -> Response:
    order = _order(desk)
    data = await desk.run("users", **_wanted_page(desk), filter=_filter(desk), orderBy=order)
    return desk.show(
        "users.html",
        status=status,
        problem=problem,
        users=data["users"],
        seat_usage=data["seatUsage"],
        filters={name: desk.asked(name) for name in ("search", *_FILTERS)},
        order=order,
        link=_Links(desk),
        email_login=data["authentication"]["emailLogin"]["enabled"],
        typed_email=text_of(await desk.request.form(), "email") if problem else "",
    )


def _wanted_page(desk: Desk) -> dict[str, object]:
    before = desk.asked("before")
    return {"last": _PAGE, "before": before} if before else {"first": _PAGE, "after": desk.asked("after")}


def _filter(desk: Desk) -> dict[str, object]:
    chosen: dict[str, object] = {"search": desk.asked("search")}
    for name, kind in _FILTERS.items():
        value = desk.asked(name)
        chosen[name] = value if value in kind.__members__ else None
    return {name: value for name, value in chosen.items() if value is not None}


def _order(desk: Desk) -> UserOrder:
    asked = desk.asked("order") or ""
    return UserOrder(asked) if asked in UserOrder.__members__ else UserOrder.CREATED_AT_DESC


def _steady_order(desk: Desk) -> UserOrder:
    """For what is read page by page while people come and go: who is seen meanwhile would be skipped, or come twice."""
    order = _order(desk)
    return UserOrder.CREATED_AT_DESC if order is UserOrder.LAST_SEEN_AT_DESC else order


class _Links:
    """Addresses of the same list with something changed."""

    def __init__(self, desk: Desk) -> None:
        names = ("search", *_FILTERS, "order")
        self._kept = {name: value for name in names if (value := desk.asked(name))}

    def page(self, **cursor: str) -> str:
        """Another page of the list."""
        return f"{USERS}?{urlencode(self._kept | cursor)}"

    def export(self) -> str:
        """The list as a file."""
        return f"{USERS}.csv?{urlencode(self._kept)}" if self._kept else f"{USERS}.csv"


async def _lines(desk: Desk, page: dict[str, Any]) -> AsyncIterator[str]:
    yield _line(_COLUMNS)
    while True:
        yield "".join(_line([_cell(user[column]) for column in _COLUMNS]) for user in page["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        page = await _read(desk, page["pageInfo"]["endCursor"])


async def _read(desk: Desk, after: str | None) -> dict[str, Any]:
    data = await desk.run("export_users", after=after, filter=_filter(desk), orderBy=_steady_order(desk))
    users: dict[str, Any] = data["users"]
    return users


def _cell(value: object) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection)."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text


def _line(cells: "list[str] | tuple[str, ...]") -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()
