"""Reading an HTML form, however it is encoded, without ever failing for what a stranger sends."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_BODY = 64 * 1024
"""Bytes; also what every route with a form is declared with."""

_MAX_FIELDS = 20
_ENCODINGS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_CHARSETS = (b"utf-8", b"utf8")


async def read_form(request: Request) -> FormData:
    """The fields of a form; a file is none. Raises `HTTPException`: 400 or 415."""
    encoding, options = parse_options_header(request.headers.get("content-type"))
    if encoding not in _ENCODINGS:
        raise HTTPException(415)
    # Python knows codecs that are slow, and some that raise what no form parser expects.
    if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:
        raise HTTPException(415)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HTTPException(415, headers={"Accept-Encoding": "identity"})  # RFC 9110, section 15.5.16
    try:
        return await request.form(max_files=0, max_fields=_MAX_FIELDS, max_part_size=MAX_BODY)
    except (FormParserError, UnicodeError) as error:
        raise HTTPException(400) from error


def given_once(fields: ImmutableMultiDict[str, object], name: str) -> str | None:
    """The value of a field or parameter; None where it was not given.

    Given more than once, or as anything but text, it is an empty one: whoever checks a link on its way here may have
    looked at another of the values than we would.
    """
    values = fields.getlist(name)
    if not values:
        return None
    value = values[0]
    return value if len(values) == 1 and isinstance(value, str) else ""
