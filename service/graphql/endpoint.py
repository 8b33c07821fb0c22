"""The endpoint `/graphql`: the schema, the server and the log."""

from collections.abc import Callable

import structlog
from starlette.requests import Request

from service.error_reports import report_error
from service.errors import ErrorCode, RequestRefused
from service.graphql.context import Context, context_for
from service.graphql.schema import schema
from service.graphql.server.documents import Documents
from service.graphql.server.http import GraphQLEndpoint
from service.instance import Instance
from service.settings import Settings

_log = structlog.get_logger()


def graphql_endpoint(
    instance_of: Callable[[Request], Instance], settings: Settings, *, dev: bool = False
) -> GraphQLEndpoint[Context]:
    """Return the ASGI application of the route `/graphql`. With `dev` it serves GraphiQL to browsers."""

    async def make_context(request: Request) -> Context:
        return await context_for(request, instance_of(request))

    return GraphQLEndpoint(
        schema,
        Documents(schema, introspection=settings.introspection),
        context_for=make_context,
        on_internal_error=_report,
        on_refusal=log_refusal,
        graphiql=dev,
    )


def _report(error: BaseException, reference: str) -> bool:
    return report_error(error, reference=reference, route="/graphql")


def log_refusal(refusal: RequestRefused, context: object) -> None:
    """Log a refusal with its cause, which the client does not get.

    Not for a caller who only has to sign in. For callers who are not admins, one line a minute for each code and network.
    """
    if refusal.code is ErrorCode.UNAUTHENTICATED:
        return
    if isinstance(context, Context) and not context.caller.may_read_everything:
        kind, ip_address = f"request_refused {refusal.code}", context.caller.client.ip_address
        if not context.instance.folded_lines.admits(kind, ip_address):
            return
    _log.info("request_refused", code=refusal.code, cause=refusal.cause or refusal.message, reference=refusal.reference)
