"""Operations that call their resolver directly are answered as graphql-core answers them, for every value of a variable."""

import asyncio
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON

from service.graphql.server.direct_calls import DirectCall
from service.graphql.server.documents import Documents
from service.graphql.server.errors import ErrorBoundary
from service.graphql.server.operations import Operations
from service.graphql.server.requests import GraphQLRequest
from tests.graphql.test_answer_plans import comparable


@strawberry.type
class Echo:
    text: str | None
    number: int | None
    seen: str
    always: str

    @strawberry.field
    def fails(self) -> str:
        raise ValueError("a field fails")


@strawberry.enum
class Kind(Enum):
    QUIET = "quiet"
    LOUD = "loud"


@strawberry.input
class Wanted:
    text: str | None = None
    kind: Kind = Kind.QUIET
    extra: JSON | None = None


@strawberry.type
class Query:
    @strawberry.field
    async def found(self, info: strawberry.Info, wanted: Wanted) -> Echo | None:
        if wanted.text == "raises":
            raise ValueError("the resolver fails")
        seen = f"{wanted!r} {sorted(info.variable_values.items())}"
        return Echo(text=wanted.text, number=None, seen=seen, always="")

    @strawberry.field
    async def echo(
        self, info: strawberry.Info, text: str, number: int | None = None, ref: strawberry.ID | None = None
    ) -> Echo | None:
        await asyncio.sleep(0)
        match text:
            case "nothing":
                return None
            case "raises":
                raise ValueError("the resolver fails")
            case "wrong":
                return "not an echo"  # type: ignore[return-value]
            case "null inside":
                return Echo(text=text, number=number, seen="", always=None)  # type: ignore[arg-type]
        seen = f"{info.context} {info.field_name} {info.path.key} {sorted(info.variable_values.items())} {ref!r}"
        return Echo(text=text, number=number, seen=seen, always=f"{type(text).__name__} {type(number).__name__}")

    @strawberry.field
    def always(self, text: str = "a default") -> str:
        if text == "raises":
            raise ValueError("the resolver fails")
        return None if text == "nothing" else f"{text}!"  # type: ignore[return-value]

    @strawberry.field
    def many(self, texts: list[str]) -> list[str]:
        return texts


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def count(self, info: strawberry.Info, text: str) -> Echo | None:
        info.context.append(text)
        if text == "raises":
            raise ValueError("after it has written")
        return Echo(text=text, number=len(info.context), seen="", always=None if text == "null inside" else "")  # type: ignore[arg-type]


SCHEMA = strawberry.Schema(Query, Mutation)
PLAIN = "query Q($t: String!, $n: Int, $i: ID) { echo(text: $t, number: $n, ref: $i) { text number seen always } }"
DIRECT = [
    PLAIN,
    "query($t: String!) { e: echo(text: $t) { ...F a: text } } fragment F on Echo { seen __typename }",
    "query($t: String!) { ...F } fragment F on Query { echo(text: $t) { always } }",
    "query($t: String!) { always(text: $t) }",
    "{ always }",
    "query A($t: String!) { always(text: $t) } query B($t: String!) { echo(text: $t) { text } }",
    "query($t: String!) { echo(text: $t) { text fails } }",
]
CONVERTED = [
    'query { echo(text: "a") { text } }',
    'query($t: String = "d") { always(text: $t) }',
    "query($t: [String!]!) { many(texts: $t) }",
    "query($t: String!, $n: Int = 7) { echo(text: $t, number: $n) { number seen } }",
    "query($t: String!, $kind: Kind = LOUD) { found(wanted: {text: $t, kind: $kind}) { text seen } }",
    "query($w: Wanted!) { found(wanted: $w) { text seen } }",
    "query($t: String) { found(wanted: {extra: {inside: [$t, 1]}}) { text seen } }",
]
OTHERS = [
    "query($t: String!) { echo(text: $t) { text } always }",
    "query($t: String!, $yes: Boolean = true) { echo(text: $t) { text @include(if: $yes) seen } }",
    "query($t: String!) { echo(text: $t) { text } echo(text: $t) { seen } }",
    "{ __typename }",
    "{ __schema { queryType { name } } }",
]
TEXTS: list[Any] = [
    "a",
    "",
    "é\ud800",
    "nothing",
    "raises",
    "wrong",
    "null inside",
    None,
    1,
    1.5,
    True,
    ["a"],
    {"a": 1},
]
NUMBERS: list[Any] = [0, -1, None, True, 1.0, 1.5, "1", 2**31 - 1, 2**31, -(2**31) - 1, 2**70, [1]]
IDS: list[Any] = ["a", 1, None, True, 1.5, ["a"]]
VARIABLES: list[dict[str, Any] | None] = [
    None,
    {},
    *({"t": text} for text in TEXTS),
    *({"t": "a", "n": number, "i": "x"} for number in NUMBERS),
    *({"t": "a", "n": 1, "i": id_} for id_ in IDS),
    {"t": "a", "unknown": 1},
    {"w": {"text": "a", "kind": "LOUD", "extra": {"more": [1]}}},
    {"w": {"text": "raises"}},
    {"w": {"kind": "NONE"}},
    {"w": {"other": 1}, "kind": None, "t": "a"},
    {"n": 1},
]


