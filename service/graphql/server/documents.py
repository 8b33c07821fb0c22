"""A cache of documents: each is parsed, measured and validated once.

A frontend sends the same few documents all day, and preparing one costs about twenty times as much as running it. The
documents of anonymous clients and refusals are cached too. The cache is bounded by number and by weight; the least
recently used documents are removed first.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from service.graphql.server.attribute_executor import CollectedSelections
from service.graphql.server.errors import FormattedError, bad_user_input, request_error
from service.graphql.server.limits import MAX_TOKENS, check_size
from service.graphql.server.node_count import ConnectionReader, OperationNodes

MAX_ERRORS = 10
"""Findings of one validation. Each can cost a millisecond, and ten are enough to correct a document."""

MAX_MERGE_COMPARISONS = 15_000
"""Budget, in graphql-core's units, for "can these fields be merged", the one rule that is quadratic in the document.

Its default of 500,000 takes up to 400 ms for 1,000 tokens of equal fields; this takes 50 at most. It is enough for 25
fragments of 15 fields each, all of them equal and spread side by side.
"""

MAX_LINES_LOCATED = 2_000
"""Lines of a document whose errors say where they are: finding a line costs time for each one above it."""

MAX_KEPT_TEXT = 16 * 1024
"""Characters of a document that is kept."""

MAX_KEPT_WEIGHT = 32 * 1024 * 1024
"""Bytes of all kept documents together, about."""

_TOO_REPETITIVE = (
    "This document repeats or nests its fields and fragments so much that checking it would take too long: the limit "
    f"is {MAX_MERGE_COMPARISONS:,} comparisons. Select each field once."
)
# Measured with tracemalloc: up to 610, the positions in the text included, 220 of `CollectedSelections`, 300 of plans.
_BYTES_PER_TOKEN = 1_200
_BYTES_PER_REFUSAL = 8 * 1024  # ten findings of at most 500 characters

# The way that graphql-core has for it. The budget is read whenever a validation begins, and it is the same for all.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MAX_MERGE_COMPARISONS


class DocumentRefused(Exception):
    """The document is not valid for any variables."""

    def __init__(self, errors: tuple[FormattedError, ...]) -> None:
        super().__init__("the document was refused")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document. `nodes` is None if it selects no connection."""

    type: OperationType
    nodes: OperationNodes | None


@dataclass(frozen=True, slots=True)
class Document:
    """A document that is valid."""

    ast: DocumentNode
    operations: Mapping[str | None, Operation]
    selected: CollectedSelections | None
    """None if directives make the selection depend on variables."""

    def operation(self, name: str | None) -> Operation | None:
        """Return the operation to run. None if none has the name, or if there are several and no name is given."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        return self.operations.get(name)


class Documents:
    """The cache of the documents of one schema."""

    def __init__(self, schema: strawberry.Schema, *, introspection: bool, size: int = 1_000) -> None:
        """Cache at most `size` documents. Without `introspection`, error messages suggest no names."""
        # Strawberry has no public access to the GraphQLSchema, and its own `execute` is slower.
        self.schema: GraphQLSchema = schema._schema  # noqa: SLF001
        self.introspection = introspection
        self._rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._connections = ConnectionReader(self.schema)
        self._kept = _WeightedCache(size, MAX_KEPT_WEIGHT)

    def prepare(self, query: str) -> Document:
        """Return the document of this text. Raises `DocumentRefused` for a syntax error, or if too large or not valid."""
        found = self._kept.get(query)
        if found is None:
            found = self._examine(query)
            if len(query) <= MAX_KEPT_TEXT:
                self._kept.put(query, found, _weight(query, found))
        if isinstance(found, Document):
            return found
        raise DocumentRefused(found)

    def _examine(self, query: str) -> "Document | tuple[FormattedError, ...]":
        try:
            ast = _parse(query)
            check_size(ast)
        except GraphQLError as error:
            return (request_error(error),)
        errors = validate(self.schema, ast, self._rules, max_errors=MAX_ERRORS, hide_suggestions=not self.introspection)
        if errors:
            return tuple(map(self._finding, errors))
        return Document(ast, self._operations(ast), None if "@" in query else CollectedSelections(ast.token_count))

    def _finding(self, error: GraphQLError) -> FormattedError:
        if error.message == "Validation aborted.":
            return bad_user_input(_TOO_REPETITIVE)
        if not self.introspection:
            error.message, _, _ = error.message.partition(" Did you mean")
        return request_error(error)

    def _operations(self, ast: DocumentNode) -> dict[str | None, Operation]:
        counted = self._connections.read(ast)
        operations = {}
        for node in ast.definitions:
            if isinstance(node, OperationDefinitionNode):
                name = node.name.value if node.name else None
                operations[name] = Operation(node.operation, counted.get(name))
        return operations


def _parse(query: str) -> DocumentNode:
    lines = query.count("\n") + query.count("\r")
    return parse(query, no_location=lines > MAX_LINES_LOCATED, max_lexical_tokens=MAX_TOKENS, max_comments=MAX_TOKENS)


def _weight(query: str, found: Document | tuple[FormattedError, ...]) -> int:
    rest = found.ast.token_count * _BYTES_PER_TOKEN if isinstance(found, Document) else _BYTES_PER_REFUSAL
    return 4 * len(query) + rest


class _WeightedCache:
    """A cache that is bounded by number and by weight, and removes the least recently used entries first."""

    def __init__(self, size: int, weight: int) -> None:
        self._room = size
        self._weight_left = weight
        self._entries: OrderedDict[str, tuple[Document | tuple[FormattedError, ...], int]] = OrderedDict()

    def get(self, query: str) -> Document | tuple[FormattedError, ...] | None:
        entry = self._entries.get(query)
        if entry is None:
            return None
        self._entries.move_to_end(query)
        return entry[0]

    def put(self, query: str, found: Document | tuple[FormattedError, ...], weight: int) -> None:
        self._entries[query] = found, weight
        self._weight_left -= weight
        while self._weight_left < 0 or len(self._entries) > self._room:
            _, (_, freed) = self._entries.popitem(last=False)
            self._weight_left += freed
