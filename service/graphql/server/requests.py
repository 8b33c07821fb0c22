"""Reads GraphQL requests over HTTP: method, media types, size and parameters.

It follows the GraphQL-over-HTTP specification (graphql.github.io/graphql-over-http), without batching. A form cannot
send `application/json`, so a page of another site cannot send a mutation without a CORS preflight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import ErrorCode

MAX_BODY = 64 * 1024
"""The maximum number of bytes of a body or a query string."""

_MAX_PARAMETERS = 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TAKEN_FOR_ABSENT = (None, "")


class HttpRefusal(Exception):
    """The request is not a GraphQL request. It is answered with this status and these headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.code: str = ErrorCode.BAD_USER_INPUT
        """`extensions.code` of the error in the response."""


class PersistedQueryNotSupported(HttpRefusal):
    """The request has the hash of a query instead of a query (Apollo's automatic persisted queries).

    Clients of the protocol look for this message or code in a response with status 200, and send the query next time.
    """

    def __init__(self) -> None:
        super().__init__(200, "PersistedQueryNotSupported")
        self.code = "PERSISTED_QUERY_NOT_SUPPORTED"


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The parameters of a request. Their types are checked, their contents are not."""

    query: str
    variables: dict[str, object] | None = None
    operation_name: str | None = None


class MediaType(StrEnum):
    """The media types of answers. With the second, the HTTP status also tells that a request was refused."""

    JSON = "application/json"
    GRAPHQL_RESPONSE = "application/graphql-response+json"


@lru_cache(maxsize=64)
def preferred_media_type(accept: bytes) -> MediaType:
    """Return the media type for an `Accept` header; JSON if several are equal. Raises `HttpRefusal` with 406."""
    qualities = _qualities(accept.decode("latin-1").lower())
    either = qualities.get("application/*", qualities.get("*/*", 0.0))
    as_json = qualities.get(MediaType.JSON, either)
    if qualities.get(MediaType.GRAPHQL_RESPONSE, 0.0) > 0 and qualities[MediaType.GRAPHQL_RESPONSE] >= as_json:
        return MediaType.GRAPHQL_RESPONSE
    if as_json > 0:
        return MediaType.JSON
    if qualities.get(MediaType.GRAPHQL_RESPONSE, either) > 0:
        return MediaType.GRAPHQL_RESPONSE
    raise HttpRefusal(406, f"Answers are {MediaType.JSON} or {MediaType.GRAPHQL_RESPONSE}; accept one of them.")


def _qualities(accept: str) -> dict[str, float]:
    qualities = {}
    for accepted in accept.split(","):
        media_type, *parameters = (part.strip() for part in accepted.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        qualities[media_type] = _quality(weights[0]) if weights else 1.0
    return qualities


def _quality(weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        return 0.0


async def read_post(headers: Mapping[bytes, bytes], receive: Receive) -> GraphQLRequest:
    """Read a request from a body. Raises `HttpRefusal`, or `ClientDisconnect` if the client disconnects."""
    _check_content_type(headers.get(b"content-type", b""))
    _check_content_encoding(headers.get(b"content-encoding", b""))
    _check_content_length(headers.get(b"content-length", b""))
    return _request_in(_json(await _body(receive), "The body"))


def read_get(query_string: bytes) -> GraphQLRequest:
    """Read a request from a query string. Raises `HttpRefusal`."""
    if len(query_string) > MAX_BODY:
        raise HttpRefusal(414, f"The query string has more than {MAX_BODY:,} bytes.")
    try:
        pairs = parse_qsl(query_string.decode("ascii"), errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise HttpRefusal(400, "The query string cannot be read as UTF-8 parameters.") from None
    parameters: dict[str, object] = dict(pairs)
    for name, text in pairs:
        if name in {"variables", "extensions"}:
            parameters[name] = _json(text, f'"{name}"')
    return _request_in(parameters)


def _check_content_type(content_type: bytes) -> None:
    if content_type == b"application/json":
        return
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = {part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")}
    if media_type != "application/json" or charsets - {"utf-8", "utf8"}:
        raise HttpRefusal(415, "Send the request as application/json, in UTF-8.")


def _check_content_encoding(content_encoding: bytes) -> None:
    if content_encoding.strip().lower() not in (b"", b"identity"):
        raise HttpRefusal(
            415,
            "The body is compressed: send it without Content-Encoding.",
            {"Accept-Encoding": "identity"},  # RFC 9110, section 15.5.16
        )


def _check_content_length(declared: bytes) -> None:
    significant = declared.lstrip(b"0")
    if significant.isdigit() and (len(significant) > len(str(MAX_BODY)) or int(significant) > MAX_BODY):
        raise _too_large()


async def _body(receive: Receive) -> bytearray:
    body = bytearray()  # not bytes: those are copied whole for each chunk, and a chunk can be one byte
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return body


def _too_large() -> HttpRefusal:
    return HttpRefusal(413, f"The body has more than {MAX_BODY:,} bytes.")


def _json(text: bytearray | str, what: str) -> object:
    if isinstance(text, bytearray):
        text = text.removeprefix(_BYTE_ORDER_MARK)  # RFC 8259, section 8.1, lets a parser ignore it
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise HttpRefusal(400, f"{what} is not JSON in UTF-8.") from None
    return value


def _request_in(parameters: object) -> GraphQLRequest:
    if isinstance(parameters, list):
        raise HttpRefusal(400, "Batching is not supported: send one request at a time, as an object.")
    if not isinstance(parameters, dict):
        raise HttpRefusal(400, "The body has to be an object with a query.")
    # Some clients send an empty text for what they leave out.
    parameters = {name: value for name, value in parameters.items() if value not in _TAKEN_FOR_ABSENT}
    query, operation_name = parameters.get("query"), parameters.get("operationName")
    if query is None and _has_persisted_query(parameters.get("extensions")):
        raise PersistedQueryNotSupported
    if not isinstance(query, str):
        raise HttpRefusal(400, '"query" has to be a document, as a string.')
    if not isinstance(operation_name, str | None):
        raise HttpRefusal(400, '"operationName" has to be a string or null.')
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name), dict | None):
            raise HttpRefusal(400, f'"{name}" has to be an object or null.')
    return GraphQLRequest(query, parameters.get("variables"), operation_name)


def _has_persisted_query(extensions: object) -> bool:
    return isinstance(extensions, dict) and isinstance(extensions.get("persistedQuery"), dict)
