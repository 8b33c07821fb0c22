"""Documents: prepared once, cached within limits, refused with reasons, and fast to check."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from graphql import DocumentNode, GraphQLSchema, validate

from service.graphql.server import documents as module
from service.graphql.server.documents import Document, DocumentRefused, Documents
from service.graphql.server.errors import FormattedError
from tests.graphql.sample_schema import SCHEMA

SLOW = 0.25  # seconds of CPU: several times what the worst document takes here, and less than it takes unguarded


@pytest.fixture
def documents() -> Documents:
    """With introspection, as by default."""
    return Documents(SCHEMA, introspection=True)


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The documents that were validated, in order."""
    found: list[str] = []

    def counting(schema: GraphQLSchema, document: DocumentNode, *others: Any, **options: Any) -> object:
        assert document.loc
        found.append(document.loc.source.body)
        return validate(schema, document, *others, **options)

    monkeypatch.setattr(module, "validate", counting)
    return found


def refusal(documents: Documents, query: str) -> tuple[FormattedError, ...]:
    """The errors that this document is refused with."""
    with pytest.raises(DocumentRefused) as refused:
        documents.prepare(query)
    return refused.value.errors


def texts(errors: tuple[FormattedError, ...]) -> list[str]:
    """Their messages."""
    return [error["message"] for error in errors]


def test_a_document_is_prepared_once(documents: Documents, validations: list[str]) -> None:
    assert documents.prepare("{methods}") is documents.prepare("{methods}")
    assert validations == ["{methods}"]


def test_a_refusal_is_kept_too(documents: Documents, validations: list[str]) -> None:
    assert refusal(documents, "{nothing}") is refusal(documents, "{nothing}")
    assert validations == ["{nothing}"]


def test_a_finding_says_what_and_where(documents: Documents) -> None:
    assert refusal(documents, "{\n  viewer { nmae }\n}") == (
        {
            "message": "Cannot query field 'nmae' on type 'User'.",
            "locations": [{"line": 2, "column": 12}],
            "extensions": {"code": "BAD_USER_INPUT"},
        },
    )


def test_a_syntax_error_says_what_and_where(documents: Documents) -> None:
    (error,) = refusal(documents, "{ methods")
    assert error["message"] == "Syntax Error: Expected Name, found <EOF>."
    assert error["locations"] == [{"line": 1, "column": 10}]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


def test_places_are_told_only_where_finding_them_is_cheap(documents: Documents) -> None:
    (near,) = refusal(documents, "\n" * 2_000 + "{nothing}")
    (far,) = refusal(documents, "\r" * 1_000 + "\n" * 1_001 + "{nothing}")
    assert near["locations"] == [{"line": 2_001, "column": 2}]
    assert "locations" not in far
    assert near["message"] == far["message"]


def test_a_thousand_comments_are_read_and_no_more(documents: Documents) -> None:
    documents.prepare("#\n" * 1_000 + "{methods}")
    assert "more than 1000 comments" in texts(refusal(documents, "#\n" * 1_001 + "{methods}"))[0]


def test_no_more_than_ten_findings_are_told(documents: Documents) -> None:
    found = texts(refusal(documents, "{" + "".join(f"f{i} " for i in range(50)) + "}"))
    assert len(found) == 11
    assert found[-1] == "Too many validation errors, error limit reached. Validation aborted."


def test_a_long_name_is_not_repeated_whole(documents: Documents) -> None:
    assert all(len(text) <= 500 for text in texts(refusal(documents, "{" + "n" * 60_000 + "}")))


def test_limits_come_before_validation(documents: Documents, validations: list[str]) -> None:
    refusal(documents, "{" + "".join(f"a{i}:methods " for i in range(16)) + "}")
    assert validations == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("A", True), ("B", True), ("C", False), (None, False)],
    ids=["first", "second", "none", "unsaid"],
)
def test_an_operation_is_found_by_its_name(documents: Documents, name: str | None, found: bool) -> None:
    document = documents.prepare("query A{methods} query B{methods}")
    assert (document.operation(name) is not None) is found


def test_the_only_operation_needs_no_name(documents: Documents) -> None:
    assert documents.prepare("query A{methods}").operation(None) is not None
    assert documents.prepare("{methods}").operation(None) is not None


# ---------------------------------------------------------------- what is kept


def kept(documents: Documents) -> list[str]:
    """The texts, the one that goes first in front."""
    return list(documents._kept._entries)


def test_the_document_used_longest_ago_goes_first() -> None:
    documents = Documents(SCHEMA, introspection=True, size=3)
    for query in ("{methods}", "{methods }", "{methods  }", "{methods}", "{nothing}"):
        prepared(documents, query)
    assert kept(documents) == ["{methods  }", "{methods}", "{nothing}"]


