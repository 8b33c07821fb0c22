"""graphql-core's executor with a fast path for fields that are plain attributes.

Most fields of an answer are attributes of an object. For each of them graphql-core and Strawberry build a resolve info
and make a dozen calls, which is most of the cost of an answer. This executor reads and serialises such a field at once.
Every other field, and every attribute with an unexpected value, takes graphql-core's own path, so answers are the same.
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
    """A field of scalar or enum type whose value is an attribute of the object."""

    read: Callable[[object], object]
    write: Callable[[object], object]
    may_be_null: bool


AttributeFields: TypeAlias = Mapping[tuple[str, str], AttributeField]
"""Attribute fields by the names of type and field."""


class CollectedSelections:
    """The collected fields of the selections of one document, cached as long as the document.

    No more of it than the document has tokens: fragments that are spread again and again could make it much larger.
    """

    def __init__(self, tokens: int) -> None:
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


def attribute_fields(schema: GraphQLSchema) -> AttributeFields:
    """Return all attribute fields of a Strawberry schema."""
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
    """Executes one operation. It has no incremental delivery, because the schema has no directives for it."""

    operation_extensions = None
    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    def __init__(
        self, *args: Any, attribute_fields: AttributeFields, selected: CollectedSelections | None, **options: Any
    ) -> None:
        """Take the document's cache `selected`. None if directives make the selection depend on variables."""
        super().__init__(*args, **options)
        self._attribute_fields = attribute_fields
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
        attribute = self._attribute_fields.get((parent_type.name, field_details_list[0].node.name.value))
        if attribute is not None:
            serialised = _serialised(attribute, source)
            if serialised is not Undefined:
                return serialised
        return super().execute_field(parent_type, source, field_details_list, path, position_context)


def _serialised(field: AttributeField, source: object) -> object:
    """Return the serialised value, or Undefined if graphql-core must handle it (an error, or a forbidden null)."""
    try:
        value = field.read(source)
        if value is None:
            return None if field.may_be_null else Undefined
        serialised = field.write(value)
    except Exception:
        return Undefined
    return Undefined if serialised is None else serialised
