"""The page of the settings: what the operator has set, and a test mail."""

from starlette.datastructures import FormData
from starlette.responses import Response

from service.web.admin.page import AdminPage, FormRefused

SETTINGS = "/admin/settings"


async def show_settings(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/settings`: the page. With a `problem`, also the answer to a mail that was not sent."""
    data = await admin_page.run("settings")
    return admin_page.show(
        "settings.html", status=status, problem=problem, shown=data["settings"], seat_usage=data["seatUsage"]
    )


async def try_mail(admin_page: AdminPage, _form: FormData) -> Response:
    """`POST /admin/settings`: send a test mail to the admin."""
    sent = (await admin_page.run("send_test_mail"))["sendTestMail"]
    if sent["problem"]:
        raise FormRefused(f"The mail was not sent. {sent['problem']}.")
    return admin_page.go(SETTINGS, done="mail-sent")
