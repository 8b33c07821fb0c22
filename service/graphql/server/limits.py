"""How large one operation may be (contract §4): its depth, its aliases, its tokens; the nodes are counted in `node_count`.

Fragments spread in fragments can unfold a page of text into 2**60 fields, so a fragment is measured once and its
numbers are added up: the work is linear in the document, whatever the numbers.
"""

from collections.abc import Mapping
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_TOKENS = 1_000
MAX_DEPTH = 10
"""Levels of fields: `{a{b{c}}}` has three. Introspection is not counted."""

MAX_ALIASES = 15
MAX_NODES = 2_000

_BEYOND_COUNTING = 10**18


def check_size(document: DocumentNode) -> None:
    """Refuse a document one of whose operations is too deep or has too many aliases, by `GraphQLError`.

    Meant to run before validation, so it makes do with fragments that go in circles or do not exist.
    """
    sizes = _Sizes(fragments_of(document))
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            size = sizes.of(operation.selection_set)
            _refuse_above(MAX_DEPTH, size.depth, "levels deep")
            _refuse_above(MAX_ALIASES, size.aliases, "aliases")


def check_nodes(found: int) -> None:
    """Refuse an operation that may answer more nodes than one may, by `GraphQLError`."""
    _refuse_above(MAX_NODES, found, "nodes, every page counted as full")


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The document's fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _refuse_above(limit: int, found: int, what: str) -> None:
    if found > limit:
        number = f"{found:,}" if found < _BEYOND_COUNTING else "more than 10^18"
        raise GraphQLError(f"This operation is too large: {number} {what}. The limit is {limit:,}.")


class _Size(NamedTuple):
    depth: int
    aliases: int


_NOTHING = _Size(depth=0, aliases=0)


class _Sizes:
    """Sizes of selection sets, with all that their fragments bring in."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, _Size] = {}

    def of(self, selected: SelectionSetNode) -> _Size:
        """Recurs once a level: 1,000 tokens nest 330 levels at most, so no document exhausts the stack."""
        depth = aliases = 0
        for selection in selected.selections:
            size = _NOTHING
            if isinstance(selection, FragmentSpreadNode):
                size = self._of_fragment(selection.name.value)
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                size = self.of(selection.selection_set)
            if isinstance(selection, FieldNode):
                size = _with_field(selection, size)
            depth, aliases = max(depth, size.depth), aliases + size.aliases
        return _Size(depth, aliases)

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._known:
            self._known[name] = _NOTHING  # what a fragment that spreads itself finds
            if name in self._fragments:
                self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]


def _with_field(field: FieldNode, inner: _Size) -> _Size:
    depth = 0 if field.name.value.startswith("__") else inner.depth + 1
    return _Size(depth, inner.aliases + (field.alias is not None))
