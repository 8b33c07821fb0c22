"""The limits of one operation (contract §4): depth, aliases and tokens. `node_count` counts the nodes.

Nested fragments can expand a page of text into 2**60 fields. Each fragment is measured once and its numbers are added
up, so the work is linear in the size of the document.
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
    """Raise `GraphQLError` if an operation of the document is too deep or has too many aliases.

    Meant to run before validation, so it makes do with fragments that go in circles or do not exist.
    """
    sizes = _Sizes(fragments_of(document))
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            size = sizes.of(operation.selection_set)
            _refuse_above(MAX_DEPTH, size.depth, "levels deep")
            _refuse_above(MAX_ALIASES, size.aliases, "aliases")


def check_nodes(found: int) -> None:
    """Raise `GraphQLError` if an operation may answer too many nodes."""
    _refuse_above(MAX_NODES, found, "nodes, every page counted as full")


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return the fragments of the document by name."""
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
    """The sizes of selection sets, their fragments included."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, _Size] = {}

    def of(self, selected: SelectionSetNode) -> _Size:
        """Return the size. Recursion is safe: a document of 1,000 tokens has at most 330 levels."""
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
            self._known[name] = _NOTHING  # a fragment that spreads itself finds this
            if name in self._fragments:
                self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]


def _with_field(field: FieldNode, inner: _Size) -> _Size:
    depth = 0 if field.name.value.startswith("__") else inner.depth + 1
    return _Size(depth, inner.aliases + (field.alias is not None))
