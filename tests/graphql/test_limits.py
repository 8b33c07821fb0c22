"""How large an operation may be: depth, aliases, tokens, nodes."""

import time
from typing import Any

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse
from hypothesis import given
from hypothesis import strategies as st

from service.graphql.server.documents import DocumentRefused, Documents
from service.graphql.server.limits import _Size, _Sizes, fragments_of
from service.graphql.server.requests import GraphQLRequest
from tests.graphql.sample_schema import SCHEMA, SampleEndpoint, codes, messages

AMPLE = 0.4  # seconds of CPU; what this guards against takes minutes or never ends


def refusal_of(query: str, variables: dict[str, Any] | None = None) -> str | None:
    """The one message that this is refused with, or None."""
    try:
        SampleEndpoint().endpoint.operations.prepare(GraphQLRequest(query, variables))
    except DocumentRefused as refused:
        (error,) = refused.errors
        return error["message"] if error["extensions"] == {"code": "BAD_USER_INPUT"} else str(error)
    return None


def friends(levels: int, leaf: str = "id") -> str:
    """A document of so many levels."""
    return "{viewer" + "{friend" * (levels - 2) + "{" + leaf + "}" + "}" * (levels - 2) + "}"


def fan_out(selection: str, on: str = "Query", levels: int = 60) -> str:
    """A document that unfolds into 2**levels of this selection."""
    spreads = "".join(f"fragment f{i} on {on}{{...f{i + 1} ...f{i + 1}}}" for i in range(levels))
    return f"{spreads} fragment f{levels} on {on}{{{selection}}}"


async def test_ten_levels_are_answered_and_eleven_are_refused() -> None:
    assert "errors" not in await SampleEndpoint().ask(friends(10))
    answer = await SampleEndpoint().ask(friends(11))
    assert "data" not in answer
    assert messages(answer) == ["This operation is too large: 11 levels deep. The limit is 10."]
    assert codes(answer) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("query", "levels"),
    [
        ("{viewer{id}}", 2),
        ("{methods}", 1),
        ("{viewer{...F}} fragment F on User{friend{id}}", 3),
        ("{...F} fragment F on Query{...G} fragment G on Query{viewer{id}}", 2),
        ("{viewer{... on User{... @include(if:true){id}}}}", 2),
        ("{a:methods viewer{friend{id}}}", 3),
        ("{__typename}", 0),
        ("{viewer{__typename}}", 1),
        ("{__schema{types{fields{type{name}}}}}", 0),
        ("{viewer{id} __schema{types{fields{type{name}}}}}", 2),
        ("{...F} fragment F on Query{...F viewer{id}}", 2),
        ("{...F} fragment F on Query{...G viewer{id}} fragment G on Query{...F methods}", 2),
        ("{...Unknown methods}", 1),
    ],
)
def test_depth_counts_levels_of_fields(query: str, levels: int) -> None:
    assert _measured(query).depth == levels


def test_typename_below_the_tenth_level_is_not_counted() -> None:
    assert refusal_of(friends(11, leaf="__typename")) is None


def test_one_operation_too_deep_refuses_the_document() -> None:
    assert refusal_of("query Fine{methods} query Deep" + friends(11)) is not None


def test_fifteen_aliases_are_answered_and_sixteen_are_refused() -> None:
    assert refusal_of("{" + "".join(f"a{i}:methods " for i in range(15)) + "}") is None
    assert (
        refusal_of("{" + "".join(f"a{i}:methods " for i in range(16)) + "}")
        == "This operation is too large: 16 aliases. The limit is 15."
    )


@pytest.mark.parametrize(
    ("query", "aliases"),
    [
        ("{a:methods b:methods}", 2),
        ("{viewer{a:id friend{b:id}}}", 2),
        ("{...F ...F} fragment F on Query{a:methods}", 2),
        ("{x:viewer{...F} y:viewer{...F}} fragment F on User{a:id b:email}", 6),
        ("{__schema{a:types{b:name}}}", 2),
        ("{...F} fragment F on Query{a:methods ...F}", 1),
    ],
)
def test_aliases_count_wherever_they_stand_and_as_often_as_they_are_spread(query: str, aliases: int) -> None:
    assert _measured(query).aliases == aliases


def test_a_thousand_tokens_are_answered_and_one_more_is_refused() -> None:
    thousand = "".join(f"query q{i}{{methods}}" for i in range(200))
    assert parse(thousand).token_count == 1_000
    assert refusal_of(thousand) is None
    assert "more than 1000 tokens" in str(refusal_of(thousand.replace("{methods}", "{methods id}", 1)))


