"""Recognises how a browser came to send a request, by the Fetch Metadata headers.

A sign-in must be something that the person sees. An image, a frame or a script of another page sends the same request as a
click on a link does, and the headers tell them apart. Programs and older browsers send none: nothing is refused then.
"""

from starlette.requests import Request
from starlette.responses import Response

from service.web.branding import branded_page
from service.web.forms import Endpoint

_OWN_SITE = ("same-origin", "none")  # "none": the address bar, a bookmark, a link in a mail program


def is_navigation(request: Request) -> bool:
    """Return whether the browser opens the address as a page, in a tab or window. True if the browser says nothing."""
    mode, destination = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")
    return mode in (None, "navigate") and destination in (None, "document")


def comes_from_elsewhere(request: Request) -> bool:
    """Return whether the browser says that a page of another origin caused the request. False if it says nothing."""
    site = request.headers.get("sec-fetch-site")
    return site is not None and site not in _OWN_SITE


def lacks_lax_cookies(request: Request) -> bool:
    """Return whether the request is a form of another site, with which browsers send no cookie that is SameSite=Lax."""
    return request.method == "POST" and request.headers.get("sec-fetch-site") == "cross-site"


def on_navigation(send: Endpoint) -> Endpoint:
    """Return an endpoint that signs in: it refuses a form that a script of a page sends in place of the browser."""

    async def endpoint(request: Request) -> Response:
        if not is_navigation(request):
            return await refuse_other_than_navigation(request)
        return await send(request)

    return endpoint


async def refuse_other_than_navigation(request: Request) -> Response:
    """Return the 403 page for a request that signs in and is no navigation."""
    return await branded_page(request, "no_navigation.html", status=403)
