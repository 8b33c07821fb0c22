"""Counts the nodes that an operation may answer: the pages of its connections, each with its requested size.

`users(first:50){nodes{sessions(first:20){nodes{id}}}}` may answer 50 users and 50 times 20 sessions, 1,050 nodes. The
sizes can be variables, so the formula is made once for each document and computed for each request. The part of a
fragment is computed once, however often it is spread.

A list without pages counts too where its field says how long it may be: `strawberry.field(metadata=ListLength(…).metadata)`.
The lists of the introspection count, at their average length in this schema: they refer to one another, and a
document of 1 KiB could otherwise ask for 5 MB and two seconds of computing, without signing in.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    is_union_type,
)

from service.graphql.server.limits import fragments_of
from service.paging import DEFAULT_PAGE

_LIST_LENGTH = "list_length"
_LARGEST_SIZE = 1_000_000
"""Larger than any limit, and small enough that no product of sizes overflows."""


@dataclass(frozen=True, slots=True)
class ListLength:
    """How long a list without pages may be: at most `most`, or as the number in `argument` asks."""

    most: int
    argument: str | None = None
    entries_per_node: int = 1
    """How many entries cost as much as one node. Over 1 for entries that are cheap to read."""

    @property
    def metadata(self) -> Mapping[str, object]:
        """What `strawberry.field` takes, so that the count finds this length."""
        return {_LIST_LENGTH: self}


@dataclass(frozen=True, slots=True)
class PageSize:
    """The size of a page of a connection: the arguments, each a number or the name of a variable."""

    asked: tuple[int | str, ...]
    otherwise: float
    entries_per_node: int = 1

    def of(self, variables: Mapping[str, object]) -> float:
        """Return the number of nodes. A variable that is not a number is ignored: its coercion refuses the request."""
        values = [variables.get(value) if isinstance(value, str) else value for value in self.asked]
        sizes = [min(max(value, 0), _LARGEST_SIZE) for value in values if isinstance(value, int | float)]
        return max(sizes, default=self.otherwise) / self.entries_per_node


@dataclass(eq=False, slots=True)
class SelectedPages:
    """The pages of one selection set. False if there are none."""

    nested: list[tuple[PageSize, "SelectedPages"]] = field(default_factory=list)
    """Each page, and the pages in the selection of its nodes."""

    spread: list["SelectedPages"] = field(default_factory=list)
    """The pages of spread fragments. All spreads of a fragment share them."""

    def __bool__(self) -> bool:
        return bool(self.nested or self.spread)

    def count(self, variables: Mapping[str, object], known: dict["SelectedPages", float]) -> float:
        """Return the number of nodes. `known` caches results."""
        if self not in known:
            total = 0.0
            for page, inner in self.nested:
                total += page.of(variables) * (1 + inner.count(variables, known))
            for fragment in self.spread:
                total += fragment.count(variables, known)
            known[self] = total
        return known[self]


@dataclass(frozen=True, slots=True)
class OperationNodes:
    """The pages of one operation."""

    selected: SelectedPages
    defaults: Mapping[str, object]
    """The default values of the variables."""

    def count(self, variables: Mapping[str, object]) -> int:
        """Return the number of nodes that this operation may answer with these variables."""
        return int(self.selected.count({**self.defaults, **variables}, {}))


class ConnectionReader:
    """Reads the pages of documents that are valid for this schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._introspection = _lengths_of_introspection_lists(schema)

    def read(self, document: DocumentNode) -> dict[str | None, OperationNodes]:
        """Return the pages of each operation that has any, by its name."""
        reading = _Reading(self._schema, self._introspection, fragments_of(document))
        return {
            operation.name.value if operation.name else None: OperationNodes(selected, dict(_defaults(operation)))
            for operation in document.definitions
            if isinstance(operation, OperationDefinitionNode) and (selected := reading.operation(operation))
        }


