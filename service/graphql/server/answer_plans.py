"""Answer plans: how to answer a selection of plain fields, worked out once for each document.

For every object graphql-core decides again what each selected field is, builds its path, and checks its value for
errors, awaitables and null. For a page of 50 users that is most of the CPU of the answer. A plan is a function that
reads and serialises a whole value: leaves, objects, unions and lists, if all selected fields are plain: attributes, and
methods that take only `self`.

A plan reports no errors. It raises an exception for every value that it does not expect, and graphql-core answers that
value from the beginning, with its own errors, paths and nulls. Plain fields have no side effects, so reading them twice
is safe. Coroutines, fields with arguments, and documents with directives have no plan.

`AttributeExecutor.complete_value` is the only place that runs plans of selections. Without that method the answers are
the same, only slower: `tests/graphql/test_answer_plans.py` compares them.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from types import CoroutineType
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLLeafType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

Plan: TypeAlias = Callable[[Any], Any]
"""Returns the value for the answer. Raises any exception if graphql-core must answer."""

Read: TypeAlias = Callable[[Any], Any]
"""Returns the value of a field of an object."""

Collect: TypeAlias = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Returns the fields that a document selects of a type, by their names in the answer."""

_TEXTS = frozenset({"ID", "String"})


class UnexpectedValueError(Exception):
    """A plan is not made for this value: a null, an exception, an awaitable, an object of another class."""


class _NoPlanError(Exception):
    """A selected field is not plain, or there is no room for the plan."""


class PlainField(NamedTuple):
    """A plain field. `plan` is None if the field has a selection."""

    read: Read
    type: GraphQLOutputType
    plan: Plan | None


class PlainFields:
    """The plain fields of a Strawberry schema, and the plans of all scalars and enums."""

    def __init__(self, schema: GraphQLSchema) -> None:
        types = schema.type_map.values()
        self._leaves = {type_.name: _leaf_plan(type_) for type_ in types if is_leaf_type(type_)}
        self._fields = {
            (type_.name, name): PlainField(read, field.type, self._leaf_field_plan(field.type))
            for type_ in types
            if isinstance(type_, GraphQLObjectType)
            for name, field in type_.fields.items()
            if (read := _reader(field))
        }

    def get(self, type_: GraphQLObjectType, name: str) -> PlainField | None:
        """Return the field. None if it is not plain."""
        return self._fields.get((type_.name, name))

    def leaf(self, type_: GraphQLLeafType) -> Plan:
        """Return the plan of a scalar or enum."""
        return self._leaves[type_.name]

    def _leaf_field_plan(self, type_: GraphQLOutputType) -> Plan | None:
        def leaf(named: GraphQLNamedType) -> Plan:
            if is_leaf_type(named):
                return self.leaf(named)
            raise _NoPlanError

        try:
            return _with_wrappers(type_, leaf)
        except _NoPlanError:
            return None


class DocumentPlans:
    """The plans of one document, cached as long as the document.

    Together they have no more fields than the document has tokens: fragments that are spread again and again could make
    them much larger.
    """

    def __init__(self, tokens: int) -> None:
        self._room = tokens
        self._kept: dict[tuple[GraphQLOutputType, int], Plan | None] = {}

    def find(
        self, type_: GraphQLOutputType, details: FieldDetailsList, plain: PlainFields, collect: Collect
    ) -> Plan | None:
        """Return the plan for the value of a field, or None. The document keeps its nodes, so no `id` is used twice."""
        if len(details) > 1:
            return None  # merged fields are rare, and no single node identifies them
        key = type_, id(details[0].node)
        try:
            return self._kept[key]
        except KeyError:
            pass
        if self._room <= 0:
            return None
        self._room -= 1
        try:
            plan = self._make(type_, details, plain, collect)
        except _NoPlanError:
            plan = None
        self._kept[key] = plan
        return plan

    def _make(self, type_: GraphQLOutputType, details: FieldDetailsList, plain: PlainFields, collect: Collect) -> Plan:
        def of_named(named: GraphQLNamedType) -> Plan:
            if is_leaf_type(named):
                return plain.leaf(named)
            if isinstance(named, GraphQLUnionType):
                return _union_plan(named, of_object)
            if isinstance(named, GraphQLObjectType):
                return of_object(named)
            raise _NoPlanError

        def of_object(named: GraphQLObjectType) -> Plan:
            selected = collect(named, details)
            self._room -= len(selected)
            if self._room < 0:
                raise _NoPlanError
            return _object_plan(named, [(key, *of_field(named, fields)) for key, fields in selected.items()])

        def of_field(parent: GraphQLObjectType, fields: FieldDetailsList) -> tuple[Read, type, Plan]:
            name = fields[0].node.name.value
            if name == "__typename":
                return _constant(parent.name), str, _unexpected
            field = plain.get(parent, name)
            if field is None:
                raise _NoPlanError
            plan = field.plan or self._make(field.type, fields, plain, collect)
            return field.read, _class_as_it_is(field.type), plan

        return _with_wrappers(type_, of_named)


