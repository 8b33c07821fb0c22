"""The page of users: search, filters and pages, whose state is in the URL; and the export."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.responses import Response

from service.accounts.directory import UserOrder, record_export
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.csv_lines import BYTE_ORDER_MARK, csv_line
from service.web.admin.exports import csv_file
from service.web.admin.page import AdminPage
from service.web.security import see_other

USERS = "/admin/users"
_PAGE = 50
_NUMBER = re.compile(r"[0-9]{1,9}")
_FILTERS = {"origin": UserOrigin, "status": UserStatus, "role": UserRole}
_COLUMNS = (
    "id",
    "externalId",
    "email",
    "emailVerified",
    "origin",
    "role",
    "status",
    "createdAt",
    "lastSeenAt",
    "metadata",
    "groups",
)


async def show_users(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/users`: the page. With a `problem`, also the answer to a refused form."""
    order = _order(admin_page)
    data = await admin_page.run("users", **_wanted_page(admin_page), filter=_filter(admin_page), orderBy=order)
    return admin_page.show(
        "users.html",
        status=status,
        problem=problem,
        users=data["users"],
        seat_usage=data["seatUsage"],
        filters={name: admin_page.asked(name) for name in ("search", "group", *_FILTERS)},
        order=order,
        link=_Links(admin_page),
        email_login=data["authentication"]["emailLogin"]["enabled"],
    )


async def export_users(admin_page: AdminPage) -> Response:
    """`GET /admin/users.csv`: all users that the filters let through, as they are read: no size is too large."""
    admin_page.caller.require_fresh_proof()
    first = await _read(admin_page, None)  # what is refused, is refused before the file begins
    await record_export("csv", _filter(admin_page), admin_page.caller.actor)
    return csv_file("users", _lines(admin_page, first))


async def go_on_to_export(admin_page: AdminPage, _form: FormData) -> Response:
    """`POST /admin/users.csv`: the page that asked for a proof sends this. The filters are in the URL."""
    admin_page.caller.require_fresh_proof()
    query = admin_page.request.url.query
    return see_other(admin_page.settings, f"{USERS}.csv?{query}" if query else f"{USERS}.csv")


def _wanted_page(admin_page: AdminPage) -> dict[str, object]:
    before = admin_page.asked("before")
    return {"last": _PAGE, "before": before} if before else {"first": _PAGE, "after": admin_page.asked("after")}


def _filter(admin_page: AdminPage) -> dict[str, object]:
    chosen: dict[str, object] = {"search": admin_page.asked("search"), "group": admin_page.asked_exactly("group")}
    for name, kind in _FILTERS.items():
        value = admin_page.asked(name)
        chosen[name] = value if value in kind.__members__ else None
    return {name: value for name, value in chosen.items() if value is not None}


def _order(admin_page: AdminPage) -> UserOrder:
    asked = admin_page.asked("order") or ""
    return UserOrder(asked) if asked in UserOrder.__members__ else UserOrder.CREATED_AT_DESC


def _steady_order(admin_page: AdminPage) -> UserOrder:
    """Return the order for an export. Never by last seen: users who sign in during it would be skipped or repeated."""
    order = _order(admin_page)
    return UserOrder.CREATED_AT_DESC if order is UserOrder.LAST_SEEN_AT_DESC else order


def kept_filters(admin_page: AdminPage) -> dict[str, str]:
    """Return the search, the filters and the order of the list that is shown."""
    names = ("search", "group", *_FILTERS, "order")
    return {name: value for name in names if (value := admin_page.asked(name))}


class _Links:
    """URLs of the same list with another page or format."""

    def __init__(self, admin_page: AdminPage) -> None:
        self._kept = kept_filters(admin_page)
        at = admin_page.asked("at") or ""
        self.first = max(1, int(at)) if _NUMBER.fullmatch(at) else 1
        """The number of the first user of the page. The cursor does not know it, so the URL carries it, only to show it."""

    def following(self, cursor: str) -> str:
        """Return the URL of the page after this one."""
        return self.page(after=cursor, at=str(self.first + _PAGE))

    def preceding(self, cursor: str) -> str:
        """Return the URL of the page before this one."""
        return self.page(before=cursor, at=str(max(1, self.first - _PAGE)))

    def page(self, **cursor: str) -> str:
        """Return the URL of another page of the list."""
        return f"{USERS}?{urlencode(self._kept | cursor)}"

    def export(self) -> str:
        """Return the URL of the list as a file."""
        return f"{USERS}.csv?{urlencode(self._kept)}" if self._kept else f"{USERS}.csv"


async def _lines(admin_page: AdminPage, page: dict[str, Any]) -> AsyncIterator[str]:
    yield BYTE_ORDER_MARK + csv_line(_COLUMNS)
    while True:
        yield "".join(csv_line(_value(user, column) for column in _COLUMNS) for user in page["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        page = await _read(admin_page, page["pageInfo"]["endCursor"])


async def _read(admin_page: AdminPage, after: str | None) -> dict[str, Any]:
    data = await admin_page.run(
        "export_users", after=after, filter=_filter(admin_page), orderBy=_steady_order(admin_page)
    )
    users: dict[str, Any] = data["users"]
    return users


def _value(user: dict[str, Any], column: str) -> object:
    if column == "groups":
        return list(dict.fromkeys(group["name"] for group in user["groups"]))
    return user[column]