@pytest.mark.parametrize(
    ("query", "variables", "nodes"),
    [
        ("{users(first:2000){nodes{id}}}", {}, 2_000),
        ("{users(last:2000){nodes{id}}}", {}, 2_000),
        ("{users(first:50){nodes{sessions(first:20){nodes{id}}}}}", {}, 1_050),
        ("{users{nodes{sessions{nodes{id}}}}}", {}, 50 + 50 * 20),
        ("{users{nodes{sessions(first:null){nodes{id}}}}}", {}, 50 + 50 * 20),
        ("{users{totalCount}}", {}, 50),
        ("{users(first:10){nodes{id}} viewer{sessions{nodes{id}}}}", {}, 30),
        ("query($n:Int){users(first:$n){nodes{id}}}", {"n": 7}, 7),
        ("query($n:Int){users(first:$n){nodes{id}}}", {}, 50),
        ("query($n:Int){users(first:$n){nodes{id}}}", {"n": None}, 50),
        ("query($n:Int=9){users(first:$n){nodes{id}}}", {}, 9),
        ("query($n:Int=9){users(first:$n){nodes{id}}}", {"n": 8}, 8),
        ("query($n:Int){users(first:$n){nodes{id}}}", {"n": 12.0}, 12),
        ("query($n:Int){users(first:$n){nodes{id}}}", {"n": "many"}, 50),
        ("query($n:Int){users(first:$n){nodes{id}}}", {"n": -5}, 0),
        ("query($n:Int){users(first:$n last:3){nodes{id}}}", {"n": 2}, 3),
        (
            "{...F} fragment F on Query{users(first:4){nodes{...G}}} fragment G on User{sessions(first:5){totalCount}}",
            {},
            24,
        ),
        ("{...F ...F} fragment F on Query{users(first:4){totalCount}}", {}, 8),
        ("{viewer{...{... on User{sessions(first:6){totalCount}}}}}", {}, 6),
        ("{viewer{id} methods}", {}, 0),
    ],
)
def test_nodes_are_pages_multiplied_down_the_nesting(query: str, variables: dict[str, Any], nodes: int) -> None:
    operation = Documents(SCHEMA, introspection=True).prepare(query).operation(None)
    assert operation is not None
    assert (operation.nodes.count(variables) if operation.nodes else 0) == nodes


async def test_two_thousand_nodes_are_answered_and_one_more_is_refused() -> None:
    assert "errors" not in await SampleEndpoint().ask("{users(first:2000){totalCount}}")
    answer = await SampleEndpoint().ask("query($n:Int){users(first:$n){totalCount}}", {"n": 2_001})
    assert "data" not in answer
    assert messages(answer) == [
        "This operation is too large: 2,001 nodes, every page counted as full. The limit is 2,000."
    ]


@pytest.mark.parametrize("size", [10**6, 2**63, 1e308])
def test_no_size_is_too_large_to_be_counted(size: float) -> None:
    query = "query($n:Int){users(first:$n){nodes{sessions(first:$n){nodes{user{sessions(first:$n){totalCount}}}}}}}"
    assert "more than 10^18 nodes" in str(refusal_of(query, {"n": size}))


def test_only_the_operation_that_runs_is_counted() -> None:
    query = "query Small{users(first:1){totalCount}} query Large{users(first:5000){totalCount}}"
    operations = SampleEndpoint().endpoint.operations
    operations.prepare(GraphQLRequest(query, None, "Small"))
    with pytest.raises(DocumentRefused):
        operations.prepare(GraphQLRequest(query, None, "Large"))


def test_a_document_without_connections_is_not_counted_at_all() -> None:
    operation = Documents(SCHEMA, introspection=True).prepare("{viewer{id friend{id}} methods}").operation(None)
    assert operation is not None
    assert operation.nodes is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{...f0} " + fan_out("a:methods"), "more than 10^18 aliases"),
        ("{...f0} " + fan_out("users(first:1){totalCount}"), "more than 10^18 nodes"),
        ("{users{nodes{...f0}}} " + fan_out("sessions{totalCount}", on="User"), "more than 10^18 nodes"),
        ("{...f0} " + fan_out("methods"), None),
    ],
)
def test_fragments_that_unfold_without_end_cost_nothing(query: str, expected: str | None) -> None:
    began = time.process_time()
    refusal = refusal_of(query)
    assert time.process_time() - began < AMPLE
    assert refusal is None if expected is None else expected in str(refusal)


def test_the_standard_introspection_query_is_answered() -> None:
    for query in (
        get_introspection_query(),
        get_introspection_query(
            specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
        ),
    ):
        assert refusal_of(query) is None


@pytest.mark.parametrize(
    "query",
    [
        "{__schema{" + "".join(f"a{i}:types{{...T}} " for i in range(15)) + "}}"
        "fragment T on __Type{fields{args{type{name}} type{name ofType{name}}} enumValues{name}}",
        "{__schema{types{fields{args{name} type{"
        + "".join(f"a{i}:fields{{args{{name}} type{{name}}}} " for i in range(12))
        + "}}}}}",
    ],
)
def test_introspection_that_repeats_itself_is_refused(query: str) -> None:
    assert "nodes" in str(refusal_of(query))


_leaves = st.sampled_from(["methods", "a:methods", "__typename", "b:__typename"])
_selections = st.recursive(
    _leaves | st.integers(0, 4).map(lambda number: f"...f{number}"),
    lambda inner: st.builds(
        "{}{{{}}}".format,
        st.sampled_from(["viewer", "c:viewer", "...", "__schema"]),
        st.lists(inner, min_size=1).map(" ".join),
    ),
    max_leaves=8,
)


@given(st.lists(st.lists(_selections, min_size=1, max_size=3).map(" ".join), min_size=5, max_size=5))
def test_sizes_are_those_of_the_document_with_every_fragment_written_out(selections: list[str]) -> None:
    spread = written_out = selections[0]
    for number in range(4):
        fragment = selections[number + 1]
        for earlier in range(number + 1):  # a document with cyclic fragments cannot be expanded
            fragment = fragment.replace(f"...f{earlier}", "methods")
        spread += f"}} fragment f{number} on Query{{{fragment}"
        written_out = written_out.replace(f"...f{number}", f"...{{{fragment}}}")
    assert _measured(f"{{{spread}}}") == _measured(f"{{{written_out}}}")


def _measured(query: str) -> _Size:
    document = parse(query)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return _Sizes(fragments_of(document)).of(operation.selection_set)
