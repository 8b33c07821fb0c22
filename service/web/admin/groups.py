"""The page of groups: every group that has members, and how many."""

from starlette.responses import Response

from service.web.admin.page import AdminPage

GROUPS = "/admin/groups"
_PAGE = 100


async def show_groups(admin_page: AdminPage) -> Response:
    """`GET /admin/groups`: the page."""
    data = await admin_page.run("groups", first=_PAGE, after=admin_page.asked("after"))
    return admin_page.show("groups.html", groups=data["groups"], seat_usage=data["seatUsage"])