def _reader(field: GraphQLField) -> Read | None:
    """Return what reads an attribute, or calls a method that takes only `self` and is not a coroutine. Else None."""
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField) or definition.extensions:
        return None
    resolver = definition.base_resolver
    if resolver is None:
        return attrgetter(definition.python_name)
    takes_only_self = list(resolver.signature.parameters) == ["self"]
    method = resolver.wrapped_func
    return method if takes_only_self and not resolver.is_async and callable(method) else None


def _with_wrappers(type_: Any, of_named: Callable[[GraphQLNamedType], Plan]) -> Plan:
    """Return the plan of a type with its lists and nulls. All other plans raise an exception for null."""
    may_be_null = not is_non_null_type(type_)
    inner = type_ if may_be_null else type_.of_type
    plan = _list_plan(_with_wrappers(inner.of_type, of_named)) if is_list_type(inner) else of_named(inner)
    if not may_be_null:
        return plan

    def answer(value: Any) -> Any:
        return None if value is None else plan(value)

    return answer


def _list_plan(plan: Plan) -> Plan:
    def answer(values: Any) -> list[Any]:
        if type(values) is not list:
            raise UnexpectedValueError
        return [plan(value) for value in values]

    return answer


def _object_plan(type_: GraphQLObjectType, fields: list[tuple[str, Read, type, Plan]]) -> Plan:
    """Return the plan of an object.

    A field has its name in the answer, how it is read, the class of values that are written as they are, and the plan
    of all other values.
    """
    classes = frozenset(_classes_of(type_))

    def answer(value: Any) -> dict[str, Any]:
        if type(value) not in classes:
            raise UnexpectedValueError
        return {
            key: read_value if type(read_value := read(value)) is as_it_is else plan(read_value)
            for key, read, as_it_is, plan in fields
        }

    return answer


def _union_plan(union: GraphQLUnionType, of_object: Callable[[GraphQLObjectType], Plan]) -> Plan:
    """Return the plan of those members that have one. It takes no generic types, whose classes several types share."""
    plans: dict[type, Plan] = {}
    for member in union.types:
        try:
            [only_class] = _classes_of(member)
            plans[only_class] = of_object(member)
        except (_NoPlanError, ValueError):
            continue
    if not plans:
        raise _NoPlanError

    def answer(value: Any) -> Any:
        return plans[type(value)](value)

    return answer


def _classes_of(type_: GraphQLObjectType) -> Iterator[type]:
    """Return the classes whose objects are of this type without a further question. Raises `_NoPlanError` if none are."""
    definition = type_.extensions.get("strawberry-definition")
    # Strawberry itself asks an object only for its class. A check that a type brings along may ask for more.
    if not isinstance(definition, StrawberryObjectDefinition) or definition.is_type_of is not None:
        raise _NoPlanError
    yield definition.origin
    if definition.concrete_of is not None:
        yield definition.concrete_of.origin  # `Edge(...)` is no `Edge[User]`, but may be returned for it


def _leaf_plan(type_: GraphQLLeafType) -> Plan:
    if isinstance(type_, CustomGraphQLEnumType):
        # Strawberry compares the value with each member's, which takes a microsecond.
        members: Iterable[object] = type_.wrapped_cls
        return {member: type_.coerce_output_value(member) for member in members}.__getitem__
    write, is_text = type_.coerce_output_value, type_.name in _TEXTS

    def answer(value: Any) -> Any:
        if is_text and type(value) is str:
            return value
        if value is None or isinstance(value, Exception):
            raise UnexpectedValueError
        if type(value) is CoroutineType:
            value.close()  # graphql-core asks for another one, and awaits it
            raise UnexpectedValueError
        written = write(value)
        if written is None or written is Undefined:
            raise UnexpectedValueError
        return written

    return answer


def _class_as_it_is(type_: Any) -> type:
    """Return `str` for texts, which are written as they are, to save a call. For other fields it is a class of no value."""
    inner = type_.of_type if is_non_null_type(type_) else type_
    return str if is_leaf_type(inner) and inner.name in _TEXTS else _NoPlanError


def _constant(value: str) -> Read:
    return lambda _object: value


def _unexpected(_value: object) -> Any:
    raise UnexpectedValueError
