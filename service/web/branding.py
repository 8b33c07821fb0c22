"""The branding on pages: pages for end users with the branding of now, and its logos and colours as files.

A logo is sanitised before it is stored. It is served with a policy that lets it load and run nothing, so that a file which gets past
that does no harm either when its address is opened.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.branding.colors import Accent
from service.branding.configuration import UNBRANDED, Branding
from service.page_urls import BRANDING_PATH
from service.web.assets import serve_versioned
from service.web.pages import page
from service.web.requests import NotOpenYet, instance_of

_LOGO_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # a public logo, which a frontend may show too
}


async def branded_page(request: Request, template: str, **values: object) -> Response:
    """Return a page for end users, as `page` does, with the branding of now. Pages of the panel keep Doorcode's name."""
    instance = instance_of(request)
    branding = UNBRANDED if is_panel(request) else await instance.branding.current()
    return page(instance.settings, template, branding=branding, **values)  # type: ignore[arg-type]


def known_branding(request: Request) -> Branding:
    """Return the branding that this process has read last, for a page that must not need the database.

    Doorcode's own name, if the process waits for its database since its start.
    """
    try:
        return UNBRANDED if is_panel(request) else instance_of(request).branding.known()
    except NotOpenYet:
        return UNBRANDED


def is_panel(request: Request) -> bool:
    """Return whether the page is for admins."""
    return request.url.path == "/admin" or request.url.path.startswith("/admin/")


def branding_routes() -> list[Route]:
    """Return the routes of the logos and the colours. Anyone may read them, as the pages that show them."""
    return [
        Route(f"{BRANDING_PATH}/logo", _serve_logo),
        Route(f"{BRANDING_PATH}/logo-dark", _serve_logo),
        Route(f"{BRANDING_PATH}/colors.css", _serve_colors),
        Route(f"{BRANDING_PATH}/preview.css", _serve_colors),
    ]


async def _serve_logo(request: Request) -> Response:
    branding = await instance_of(request).branding.current()
    logo = branding.logo_dark if request.url.path.endswith("-dark") else branding.logo
    if logo is None:
        raise HTTPException(404)
    return serve_versioned(request, logo.content, logo.media_type, logo.version, _LOGO_HEADERS)


async def _serve_colors(request: Request) -> Response:
    branding = await instance_of(request).branding.current()
    if branding.accents is None:
        raise HTTPException(404)
    light, dark = branding.accents
    if request.url.path.endswith("/preview.css"):
        style = f"{_rule('.preview.light', light)}{_rule('.preview.dark', dark)}"
    else:
        style = f"{_rule(':root', light)}@media (prefers-color-scheme: dark) {{ {_rule(':root', dark)}}}\n"
    return serve_versioned(request, style.encode(), "text/css", branding.colors_version)


def _rule(selector: str, accent: Accent) -> str:
    """Return the custom properties of `doorcode.css`. Links have the colour of the text: an accent has 3 : 1, text needs 4.5 : 1."""
    colors = f"--accent: {accent.color}; --accent-strong: {accent.strong}; --on-accent: {accent.text}"
    return f"{selector} {{ {colors}; --link: var(--text); --link-strong: var(--text); }}\n"
