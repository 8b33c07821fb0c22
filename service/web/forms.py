"""The routes of HTML forms, with the check of their origin; and reading the fields of a form, in any encoding."""

from collections.abc import Awaitable, Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.credentials import is_same_origin
from service.settings import Settings
from service.web.branding import branded_page
from service.web.requests import instance_of

MAX_BODY = 64 * 1024
"""The largest body of a form without files, in bytes."""

_MAX_FIELDS = 20
_ENCODINGS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_CHARSETS = (b"utf-8", b"utf8")


REFUSED_ORIGIN = "refused_origin.html"
"""The template for a form that another site sent."""

Endpoint = Callable[[Request], Awaitable[Response]]
Trust = Callable[[Request, Settings], Awaitable[bool]]


async def _trust_same_origin(request: Request, settings: Settings) -> bool:
    return is_same_origin(request, settings)


def form_route(
    path: str,
    *,
    send: Endpoint,
    show: Endpoint | None = None,
    refused: str = REFUSED_ORIGIN,
    max_body: int = MAX_BODY,
    trusts: Trust = _trust_same_origin,
) -> Route:
    """Return the route of a form: `show` answers GET, `send` answers POST.

    `send` runs only for a request that `trusts` accepts, by default one from a page of this origin. Others get status 403
    and the template `refused`, because another site's form could otherwise act with the person's cookies, or sign the
    person in as another user. Every form of the service is declared by this function.
    """

    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            assert show is not None, "the route declares no other method"
            return await show(request)
        settings = instance_of(request).settings
        if not await trusts(request, settings):
            return await branded_page(request, refused, status=403, path=request.url.path)
        return await send(request)

    methods = ["POST"] if show is None else ["GET", "POST"]
    return Route(path, endpoint, methods=methods, max_body_size=max_body)


async def read_form(request: Request, *, max_fields: int = _MAX_FIELDS, max_files: int = 0) -> FormData:
    """Return the fields of a form, and at most `max_files` files. Raises `HTTPException` 400 or 415."""
    encoding, options = parse_options_header(request.headers.get("content-type"))
    if encoding not in _ENCODINGS:
        raise HTTPException(415)
    # Python knows codecs that are slow, and some that raise what no form parser expects.
    if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:
        raise HTTPException(415)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HTTPException(415, headers={"Accept-Encoding": "identity"})  # RFC 9110, section 15.5.16
    try:
        return await request.form(max_files=max_files, max_fields=max_fields, max_part_size=MAX_BODY)
    except (FormParserError, UnicodeError) as error:
        raise HTTPException(400) from error


def given_once(fields: ImmutableMultiDict[str, object], name: str) -> str | None:
    """Return the value of a field or parameter; None if it was not given.

    Returns an empty text if it was given more than once, or is not text: a proxy or filter that checks the request may have
    looked at another of the values.
    """
    values = fields.getlist(name)
    if not values:
        return None
    value = values[0]
    return value if len(values) == 1 and isinstance(value, str) else ""
