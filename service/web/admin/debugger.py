"""The page that inspects a code. The code is sent by POST, so that it is in no URL and no browser history."""

from contextlib import suppress
from datetime import UTC, datetime

from starlette.datastructures import FormData
from starlette.responses import Response

from service.web.admin.page import AdminPage, FormRefused, text_of

DEBUGGER = "/admin/authentication/debugger"


async def show_debugger(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/authentication/debugger`: an empty form. With a `problem`, also the answer to a refused form."""
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    return admin_page.show(
        "debugger.html", status=status, problem=problem, code="", found=None, dates=[], seat_usage=seat_usage
    )


async def debug_code(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/authentication/debugger`: show the result of every check.

    Changes no data, and stores no part of the code.
    """
    code = text_of(form, "code")
    if not code:
        raise FormRefused("Paste a code first.", "code")
    data = await admin_page.run("inspect_code", externalAuthCode=code)
    found = data["inspectExternalAuthCode"]
    return admin_page.show(
        "debugger.html", code=code, found=found, dates=_dates_of(found["claims"]), seat_usage=data["seatUsage"]
    )


def _dates_of(claims: object) -> list[tuple[str, str]]:
    """Return the times of the claims as text that the page shows as dates. A number that is no time is left out."""
    dates = []
    for name in ("iat", "nbf", "exp"):
        seconds = claims.get(name) if isinstance(claims, dict) else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            with suppress(ValueError, OverflowError, OSError):
                dates.append((name, datetime.fromtimestamp(seconds, UTC).isoformat()))
    return dates
