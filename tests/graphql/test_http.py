"""The endpoint of `/graphql`, over HTTP."""

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import strawberry
from strawberry.extensions import MaskErrors

from service.graphql.server.documents import Documents
from service.graphql.server.http import GraphQLEndpoint
from service.graphql.server.requests import GraphQLRequest
from tests.graphql.sample_schema import (
    MUTATED,
    Query,
    SampleContext,
    SampleEndpoint,
    codes,
    messages,
    post_scope,
    refuse_context,
)

pytestmark = pytest.mark.usefixtures("nothing_ran_before")

GRAPHQL_RESPONSE = "application/graphql-response+json"
EXCHANGE = "mutation($code:String!){exchange(code:$code){... on Grant{token user{id}} ... on SignInError{code}}}"


# ---------------------------------------------------------------- answers


async def test_a_mutation_is_answered() -> None:
    response = await SampleEndpoint().send({"query": EXCHANGE, "variables": {"code": "good"}})
    assert response.status_code == 200
    assert response.json() == {"data": {"exchange": {"token": "dcs_x", "user": {"id": "u1"}}}}
    assert MUTATED == ["good"]


async def test_an_answer_is_plain_json_that_nothing_keeps_or_sniffs() -> None:
    headers = (await SampleEndpoint().send({"query": "{methods}"})).headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_context_adds_headers() -> None:
    response = await SampleEndpoint().send({"query": EXCHANGE, "variables": {"code": "bad"}})
    assert response.json() == {"data": {"exchange": {"code": "TOO_MANY_ATTEMPTS"}}}
    assert response.headers["retry-after"] == "3"


async def test_integers_of_any_size_are_written() -> None:
    assert (await SampleEndpoint().ask("{metadata}"))["data"]["metadata"] == {"big": 2**80, "small": [1, None, "ü"]}


async def test_the_operation_is_chosen_by_its_name() -> None:
    both = {"query": 'query A{methods} query B{echo(text:"b")}'}
    assert (await SampleEndpoint().send({**both, "operationName": "B"})).json() == {"data": {"echo": "b"}}
    unsaid = (await SampleEndpoint().send(both)).json()
    assert messages(unsaid) == ["Must provide operation name if query contains multiple operations."]
    unknown = (await SampleEndpoint().send({**both, "operationName": "C"})).json()
    assert messages(unknown) == ["Unknown operation named 'C'."]
    assert codes(unsaid) == codes(unknown) == ["BAD_USER_INPUT"]


async def test_null_and_extensions_are_taken() -> None:
    body = {"query": "{methods}", "variables": None, "operationName": None, "extensions": {"a": 1}, "id": 7}
    assert (await SampleEndpoint().send(body)).json() == {"data": {"methods": ["EMAIL"]}}


async def test_callers_in_this_process_need_no_http() -> None:
    operations = SampleEndpoint().endpoint.operations
    answer = await operations.answer(GraphQLRequest(EXCHANGE, {"code": "good"}), SampleContext())
    assert answer == {"data": {"exchange": {"token": "dcs_x", "user": {"id": "u1"}}}}
    assert codes(dict(await operations.answer(GraphQLRequest("{nothing}"), SampleContext()))) == ["BAD_USER_INPUT"]


def test_a_schema_with_extensions_is_refused() -> None:
    schema = strawberry.Schema(Query, extensions=[MaskErrors])
    documents = Documents(schema, introspection=True)
    with pytest.raises(ValueError, match="extensions"):
        GraphQLEndpoint(schema, documents, context_for=refuse_context, on_internal_error=_unexpected)


def _unexpected(error: BaseException, _reference: str) -> None:
    raise error


# ---------------------------------------------------------------- refusals before GraphQL


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json-patch+json",
        "application/jsonx",
        "text/plain; application/json",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        'application/json; charset="utf-7"',
    ],
)
async def test_other_content_types_are_415_and_run_nothing(content_type: str) -> None:
    body = json.dumps({"query": EXCHANGE, "variables": {"code": "good"}}).encode()
    response = await SampleEndpoint().send(body, content_type=content_type)
    assert response.status_code == 415
    assert codes(response.json()) == ["BAD_USER_INPUT"]
    assert MUTATED == []


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'APPLICATION/JSON; charset="utf-8"',
        "application/json; charset=utf8",
        "application/json; profile=x",
    ],
)
async def test_json_in_utf_8_is_taken(content_type: str) -> None:
    assert (await SampleEndpoint().send(b'{"query":"{methods}"}', content_type=content_type)).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_other_methods_are_405(method: str) -> None:
    async with SampleEndpoint().client() as client:
        response = await client.request(method, "/graphql", json={"query": "{methods}"})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_the_path_is_never_redirected() -> None:
    async with SampleEndpoint().client() as client:
        assert (await client.post("/graphql", json={"query": "{methods}"})).status_code == 200
        assert (await client.options("/graphql")).status_code == 405


