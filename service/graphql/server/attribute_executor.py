"""The executor: graphql-core's own, without what this service never asks of it, and with a short cut to plain attributes.

Most fields of an answer are attributes of an object. For each of them graphql-core and Strawberry build an info and go
through a dozen calls, which is most of what answering costs; here it is read and written at once. Whatever does not go
smoothly, and every other field, goes the long way: so the answers are the same.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from graphql import FieldNode, GraphQLField, GraphQLObjectType, GraphQLSchema, Undefined, is_leaf_type, is_non_null_type
from graphql.execution import Executor
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.field import StrawberryField


class AttributeField(NamedTuple):
    """A field that is an attribute of its object, and a scalar or an enum."""

    read: Callable[[object], object]
    write: Callable[[object], object]
    may_be_null: bool


AttributeFields: TypeAlias = Mapping[tuple[str, str], AttributeField]
"""By the names of type and field."""


class CollectedSelections:
    """Which fields the selections of one document come to, kept for as long as the document is.

    No more of it than the document has tokens: fragments that are spread again and again could make it much larger.
    """

    def __init__(self, tokens: int) -> None:
        self._room = tokens
        self._kept: dict[tuple[str, int], CollectedFields] = {}

    def get(self, type_: GraphQLObjectType, node: FieldNode) -> CollectedFields | None:
        """What is selected of this type in this field, if it is kept."""
        return self._kept.get((type_.name, id(node)))

    def keep(self, type_: GraphQLObjectType, node: FieldNode, fields: CollectedFields) -> None:
        """Keep it while there is room. The document keeps its nodes alive, so that an `id` is never another's."""
        self._room -= sum(len(details) for details in fields.grouped_field_set.values())
        if self._room >= 0:
            self._kept[type_.name, id(node)] = fields


def attribute_fields(schema: GraphQLSchema) -> AttributeFields:
    """All that Strawberry has made of this schema's attributes."""
    return {
        (type_.name, name): attribute
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items()
        if (attribute := _attribute_field(field))
    }


def _attribute_field(field: GraphQLField) -> AttributeField | None:
    definition = field.extensions.get("strawberry-definition")
    type_ = field.type.of_type if is_non_null_type(field.type) else field.type
    if not isinstance(definition, StrawberryField) or not definition.is_basic_field or not is_leaf_type(type_):
        return None
    return AttributeField(attrgetter(definition.python_name), type_.coerce_output_value, type_ is field.type)


class AttributeExecutor(Executor[Any]):
    """For one operation. Without incremental delivery, which the schema has no directives for."""

    operation_extensions = None
    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    def __init__(
        self, *args: Any, attribute_fields: AttributeFields, selected: CollectedSelections | None, **options: Any
    ) -> None:
        """`selected` is the document's own; None where directives may make it depend on the variables."""
        super().__init__(*args, **options)
        self._attribute_fields = attribute_fields
        self._selected = selected
        # These are methods of this very object, for resolvers that start work beside it; none here does. Without the
        # circle an operation is freed as soon as it has ended, rather than when the garbage collector comes by.
        self.async_helpers = None  # type: ignore[assignment]

    def collect_subfields(
        self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList
    ) -> CollectedFields:
        """Which fields are selected of an object of this type."""
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
        """The field's value as the answer has it."""
        attribute = self._attribute_fields.get((parent_type.name, field_details_list[0].node.name.value))
        if attribute is not None:
            serialised = _serialised(attribute, source)
            if serialised is not Undefined:
                return serialised
        return super().execute_field(parent_type, source, field_details_list, path, position_context)


def _serialised(field: AttributeField, source: object) -> object:
    """The value as the answer has it, or Undefined where graphql-core has to say what is wrong with it."""
    try:
        value = field.read(source)
        if value is None:
            return None if field.may_be_null else Undefined
        serialised = field.write(value)
    except Exception:
        return Undefined
    return Undefined if serialised is None else serialised