def operations() -> Operations:
    """The operations of the small schema, whose result is that of the executor, before errors are made ready for clients."""
    boundary = ErrorBoundary(lambda _error, _reference: None, lambda _refusal, _context: None)
    made = Operations(SCHEMA, Documents(SCHEMA, introspection=True), boundary)
    made._payload = comparable  # type: ignore[method-assign,assignment]
    return made


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the fields whose resolver was called directly."""
    keys: list[str] = []
    resolve = DirectCall.resolve

    async def noting(self: DirectCall, info: Any) -> Any:
        keys.append(self.key)
        return await resolve(self, info)

    monkeypatch.setattr(DirectCall, "resolve", noting)
    return keys


async def both(document: str, variables: dict[str, Any] | None, name: str | None = None) -> tuple[Any, Any]:
    """The answers of a service that has direct calls, and of one that has none."""
    ours, stock = operations(), operations()
    request = GraphQLRequest(document, variables, name)
    with pytest.MonkeyPatch.context() as patched:
        first = await ours.answer(GraphQLRequest(document, {"t": "first"}, name), "the context")
        assert await ours.answer(GraphQLRequest(document, {"t": "first"}, name), "the context") == first
        answer = await ours.answer(request, "the context")
        patched.setattr(DirectCall, "enabled", False)
        expected = await stock.answer(request, "the context")
    return answer, expected


@pytest.mark.parametrize("variables", VARIABLES, ids=repr)
async def test_direct_calls_answer_as_graphql_core_does(variables: dict[str, Any] | None, called: list[str]) -> None:
    for document in (*DIRECT, *CONVERTED, *OTHERS):
        for name in (None, "A", "B") if "query A" in document else (None,):
            answer, expected = await both(document, variables, name)
            assert answer == expected, (document, name)
    assert called


@pytest.mark.parametrize("document", DIRECT)
async def test_operations_of_one_field_are_called_directly(document: str, called: list[str]) -> None:
    variables: dict[str, object] = {"t": "a", "n": None, "i": None}
    await operations().answer(GraphQLRequest(document, variables, "A" if "query A" in document else None), None)
    assert len(called) == 1


@pytest.mark.parametrize("document", CONVERTED)
async def test_arguments_that_must_be_converted_are_converted(document: str, called: list[str]) -> None:
    variables: dict[str, object] = {"t": ["a"] if "[String!]!" in document else "a", "w": {"text": "a"}}
    answer = await operations().answer(GraphQLRequest(document, variables), None)
    assert "errors" not in answer or not answer["errors"]
    assert len(called) == 1


@pytest.mark.parametrize("document", OTHERS)
async def test_all_others_are_left_to_graphql_core(document: str, called: list[str]) -> None:
    await operations().answer(GraphQLRequest(document, {"t": "a"}), None)
    assert not called


@pytest.mark.parametrize("text", ["a", "raises", "null inside"])
async def test_mutation_writes_once_whatever_becomes_of_its_answer(text: str, called: list[str]) -> None:
    document = "mutation($t: String!) { count(text: $t) { number always } }"
    ours = operations()
    for _ in range(2):
        written: list[str] = []
        answer = await ours.answer(GraphQLRequest(document, {"t": text}), written)
        assert written == [text]
        assert bool(answer["errors"]) == (text != "a")
    assert len(called) == 2


async def test_error_that_is_located_already_keeps_its_place(
    called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def located(self: object, **_: object) -> str:
        raise GraphQLError("told by the resolver", path=["elsewhere"], extensions={"code": "MINE"})

    monkeypatch.setattr(Query.__strawberry_definition__.fields[2].base_resolver, "wrapped_func", located)  # type: ignore[attr-defined]
    document = "query($t: String!) { always(text: $t) }"
    ours = operations()
    answer = await ours.answer(GraphQLRequest(document, {"t": "a"}), None)
    assert called
    monkeypatch.setattr(DirectCall, "enabled", False)
    assert answer == await operations().answer(GraphQLRequest(document, {"t": "a"}), None)
    assert answer["errors"]
