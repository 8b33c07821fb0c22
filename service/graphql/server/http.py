"""The ASGI endpoint of `/graphql` (contract §4). Use it as a route: `Route("/graphql", endpoint)`.

Do not mount it: a mounted application redirects to a trailing slash, and a redirect fails every CORS preflight.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol, TypeVar

import orjson
import strawberry
from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from strawberry.http.ides import get_graphql_ide_html

from service.errors import RequestRefused
from service.graphql.server.documents import Document, DocumentRefused, Documents
from service.graphql.server.errors import ErrorBoundary, bad_user_input, is_unavailable
from service.graphql.server.operations import Operations, Payload
from service.graphql.server.requests import (
    GraphQLRequest,
    HttpRefusal,
    MediaType,
    preferred_media_type,
    read_get,
    read_post,
)


class HasResponseHeaders(Protocol):
    """A context in which resolvers set headers of the response, such as `Retry-After`."""

    @property
    def response_headers(self) -> Mapping[str, str]:
        """The headers by name, in ASCII."""


ContextT = TypeVar("ContextT", bound=HasResponseHeaders)


class Response(NamedTuple):
    """A serialised response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def _not_logged(_refusal: RequestRefused, _context: object) -> None: ...


class GraphQLEndpoint(Generic[ContextT]):
    """The ASGI application for GET and POST."""

    def __init__(
        self,
        schema: strawberry.Schema,
        documents: Documents,
        *,
        context_for: Callable[[Request], Awaitable[ContextT]],
        on_internal_error: Callable[[BaseException, str], bool | None],
        on_refusal: Callable[[RequestRefused, object], None] = _not_logged,
        graphiql: bool = False,
    ) -> None:
        """Create the endpoint. `graphiql` serves an IDE whose scripts come from a public CDN, for development only."""
        self._boundary = ErrorBoundary(on_internal_error, on_refusal)
        self._context_for = context_for
        self._graphiql = get_graphql_ide_html("graphiql").encode() if graphiql else None
        self.operations = Operations(schema, documents, self._boundary)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Every answer is JSON, also after an error."""
        try:
            response = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            response = self._crashed(error)  # a task that a resolver waited for was cancelled, not the request
        except Exception as error:
            response = self._crashed(error)
        with suppress(OSError):  # the client has disconnected
            await _send(response, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        accept = headers.get(b"accept", b"*/*")
        if self._graphiql and b"text/html" in accept and _has_no_query(scope):
            return _response(200, self._graphiql, "text/html")
        media_type = MediaType.JSON
        try:
            media_type = preferred_media_type(accept)
            request = await _read(scope, headers, receive)
            document = self.operations.prepare(request)
            if scope["method"] == "GET":
                _check_only_queries(document, request)
        except HttpRefusal as refusal:
            return _refused(refusal, media_type)
        except DocumentRefused as refused:
            return _write_response({"errors": list(refused.errors)}, media_type, {})
        return await self._run(document, request, Request(scope, receive), media_type)

    async def _run(self, document: Document, request: GraphQLRequest, http: Request, media_type: MediaType) -> Response:
        try:
            context = await self._context_for(http)
        except RequestRefused as refusal:
            return _write_response({"errors": [self._boundary.raised(refusal)]}, media_type, {})
        payload = await self.operations.execute(document, request, context)
        return _write_response(payload, media_type, context.response_headers)

    def _crashed(self, error: BaseException) -> Response:
        payload: Payload = {"errors": [self._boundary.raised(error)]}
        status = 503 if _is_unavailable(payload) else 500
        return _response(status, _encoded(payload), MediaType.JSON, _retry_after(payload))


def _has_no_query(scope: Scope) -> bool:
    return scope["method"] == "GET" and b"query=" not in scope["query_string"]


async def _read(scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> GraphQLRequest:
    if scope["method"] == "POST":
        return await read_post(headers, receive)
    if scope["method"] == "GET":
        return read_get(scope["query_string"])
    raise HttpRefusal(405, "Ask with POST, or with GET for a query.", {"Allow": "GET, POST"})


def _check_only_queries(document: Document, request: GraphQLRequest) -> None:
    operation = document.operation(request.operation_name)
    if operation and operation.type is not OperationType.QUERY:
        raise HttpRefusal(405, "A GET may only query. Send this operation with POST.", {"Allow": "POST"})


def _refused(refusal: HttpRefusal, media_type: MediaType) -> Response:
    body = _encoded({"errors": [bad_user_input(refusal.message, refusal.code)]})
    return _response(refusal.status, body, media_type, refusal.headers)


def _write_response(payload: Payload, media_type: MediaType, headers: Mapping[str, str]) -> Response:
    """Return the response. `application/json` is always 200, as clients that know no other media type expect."""
    if "errors" not in payload:
        return _response(200, _encoded(payload), media_type, headers)
    if _is_unavailable(payload):
        return _response(503, _encoded(payload), media_type, {**_retry_after(payload), **headers})
    status = 400 if media_type is MediaType.GRAPHQL_RESPONSE and "data" not in payload else 200
    return _response(status, _encoded(payload), media_type, {**_retry_after(payload), **headers})


def _is_unavailable(payload: Payload) -> bool:
    return any(is_unavailable(error) for error in payload.get("errors", ()))


def _retry_after(payload: Payload) -> dict[str, str]:
    waits = [error["extensions"].get("retryAfterSeconds", 0) for error in payload.get("errors", ())]
    return {"Retry-After": str(max(waits))} if any(waits) else {}


def _encoded(payload: Payload) -> bytes:
    """Serialise with orjson, or with `json` for metadata with integers of more than 64 bits, which orjson refuses."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload, separators=(",", ":")).encode()


def _response(status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    written = [
        (b"content-type", f"{content_type}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    for name, value in (headers or {}).items():
        written.append((name.lower().encode("ascii"), value.encode("ascii")))
    return Response(status, written, body)


async def _send(response: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
