"""The page of refused sign-ins: the look-up by reference, and the newest refusals by reason. Both are in the URL."""

from urllib.parse import urlencode

from starlette.responses import Response

from service.refusal_texts import SignInErrorCode
from service.web.admin.page import AdminPage

REFUSALS = "/admin/refusals"
_FILTERS = ("code", "ipAddress", "userId")


async def show_refusals(admin_page: AdminPage) -> Response:
    """`GET /admin/refusals`. With `reference`, the one refusal; a reference that is not known is a page with 404."""
    reference = admin_page.asked("reference")
    filters = {name: admin_page.asked(name) for name in _FILTERS}
    filters["userId"] = admin_page.asked_exactly("userId")
    data = await admin_page.run(
        "refusals",
        reference=reference or "",
        after=admin_page.asked("after"),
        filter={name: value for name, value in filters.items() if value},
    )
    found, listed = data["refusal"], data["refusals"]
    kept = {name: value for name, value in filters.items() if value}
    more = listed["pageInfo"]["hasNextPage"]
    return admin_page.show(
        "refusals.html",
        status=404 if reference and found is None else 200,
        reference=reference,
        found=found,
        refusals=listed,
        filters=filters,
        codes=list(SignInErrorCode),
        older=f"{REFUSALS}?{urlencode(kept | {'after': listed['pageInfo']['endCursor']})}" if more else None,
        newest=f"{REFUSALS}?{urlencode(kept)}" if admin_page.asked("after") else None,
        seat_usage=data["seatUsage"],
    )