def padded(size: int) -> bytes:
    """A request of so many bytes."""
    return b'{"query":"{methods}"' + b" " * (size - 21) + b"}"


async def test_64_kib_are_read_and_one_byte_more_is_413() -> None:
    assert (await SampleEndpoint().send(padded(65_536))).status_code == 200
    response = await SampleEndpoint().send(padded(65_537))
    assert response.status_code == 413
    assert messages(response.json()) == ["The body has more than 65,536 bytes."]


async def chunked(size: int) -> AsyncIterator[bytes]:
    """The same in pieces, with no length declared."""
    body = padded(size)
    for start in range(0, size, 1_000):
        yield body[start : start + 1_000]


async def test_a_body_without_a_length_is_counted_while_it_is_read() -> None:
    async with SampleEndpoint().client() as client:
        for size, status in ((65_536, 200), (65_537, 413), (1_000_000, 413)):
            headers = {"content-type": "application/json"}
            assert (await client.post("/graphql", content=chunked(size), headers=headers)).status_code == status


@pytest.mark.parametrize("declared", [b"65537", b"999999999999", b"9" * 5_000, b"000065537"])
async def test_a_body_declared_too_large_is_not_read(declared: bytes) -> None:
    status, _ = await _raw(post_scope((b"content-length", declared)), _nothing_to_receive)
    assert status == 413


@pytest.mark.parametrize("declared", [b"", b"abc", b"-1", b"1e3", b"0x10", b"\xb2"])
async def test_a_length_that_is_no_number_is_ignored(declared: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"query":"{methods}"}'}

    status, body = await _raw(post_scope((b"content-length", declared)), receive)
    assert (status, json.loads(body)) == (200, {"data": {"methods": ["EMAIL"]}})


async def _raw(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]]) -> tuple[int, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await SampleEndpoint().endpoint(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_batches_are_refused_in_words() -> None:
    response = await SampleEndpoint().send([{"query": EXCHANGE, "variables": {"code": "good"}}])
    assert response.status_code == 400
    assert messages(response.json()) == ["Batching is not supported: send one request at a time, as an object."]
    assert MUTATED == []


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip"])
async def test_a_compressed_body_is_415_and_the_message_says_why(encoding: str) -> None:
    response = await SampleEndpoint().send(gzip.compress(b'{"query":"{methods}"}'), content_encoding=encoding)
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "identity"
    assert "without Content-Encoding" in messages(response.json())[0]


async def test_the_encoding_identity_is_no_encoding() -> None:
    response = await SampleEndpoint().send(b'{"query":"{methods}"}', content_encoding="identity")
    assert response.json() == {"data": {"methods": ["EMAIL"]}}


async def test_a_byte_order_mark_before_the_body_is_ignored() -> None:
    response = await SampleEndpoint().send(b'\xef\xbb\xbf{"query":"{methods}"}')
    assert response.json() == {"data": {"methods": ["EMAIL"]}}


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("name", ["operationName", "variables", "extensions"])
async def test_an_empty_parameter_counts_as_absent(name: str, empty: str | None) -> None:
    assert (await SampleEndpoint().send({"query": "{methods}", name: empty})).json() == {"data": {"methods": ["EMAIL"]}}


@pytest.mark.parametrize(("name", "value"), [("operationName", 0), ("variables", False), ("variables", "{}")])
async def test_another_value_of_the_wrong_type_is_refused(name: str, value: object) -> None:
    response = await SampleEndpoint().send({"query": "{methods}", name: value})
    assert response.status_code == 400
    assert name in messages(response.json())[0]


HASH = {"persistedQuery": {"version": 1, "sha256Hash": "ab" * 32}}


@pytest.mark.parametrize("accept", ["*/*", GRAPHQL_RESPONSE])
@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}])
async def test_the_hash_of_a_persisted_query_makes_clients_send_the_query(query: dict[str, Any], accept: str) -> None:
    response = await SampleEndpoint().send({**query, "extensions": HASH}, accept=accept)
    assert response.status_code == 200
    assert response.json() == {
        "errors": [{"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}]
    }


async def test_a_query_beside_its_hash_is_answered() -> None:
    assert (await SampleEndpoint().send({"query": "{methods}", "extensions": HASH})).json() == {
        "data": {"methods": ["EMAIL"]}
    }


async def test_the_hash_of_a_persisted_query_by_get_makes_clients_send_the_query() -> None:
    async with SampleEndpoint().client() as client:
        response = await client.get("/graphql", params={"extensions": json.dumps(HASH)})
    assert messages(response.json()) == ["PersistedQueryNotSupported"]


# ---------------------------------------------------------------- GET


async def get(query: str, **parameters: str) -> httpx2.Response:
    """Ask by GET."""
    async with SampleEndpoint().client() as client:
        return await client.get("/graphql", params={"query": query, **parameters})


async def test_a_query_is_answered_by_get() -> None:
    response = await get(
        "query A($t:String!){echo(text:$t)}", variables='{"t":"hé"}', operationName="A", extensions="{}"
    )
    assert response.json() == {"data": {"echo": "hé"}}


@pytest.mark.parametrize("name", ["Do", ""])
async def test_a_mutation_by_get_is_405_and_does_nothing(name: str) -> None:
    response = await get(f'mutation {name}{{exchange(code:"good"){{__typename}}}}')
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert codes(response.json()) == ["BAD_USER_INPUT"]
    assert MUTATED == []


async def test_of_several_operations_a_get_may_name_only_a_query() -> None:
    both = 'query Ask{methods} mutation Do{exchange(code:"good"){__typename}}'
    assert (await get(both, operationName="Ask")).json() == {"data": {"methods": ["EMAIL"]}}
    assert (await get(both, operationName="Do")).status_code == 405
    assert messages((await get(both)).json()) == ["Must provide operation name if query contains multiple operations."]
    assert MUTATED == []


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query=",
        "variables={}",
        "query={methods}&variables=[]",
        "query={methods}&variables={",
        "query={methods}&variables=1",
        "query={methods}&extensions=%22x%22",
        "query=%ff%fe",
        "query={methods}&x=%ed%a0%80",
        "&".join(f"p{i}=1" for i in range(50)),
    ],
)
async def test_odd_query_strings_are_400(query_string: str) -> None:
    async with SampleEndpoint().client() as client:
        response = await client.get("/graphql?" + quote(query_string, safe="=&%"))
    assert response.status_code == 400
    assert codes(response.json()) == ["BAD_USER_INPUT"]