class _Reading:
    """The state of reading one document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        introspection: Mapping[str, float],
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self._schema = schema
        self._introspection = introspection
        self._fragments = fragments
        self._known: dict[str, SelectedPages] = {}

    def operation(self, operation: OperationDefinitionNode) -> SelectedPages:
        pages = SelectedPages()
        self._add(pages, operation.selection_set, self._schema.get_root_type(operation.operation))
        return pages

    def _add(self, pages: SelectedPages, selected: SelectionSetNode, parent: GraphQLNamedType | None) -> None:
        for selection in selected.selections:
            if isinstance(selection, FieldNode):
                self._add_field(pages, selection, parent)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                self._add(
                    pages,
                    selection.selection_set,
                    self._schema.get_type(condition.name.value) if condition else parent,
                )
            elif isinstance(selection, FragmentSpreadNode) and (fragment := self._fragment(selection.name.value)):
                pages.spread.append(fragment)

    def _add_field(self, pages: SelectedPages, node: FieldNode, parent: GraphQLNamedType | None) -> None:
        if node.selection_set is None or not (is_object_type(parent) or is_interface_type(parent)):
            return
        definition = self._schema.get_field(parent, node.name.value)
        if definition is None:
            return
        answered = get_named_type(definition.type)
        page = self._page(node, definition, parent)
        if page is None:
            self._add(pages, node.selection_set, answered)
            return
        inner = SelectedPages()
        self._add(inner, node.selection_set, answered)
        pages.nested.append((page, inner))

    def _page(self, node: FieldNode, definition: GraphQLField, parent: GraphQLNamedType) -> PageSize | None:
        if is_introspection_type(parent):
            length = self._introspection.get(node.name.value)
            return None if length is None else PageSize(asked=(), otherwise=length)
        if get_named_type(definition.type).name.endswith("Connection"):
            return PageSize(
                asked=tuple(_sizes_asked(node, {"first", "last"})),
                otherwise=_default_size(definition, "first", DEFAULT_PAGE),
            )
        listed = length_of_list(definition)
        if listed is None:
            return None
        if listed.argument is None:
            return PageSize(asked=(), otherwise=listed.most, entries_per_node=listed.entries_per_node)
        return PageSize(
            asked=tuple(_sizes_asked(node, {listed.argument})),
            otherwise=_default_size(definition, listed.argument, listed.most),
            entries_per_node=listed.entries_per_node,
        )

    def _fragment(self, name: str) -> SelectedPages:
        if name not in self._known:
            fragment = self._fragments[name]
            self._known[name] = pages = SelectedPages()
            self._add(pages, fragment.selection_set, self._schema.get_type(fragment.type_condition.name.value))
        return self._known[name]


def length_of_list(definition: GraphQLField) -> ListLength | None:
    """Return what the field says of the length of its list. None if it says nothing."""
    field_of_strawberry = definition.extensions.get("strawberry-definition")
    length = getattr(field_of_strawberry, "metadata", {}).get(_LIST_LENGTH)
    return length if isinstance(length, ListLength) else None


def _sizes_asked(node: FieldNode, names: Collection[str]) -> Iterator[int | str]:
    for argument in node.arguments or ():
        if argument.name.value in names:
            if isinstance(argument.value, IntValueNode):
                yield int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                yield argument.value.name.value


def _defaults(operation: OperationDefinitionNode) -> Iterator[tuple[str, object]]:
    for variable in operation.variable_definitions or ():
        if isinstance(variable.default_value, IntValueNode):
            yield variable.variable.name.value, int(variable.default_value.value)


def _default_size(definition: GraphQLField, name: str, otherwise: int) -> int:
    argument = definition.args.get(name)
    return argument.default_value if argument and isinstance(argument.default_value, int) else otherwise


def _lengths_of_introspection_lists(schema: GraphQLSchema) -> dict[str, float]:
    """Return average lengths, with which one listing of the whole schema counts as many nodes as it has."""
    types = list(schema.type_map.values())
    fields = [f for type_ in types if is_object_type(type_) or is_interface_type(type_) for f in type_.fields.values()]
    return {
        "types": len(types),
        "directives": len(schema.directives),
        "fields": len(fields) / len(types),
        "args": sum(len(f.args) for f in fields) / len(fields),
        "inputFields": sum(len(type_.fields) for type_ in types if is_input_object_type(type_)) / len(types),
        "enumValues": sum(len(type_.values) for type_ in types if is_enum_type(type_)) / len(types),
        "possibleTypes": sum(len(type_.types) for type_ in types if is_union_type(type_)) / len(types),
        "interfaces": sum(len(type_.interfaces) for type_ in types if is_object_type(type_)) / len(types),
    }
