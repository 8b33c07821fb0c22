"""Runs operations: looks up the document, executes it with graphql-core, and turns exceptions into errors.

It calls graphql-core as `strawberry.Schema.execute` does, but without the code for extensions, because this service has
none. A mutation that answers a dozen plain fields takes 95 µs of CPU instead of 160.
"""

from typing import Any, TypedDict

import strawberry
from graphql import ExecutionResult, GraphQLError
from strawberry.execution import optimized_is_awaitable

from service.graphql.server.answer_plans import PlainFields
from service.graphql.server.attribute_executor import AttributeExecutor
from service.graphql.server.direct_calls import DirectCall
from service.graphql.server.documents import Document, DocumentRefused, Documents
from service.graphql.server.errors import ErrorBoundary, FormattedError, request_error
from service.graphql.server.limits import check_nodes
from service.graphql.server.requests import GraphQLRequest

MAX_COERCION_ERRORS = 10


class Payload(TypedDict, total=False):
    """A GraphQL response. It has no `data` if the request did not run."""

    data: dict[str, Any] | None
    errors: list[FormattedError]


class Operations:
    """Runs the operations of one schema."""

    def __init__(self, schema: strawberry.Schema, documents: Documents, boundary: ErrorBoundary) -> None:
        """Raise `ValueError` for a schema with extensions or directives, because this class does not run them."""
        if schema.extensions or schema.directives:
            raise ValueError("the schema has extensions or directives, which are not run here")
        self._documents = documents
        self._boundary = boundary
        self._plain_fields = PlainFields(documents.schema)

    async def answer(self, request: GraphQLRequest, context: object) -> Payload:
        """Prepare and execute a request, for callers without HTTP."""
        try:
            document = self.prepare(request)
        except DocumentRefused as refused:
            return {"errors": list(refused.errors)}
        return await self.execute(document, request, context)

    def prepare(self, request: GraphQLRequest) -> Document:
        """Return the document. Raises `DocumentRefused` if it is not valid, or too large with these variables."""
        document = self._documents.prepare(request.query)
        operation = document.operation(request.operation_name)
        if operation and operation.nodes:
            try:
                check_nodes(operation.nodes.count(request.variables or {}))
            except GraphQLError as error:
                raise DocumentRefused((request_error(error),)) from None
        return document

    async def execute(self, document: Document, request: GraphQLRequest, context: object) -> Payload:
        """Execute the operation that the request names."""
        calls = document.selected.direct_calls if document.selected and DirectCall.enabled else None
        if calls is not None and (call := calls.get(request.operation_name)) is not None:
            variables = call.variables_in(request.variables)
            if variables is not None:
                return await self._call(call, variables, document, request, context)
        executor = self._executor(document, request, context)
        if isinstance(executor, list):
            return {"errors": [request_error(error) for error in executor]}
        if calls is not None and request.operation_name not in calls:
            calls[request.operation_name] = executor.find_direct_call()
            return await self.execute(document, request, context)
        result: Any = executor.execute_operation()
        return self._payload(result if isinstance(result, ExecutionResult) else await result, context)

    async def _call(
        self, call: DirectCall, variables: dict[str, Any], document: Document, request: GraphQLRequest, context: object
    ) -> Payload:
        info = call.info_for(variables, context)
        value = await call.resolve(info)
        try:
            return self._payload(ExecutionResult({call.key: call.plan(value)}, None), context)
        except Exception:
            executor: Any = self._executor(document, request, context)
            return self._payload(await executor.complete_direct_call(call, info, value), context)

    def _executor(
        self, document: Document, request: GraphQLRequest, context: object
    ) -> list[GraphQLError] | AttributeExecutor:
        executor: Any = AttributeExecutor.build(
            self._documents.schema,
            document.ast,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=request.operation_name,
            max_coercion_errors=MAX_COERCION_ERRORS,
            hide_suggestions=not self._documents.introspection,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # bool, not TypeGuard
            plain_fields=self._plain_fields,
            selected=document.selected,
        )
        return executor  # type: ignore[no-any-return]

    def _payload(self, result: ExecutionResult, context: object) -> Payload:
        if not result.errors:
            return {"data": result.data}
        if result.data is None and not any(error.path for error in result.errors):
            return {"errors": [request_error(error) for error in result.errors]}
        errors = [self._boundary.raised_by_field(error, context) for error in result.errors]
        return {"data": result.data, "errors": errors}