async def test_a_query_string_is_bounded_too() -> None:
    scope = {"type": "http", "method": "GET", "headers": [], "path": "/graphql"}
    for size, expected in ((65_536, 200), (65_537, 414)):
        query_string = b"query={methods}&x=".ljust(size, b"x")
        status, _ = await _raw({**scope, "query_string": query_string}, _nothing_to_receive)
        assert status == expected


async def _nothing_to_receive() -> dict[str, Any]:
    raise AssertionError("it was read")


# ---------------------------------------------------------------- media types


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json, */*", "application/json"),
        ("application/json, application/graphql-response+json;q=0.9", "application/json"),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json,application/json;q=0.9", GRAPHQL_RESPONSE),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_RESPONSE),
        ("APPLICATION/GRAPHQL-RESPONSE+JSON", GRAPHQL_RESPONSE),
        ("application/json;q=0, application/*", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=0, */*", "application/json"),
    ],
)
async def test_the_client_chooses_the_media_type(accept: str, content_type: str) -> None:
    response = await SampleEndpoint().send({"query": "{methods}"}, accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{content_type}; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "image/*", "application/json;q=0", "", "application/json;q=x"]
)
async def test_a_client_that_accepts_neither_is_told_406(accept: str) -> None:
    response = await SampleEndpoint().send({"query": EXCHANGE, "variables": {"code": "good"}}, accept=accept)
    assert response.status_code == 406
    assert codes(response.json()) == ["BAD_USER_INPUT"]
    assert MUTATED == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": "{methods}"}, 200),
        ({"query": "{broken}"}, 200),
        ({"query": "query($n:Int!){atLeast(number:$n)}", "variables": {"n": 1}}, 200),
        ({"query": "{"}, 400),
        ({"query": "{nothing}"}, 400),
        ({"query": "query($n:Int!){atLeast(number:$n)}"}, 400),
        ({"query": "query A{methods} query B{methods}"}, 400),
        ({"query": "{users(first:5000){totalCount}}"}, 400),
    ],
)
async def test_only_the_newer_media_type_tells_refusals_by_status(body: dict[str, Any], status: int) -> None:
    for accept, expected in ((GRAPHQL_RESPONSE, status), ("application/json", 200)):
        response = await SampleEndpoint().send(body, accept=accept)
        assert response.status_code == expected
        assert ("data" in response.json()) is (status == 200)
        assert ("errors" in response.json()) is (status == 400 or "broken" in body["query"])


# ---------------------------------------------------------------- GraphiQL


async def test_graphiql_is_served_where_it_is_on_and_nowhere_else() -> None:
    for graphiql in (True, False):
        async with SampleEndpoint(graphiql=graphiql).client() as client:
            page = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
            assert ("graphiql" in page.text) is graphiql
            assert page.status_code == (200 if graphiql else 400)
            queried = await client.get("/graphql?query={methods}", headers={"accept": "text/html,*/*;q=0.8"})
            assert queried.json() == {"data": {"methods": ["EMAIL"]}}
            plain = await client.get("/graphql")
            assert plain.status_code == 400
            assert (await client.post("/graphql", headers={"accept": "text/html"})).status_code == 406
