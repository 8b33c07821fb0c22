"""The attribute executor answers like graphql-core and Strawberry, also in case of errors."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from service.graphql.scalars import SCALAR_MAP
from service.graphql.server.attribute_executor import CollectedSelections
from service.graphql.server.documents import Documents
from service.graphql.server.errors import ErrorBoundary
from service.graphql.server.operations import Operations
from service.graphql.server.requests import GraphQLRequest


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.type
class Thing:
    text: str = "a"
    number: int = 1
    fraction: float = 0.5
    yes: bool = True
    colour: Colour = Colour.BLUE
    moment: datetime = datetime(2030, 1, 31, 12, tzinfo=UTC)
    id: strawberry.ID = strawberry.ID("t1")
    nothing: str | None = None
    something: int | None = 2
    several: list[str] = strawberry.field(default_factory=lambda: ["a", "b"])
    beside: strawberry.Private[object] = None
    null_after_all: str = strawberry.field(default=None)
    no_number: int | None = "x"  # type: ignore[assignment]
    no_colour: Colour | None = "green"  # type: ignore[assignment]
    no_moment: datetime | None = datetime(2030, 1, 31)  # noqa: DTZ001  # a time of no zone is a mistake
    exception: str | None = strawberry.field(default_factory=lambda: ValueError("returned"))

    @strawberry.field
    def missing(self) -> "Incomplete":
        return Incomplete.__new__(Incomplete)

    @strawberry.field
    def itself(self, number: int = 7) -> "Thing":
        return Thing(number=number)

    @strawberry.field
    async def others(self) -> list["Thing"]:
        return [Thing(text="b"), Thing(text="c")]

    @strawberry.field
    def one_of(self, other: bool) -> "Thing | Other":
        return Other() if other else Thing()


@strawberry.type
class Other:
    text: str = "other"


@strawberry.type
class Incomplete:
    absent: str | None


@strawberry.type
class Query:
    @strawberry.field
    def thing(self) -> Thing | None:
        return Thing()


SCHEMA = strawberry.Schema(query=Query, types=[Other], config=StrawberryConfig(scalar_map=dict(SCALAR_MAP)))
FINE = "text number fraction yes colour moment id nothing something several"
DOCUMENTS = [
    f"{{ thing {{ {FINE} }} }}",
    "{ thing { a: text b: text __typename text text } __typename }",
    "{ thing { itself { text } itself { number } others { text itself { colour } } } }",
    "{ thing { ...F itself(number: 3) { ...F } } } fragment F on Thing { number others { number } }",
    """{ thing { a: oneOf(other: true) { ...U } b: oneOf(other: false) { ...U } } }
    fragment U on ThingOther { __typename ... on Thing { text number } ... on Other { text } }""",
    """query ($yes: Boolean!, $n: Int!) {
        thing { text @include(if: $yes) number @skip(if: $yes) itself(number: $n) { text @skip(if: $yes) number } }
    }""",
    *(
        f"{{ thing {{ text itself {{ {field} number }} others {{ {field} }} }} }}"
        for field in ("nullAfterAll", "noNumber", "noColour", "noMoment", "exception", "missing { absent }")
    ),
]


def operations() -> Operations:
    boundary = ErrorBoundary(lambda _error, _reference: None, lambda _refusal, _context: None)
    return Operations(SCHEMA, Documents(SCHEMA, introspection=True), boundary)


def places_of(errors: Any) -> list[list[str | int]]:
    return sorted((error["path"] for error in errors or ()), key=str)


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_answers_are_those_of_graphql_core(document: str) -> None:
    ours = operations()
    for yes in (True, False, True):
        variables: dict[str, object] | None = {"yes": yes, "n": 1 + yes} if "$yes" in document else None
        expected = await SCHEMA.execute(document, variables)
        answer = await ours.answer(GraphQLRequest(document, variables), None)
        assert json.dumps(answer["data"]) == json.dumps(expected.data)
        assert places_of(answer.get("errors")) == places_of(
            error.formatted for error in getattr(expected, "errors", None) or ()
        )


async def test_what_is_kept_of_a_document_is_bounded_by_its_size() -> None:
    nested = " ".join(f"a{i}: itself {{ ...F }}" for i in range(10))
    document = f"{{ thing {{ {nested} }} }} fragment F on Thing {{ {'text ' * 100} }}"
    ours = operations()
    request = GraphQLRequest(document)
    assert (await ours.answer(request, None))["data"] == {"thing": {f"a{i}": {"text": "a"} for i in range(10)}}
    prepared = ours.prepare(request)
    assert isinstance(prepared.selected, CollectedSelections)
    kept = sum(
        len(details) for fields in prepared.selected._kept.values() for details in fields.grouped_field_set.values()
    )
    assert 0 < kept <= prepared.ast.token_count
