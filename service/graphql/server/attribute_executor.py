"""graphql-core's executor with fast paths for fields that are plain attributes.

Most fields of an answer are attributes of an object. For each of them graphql-core and Strawberry build a resolve info
and make a dozen calls, which is most of the cost of an answer. This executor reads and serialises such a field at once,
and whole selections of them by the plans of `answer_plans`. Every other field, and every attribute with an unexpected
value, takes graphql-core's own path, so answers are the same.
"""

from typing import Any

from graphql import ExecutionResult, FieldNode, GraphQLError, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution import Executor
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from service.graphql.server.answer_plans import DocumentPlans, PlainFields, Plan
from service.graphql.server.direct_calls import DirectCall, find_direct_call


class CollectedSelections:
    """The collected fields of the selections of one document, cached as long as the document.

    No more of it than the document has tokens: fragments that are spread again and again could make it much larger.
    """

    def __init__(self, tokens: int) -> None:
        self.plans = DocumentPlans(tokens)
        self.direct_calls: dict[str | None, DirectCall | None] = {}  # by the operation that requests name
        self._room = tokens
        self._kept: dict[tuple[str, int], CollectedFields] = {}

    def get(self, type_: GraphQLObjectType, node: FieldNode) -> CollectedFields | None:
        """Return the fields that are selected of this type in this node. None if they are not cached."""
        return self._kept.get((type_.name, id(node)))

    def keep(self, type_: GraphQLObjectType, node: FieldNode, fields: CollectedFields) -> None:
        """Cache the fields while there is room. The document keeps its nodes alive, so no `id` is used twice."""
        self._room -= sum(len(details) for details in fields.grouped_field_set.values())
        if self._room >= 0:
            self._kept[type_.name, id(node)] = fields


class AttributeExecutor(Executor[Any]):
    """Executes one operation. It has no incremental delivery, because the schema has no directives for it."""

    operation_extensions = None
    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    def __init__(
        self, *args: Any, plain_fields: PlainFields, selected: CollectedSelections | None, **options: Any
    ) -> None:
        """Take the document's cache `selected`. None if directives make the selection depend on variables."""
        super().__init__(*args, **options)
        self._plain_fields = plain_fields
        self._selected = selected
        # These helpers refer back to this executor. No resolver here uses them, and without the cycle an operation is
        # freed when it ends instead of when the garbage collector runs.
        self.async_helpers = None  # type: ignore[assignment]

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """Return the fields that are selected of an object of this type."""
        if self._selected is None or len(field_details_list) > 1:
            return super().collect_subfields(return_type, field_details_list)
        node = field_details_list[0].node
        fields = self._selected.get(return_type, node)
        if fields is None:
            fields = super().collect_subfields(return_type, field_details_list)
            self._selected.keep(return_type, node, fields)
        return fields

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> AwaitableOrValue[Any]:
        """Return the value of the field for the answer."""
        field = self._plain_fields.get(parent_type, field_details_list[0].node.name.value)
        if field is not None:
            plan = field.plan or self._find_plan(field.type, field_details_list)
            if plan is not None:
                try:
                    return plan(field.read(source))
                except Exception:  # noqa: S110  # graphql-core reports what is wrong
                    pass
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[Any]:
        """Return what a resolver returned, for the answer."""
        plan = self._find_plan(return_type, field_details_list)
        if plan is not None:
            try:
                return plan(result)
            except Exception:  # noqa: S110  # graphql-core reports what is wrong
                pass
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def find_direct_call(self) -> DirectCall | None:
        """Return the direct call of this operation. None if it has none."""
        return find_direct_call(self, self._find_plan)

    async def complete_direct_call(
        self, call: DirectCall, info: GraphQLResolveInfo[Any], value: Any
    ) -> ExecutionResult:
        """Return the response for what the resolver of a direct call returned or raised."""
        try:
            completed = self.complete_value(call.type, call.details, info, call.path, value, None)
            answer = await completed if self.is_awaitable(completed) else completed
        except Exception as error:
            answer = None
            try:
                self.handle_field_error(error, call.type, call.details, call.path)
            except GraphQLError as located:  # the field must not be null
                return ExecutionResult(None, [located])
        return ExecutionResult({call.key: answer}, self.collected_errors.errors or None)

    def _find_plan(self, type_: GraphQLOutputType, field_details_list: FieldDetailsList) -> Plan | None:
        if self._selected is None:
            return None
        return self._selected.plans.find(type_, field_details_list, self._plain_fields, self._collect)

    def _collect(self, type_: GraphQLObjectType, field_details_list: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(type_, field_details_list).grouped_field_set
