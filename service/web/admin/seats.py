"""The page of seats: how many are used, by origin and over time, and the seat limit."""

import re

from starlette.datastructures import FormData
from starlette.responses import Response

from service.accounts.seats import MAX_LIMIT
from service.web.admin.chart import seat_chart
from service.web.admin.page import AdminPage, FormRefused, text_of

SEATS = "/admin/seats"
_NUMBER = re.compile(r"[0-9]{0,10}")
_PERIODS = {30: "30 days", 90: "90 days", 365: "1 year"}


async def show_seats(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/seats`: the page. With a `problem`, also the answer to a refused form."""
    asked = admin_page.asked("days") or ""
    days = int(asked) if asked in map(str, _PERIODS) else min(_PERIODS)
    seat_usage = (await admin_page.run("seats", days=days))["seatUsage"]
    return admin_page.show(
        "seats.html",
        status=status,
        problem=problem,
        seat_usage=seat_usage,
        chart=seat_chart(seat_usage["history"]),
        days=days,
        periods=_PERIODS,
    )


async def set_limit(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/seats`: set the seat limit. An empty field means no limit."""
    limit = text_of(form, "limit")
    if "limit" not in form or not _NUMBER.fullmatch(limit) or int(limit or 0) > MAX_LIMIT:
        raise FormRefused(f"The limit must be a number up to {MAX_LIMIT:,}, or empty for no limit.", "limit")
    await admin_page.run("set_seat_limit", limit=int(limit) if limit else None)
    return admin_page.go(SEATS, done="limit-set")