def test_a_huge_text_is_not_kept(documents: Documents) -> None:
    documents.prepare("{methods}" + " " * (16 * 1024 - 9))
    documents.prepare("{methods}" + " " * (16 * 1024 - 8))
    assert [len(text) for text in kept(documents)] == [16 * 1024]


@pytest.mark.parametrize(
    ("make", "at_most"),
    [
        (lambda i: "".join(f"query q{i}x{j}{{methods}}" for j in range(200)), 60),
        (lambda i: f"{{nothing{i}" + " " * 16_000 + "}", 500),
        (lambda i: f"{{methods}}#{i}" + "ü" * 16_000, 560),
    ],
    ids=["many tokens", "refused", "long"],
)
def test_strangers_documents_do_not_fill_the_memory(
    make: Callable[[int], str], at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_WEIGHT", module.MAX_KEPT_WEIGHT // 10)
    documents = Documents(SCHEMA, introspection=True)
    for number in range(at_most // 5):
        prepared(documents, make(number))
    assert 0 < len(kept(documents)) <= at_most // 10
    assert documents._kept._weight_left >= 0


def prepared(documents: Documents, query: str) -> Document | None:
    """The document, or None where it was refused."""
    try:
        return documents.prepare(query)
    except DocumentRefused:
        return None


# ---------------------------------------------------------------- introspection


@pytest.mark.parametrize(
    "query",
    [
        "{__schema{types{name}}}",
        '{__type(name:"User"){name}}',
        "{viewer{id} a:__schema{queryType{name}}}",
        "{...F} fragment F on Query{__schema{types{name}}}",
        "query A{methods} query B{__schema{types{name}}}",
    ],
)
def test_introspection_is_refused_where_it_is_off(query: str) -> None:
    assert "introspection has been disabled" in texts(refusal(Documents(SCHEMA, introspection=False), query))[0]
    Documents(SCHEMA, introspection=True).prepare(query)


def test_typename_is_answered_where_introspection_is_off() -> None:
    Documents(SCHEMA, introspection=False).prepare("{__typename viewer{__typename}}")


@pytest.mark.parametrize(
    "query",
    [
        "{viewe{id}}",
        "{user(i:1){id}}",
        "{users(orderBy:NEWES){totalCount}}",
        "{users(filter:{emai:1}){totalCount}}",
        "query($f:Filte){users(filter:$f){totalCount}}",
        "{viewer{... on Use{id}}}",
        "{viewer}",
        "{methods @inclde(if:true)}",
    ],
)
def test_nothing_is_suggested_where_introspection_is_off(query: str) -> None:
    assert "Did you mean" not in str(refusal(Documents(SCHEMA, introspection=False), query))


def test_a_field_is_suggested_where_introspection_is_on(documents: Documents) -> None:
    assert texts(refusal(documents, "{viewe{id}}")) == [
        "Cannot query field 'viewe' on type 'Query'. Did you mean 'viewer'?"
    ]


# ---------------------------------------------------------------- the worst that fits into the limits


def many(unit: str, tokens: int) -> str:
    """This text, as often as fits into the limit together with a few more tokens; `#` in it is its number."""
    return " ".join(unit.replace("#", str(number)) for number in range(980 // tokens))


WORST = {
    "equal leaves": "{" + many("methods", 1) + "}",
    "equal objects": "{" + many("viewer{id}", 4) + "}",
    "empty selections": "{" + many("viewer{}", 3) + "}",
    "equal objects with arguments": "{" + many("user(id:1){id}", 9) + "}",
    "equal objects with differing arguments": "{" + many("user(id:#){id}", 9) + "}",
    "deep equal objects": "{" + many("users{nodes{sessions{nodes{user{id}}}}}", 16) + "}",
    "conflicts": "{" + many("viewer{a:id a:email}", 9) + "}",
    "merged selections": "{viewer{friend{" + many("id", 1) + "}}}",
    "inline fragments": "{" + many("...{viewer{id}}", 7) + "}",
    "nested inline fragments": "{" + "...{" * 190 + "methods" + "}" * 190 + "}",
    "fields nested over several fragments": "{viewer{...f0}}"
    + "".join(f"fragment f{i} on User{{{'friend{' * 150}...f{i + 1}{'}' * 150}}}" for i in range(2))
    + "fragment f2 on User{id}",
    "unknown fields": "{" + many("methodd#", 1) + "}",
    "unknown fields with long names": "{" + many("m" * 50 + "#", 1) + "}",
    "unknown fields on many lines": "\n" * 60_000 + "{" + many("m#", 1) + "}",
    "unknown fields far apart": "{" + many("m#" + "\n" * 60, 1) + "}",
    "unknown arguments": "{user(" + many("i#:1", 3) + "){id}}",
    "unknown input fields": "{users(filter:{" + many("emai#:1", 3) + "}){totalCount}}",
    "unknown types": "{methods}" + many("fragment f# on Use#{id}", 7),
    "equal arguments": "{user(" + many("id:1", 3) + "){id}}",
    "unknown directives": "{methods" + many("@includ#", 2) + "}",
    "equal directives": "{methods" + many("@include(if:true)", 7) + "}",
    "unused fragments": "{methods}" + many("fragment f# on Query{methods}", 7),
    "fragments of one name": "{...f}" + many("fragment f on Query{viewer{id}}", 10),
    "fragments side by side": "{" + many("...f#", 11) + "}" + many("fragment f# on Query{viewer{id}}", 11),
    "fragments in a row": "{"
    + many("viewer{...f#}", 16)
    + "}"
    + "".join(f"fragment f{i} on User{{id ...f{i + 1}}}" for i in range(60))
    + "fragment f60 on User{id}",
    "fragments that double": "{...f0}"
    + "".join(f"fragment f{i} on Query{{...f{i + 1} ...f{i + 1}}}" for i in range(80))
    + "fragment f80 on Query{viewer{id}}",
    "fragments of each other": "{...f0}"
    + "".join(f"fragment f{i} on Query{{" + "".join(f"...f{j} " for j in range(20)) + "viewer{id}}" for i in range(19)),
    "many operations": many("query q#{viewer{id}}", 8),
    "operations of one name": many("query q{viewer{id}}", 8),
    "operations without a name": many("{methods}", 3),
    "operations that share fragments": many("query q#{...f0}", 15)
    + "".join(f"fragment f{i} on Query{{...f{i + 1}}}" for i in range(50))
    + "fragment f50 on Query{methods}",
    "variables": "query(" + many("$v#:ID", 4) + "){methods}",
    "one variable used often": "query($v:ID!){" + many("user(id:$v){id}", 10) + "}",
    "nested list": "{user(id:" + "[" * 195 + "]" * 195 + "){id}}",
    "nested input": "{users(filter:" + "{a:" * 190 + "1" + "}" * 190 + "){totalCount}}",
    "a long list": "{user(id:[" + many("1", 1) + "]){id}}",
    "a long string": '{user(id:"' + "a" * 65_000 + '"){id}}',
    "a long string of escapes": '{user(id:"' + "\\u0041" * 10_000 + '"){id}}',
    "a long block string": '{user(id:"""' + "\n a" * 20_000 + '"""){id}}',
    "a long name": "{" + "a" * 65_000 + "}",
    "a long number": "{users(first:" + "1" * 65_000 + "){totalCount}}",
    "a large exponent": "{users(first:1e999999999){totalCount}}",
    "comments": "{methods}" + "#\n" * 32_000,
    "lines": "\n" * 65_000 + "{methods}",
    "brackets": "{" * 65_000,
    "introspection of lists": "{__schema{types{" + "fields{type{" * 60 + "name" + "}}" * 60 + "}}}",
    "introspection in fragments": "{__schema{types{...f0}}}"
    + "".join(f"fragment f{i} on __Type{{ofType{{...f{i + 1}}} ofType{{...f{i + 1}}}}}" for i in range(60))
    + "fragment f60 on __Type{name}",
}


@pytest.mark.parametrize("query", WORST.values(), ids=WORST.keys())
@pytest.mark.parametrize("introspection", [True, False], ids=["open", "closed"])
def test_no_document_is_slow_to_check(query: str, introspection: bool) -> None:
    documents = Documents(SCHEMA, introspection=introspection)
    assert len(query) <= 64 * 1024

    def cpu() -> float:
        began = time.process_time()
        documents._examine(query)
        return time.process_time() - began

    assert min(cpu() for _ in range(3)) < SLOW


@pytest.mark.parametrize("query", WORST.values(), ids=WORST.keys())
def test_no_document_exhausts_the_stack(query: str) -> None:
    """However deep in calls the endpoint is reached."""

    def below(calls: int) -> None:
        if calls:
            below(calls - 1)
        else:
            Documents(SCHEMA, introspection=True)._examine(query)

    below(350)


def test_a_document_too_repetitive_to_check_is_told_so(documents: Documents) -> None:
    (text,) = texts(refusal(documents, WORST["equal objects"]))
    assert "repeats or nests its fields and fragments so much" in text
    assert "the limit is 15,000 comparisons" in text


def test_fragments_side_by_side_are_fine(documents: Documents) -> None:
    fields = "id email friend{id email}"
    spread = " ".join(f"...f{i}" for i in range(25))
    documents.prepare(f"{{viewer{{{spread}}}}}" + "".join(f"fragment f{i} on User{{{fields}}}" for i in range(25)))
