"""The page of the branding: what pages and mails for end users show, with a preview in both themes."""

import base64

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from service.branding.logos import MAX_SIZE
from service.web.admin.page import AdminPage, text_of

BRANDING = "/admin/branding"
MAX_BODY = 256 * 1024
"""The largest form, in bytes: two logos and the texts."""

_TEXTS = ("name", "accentColor", "accentColorDark", "supportEmail", "supportUrl")
_LOGOS = ("logo", "logoDark")


async def show_branding(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/branding`: the form and the preview."""
    data = await admin_page.run("branding")
    shown, address = data["branding"], admin_page.settings.public_url
    # Paths, because the panel may be open at a loopback name, and the page loads pictures of its own origin only.
    logos = {name: shown[name] and shown[name]["url"].removeprefix(address) for name in _LOGOS}
    return admin_page.show(
        "branding.html", status=status, problem=problem, shown=shown, logos=logos, seat_usage=data["seatUsage"]
    )


async def change_branding(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/branding`: save the form. An empty field clears its value; a logo stays if no file is chosen."""
    texts = {name: text_of(form, name) or None for name in _TEXTS if name in form}
    logos = {name: await _read_logo(form, name) for name in _LOGOS if _is_changed(form, name)}
    await admin_page.run("update_branding", input={**texts, **logos})
    return admin_page.go(BRANDING, done="branding-updated")


def _is_changed(form: FormData, name: str) -> bool:
    file = form.get(name)
    return bool(text_of(form, f"{name}Remove")) or (isinstance(file, UploadFile) and bool(file.size))


async def _read_logo(form: FormData, name: str) -> str | None:
    """Return the chosen file in base64, as the API takes it. None if the logo is to be removed."""
    file = form.get(name)
    if not isinstance(file, UploadFile) or not file.size:
        return None
    return base64.b64encode(await file.read(MAX_SIZE + 1)).decode()
