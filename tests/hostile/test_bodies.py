"""Hostile request bodies: each is refused or answered, without a 5xx, quickly, and without an effect."""

import asyncio
import json
import time
import zlib
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphql.sample_schema import MUTATED, SampleEndpoint, codes

SLOW = 0.5  # seconds of CPU, the client's and a busy machine's share included


def _nested(opening: str, depth: int, closing: str, core: str = "") -> bytes:
    return (opening * depth + core + closing * depth).encode()


NOT_JSON = [
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"}",
    b"[",
    b'"',
    b"{}}",
    b"{'query':'{methods}'}",
    b"{query:1}",
    b'{"query":"{methods}",}',
    b'{"query":"{methods}"}{"query":"{methods}"}',
    b'{"query":"{methods}"}\x00',
    b'\xef\xbb\xbf\xef\xbb\xbf{"query":"{methods}"}',
    '{"query":"{methods}"}'.encode("utf-16"),
    '{"query":"{methods}"}'.encode("utf-32"),
    '{"query":"{methods}#é"}'.encode("latin-1"),
    b'{"query":"{methods}#\xed\xa0\x80"}',
    b'{"query":"{methods}#\xc0\xaf"}',
    b'{"query":"{methods}#\\ud800"}',
    b'{"query":"{methods}#\\udc00\\ud800"}',
    b'{"query":"{methods}#\\x41"}',
    b'{"query":"{methods}\n"}',
    b"NaN",
    b"Infinity",
    b"undefined",
    b"True",
    b"01",
    b"1e400",
    b"0x10",
    b"<query/>",
    b"query={methods}",
    b"--x\r\nContent-Disposition: form-data; name=query\r\n\r\n{methods}\r\n--x--",
    b'{"query":"{methods}","variables":{"a":NaN}}',
    b'{"query":"{methods}","variables":{"a":-Infinity}}',
    _nested("[", 30_000, "]"),
    _nested('{"a":', 10_000, "}", "1"),
    _nested("[", 65_000, ""),
    b'{"query":"{methods}","variables":' + _nested('{"a":', 5_000, "}", "1") + b"}",
]

_WHOLE: list[Any] = [None, True, False, 0, -0.0, 1, 1.5, 2**70, "", "x", "{methods}", [], [[]], [{}], {}, {"a": 1}]
NOT_A_REQUEST = [json.dumps(value).encode() for value in _WHOLE]
NOT_A_REQUEST += [
    _nested("[", 1_000, "]"),
    b'{"QUERY":"{methods}"}',
    b'{"":"{methods}"}',
    b'{"query\\u0000":"{methods}"}',
    b'[{"query":"{methods}"},{"query":"{methods}"}]',
    b'{"query":"{methods}","query":null}',
    b'{"__proto__":{"query":"{methods}"}}',
]

ODD_VALUES: list[Any] = [
    True,
    0,
    1,
    -1.5,
    2**63,
    1e308,
    "",
    " ",
    "x",
    [],
    [{}],
    ["{methods}"],
    {},
    {"a": None},
    {"": {}},
]
WRONG_PARAMETERS = [
    {"query": "{methods}", name: value}
    for name, right in (("query", str), ("operationName", str), ("variables", dict), ("extensions", dict))
    for value in ODD_VALUES
    if not isinstance(value, right) and value != ""  # an empty text counts as absent
] + [{"query": None}, {"query": ""}, {"query": "{methods}", "variables": "{}"}]

NOT_GRAPHQL = [
    " ",
    "\t\r\n",
    "#",
    ",,,",
    "\ufeff",
    "{methods",
    "methods}",
    "{{methods}}",
    "{methods}}",
    "{methods()}",
    "{methods(a:)}",
    "{user(id:$)}",
    '{user(id:"',
    '{user(id:"""',
    '{user(id:"\\ud800"){id}}',
    '{user(id:"\\u{110000}"){id}}',
    '{user(id:"\\u{D800}"){id}}',
    '{user(id:"\\q"){id}}',
    '{user(id:"\n"){id}}',
    "{user(id:01){id}}",
    "{user(id:1.){id}}",
    "{user(id:1e){id}}",
    "{user(id:-){id}}",
    "{user(id:1x){id}}",
    "{...}",
    "{...on}",
    "{... on User}",
    "query",
    "query{",
    "query A",
    "query A()",
    "query A($){methods}",
    "query A($a){methods}",
    "query A($a:){methods}",
    "query A($a:[){methods}",
    "fragment F on Query{methods}",
    "fragment on on Query{methods}",
    "fragment F{methods}",
    "fragment F($a:Int) on Query{methods} {...F(a:1)}",
    "mutation",
    "subscription{methods}",
    "subscription{__typename}",
    "type Query{a:Int}",
    "schema{query:Query}",
    "extend type Query{a:Int}",
    "directive @a on FIELD",
    "@include(if:true){methods}",
    "{methods}\x00",
    "{methods}\x1b[31m",
    "{méthodes}",
    "{ｍethods}",
    "{methods}😀",
    "\u202e{methods}",
    "SELECT * FROM users",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "%7Bmethods%7D",
    "{\\u006dethods}",
]

INVALID_GRAPHQL = [
    "{nothing}",
    "{methods{id}}",
    "{viewer}",
    "{user{id}}",
    "{user(id:null){id}}",
    "{user(id:[1 2]){id}}",
    "{user(id:{a:1}){id}}",
    "{user(id:1.5){id}}",
    "{user(id:ENUM){id}}",
    "{user(id:true){id}}",
    "{user(id:1,id:2){id}}",
    "{user(id:$x){id}}",
    "{users(first:1e3){totalCount}}",
    "{users(first:2147483648){totalCount}}",
    "{users(first:" + "9" * 5_000 + "){totalCount}}",
    '{users(first:"1"){totalCount}}',
    "{users(orderBy:null){totalCount}}",
    '{users(orderBy:"NEWEST"){totalCount}}',
    "{users(filter:{a:{b:{c:1}}}){totalCount}}",
    "{users(filter:[]){totalCount}}",
    '{users(filter:{email:"a",email:"b"}){totalCount}}',
    "{moment(at:0)}",
    '{moment(at:"0000-00-00T00:00:00Z")}',
    "{methods @skip}",
    "{methods @skip(if:null)}",
    "{methods @skip(if:1)}",
    "{methods @include(if:$x)}",
    "{methods @defer}",
    "{...F @defer} fragment F on Query{methods}",
    "{methods @stream(initialCount:0)}",
    "{methods @deprecated}",
    "{methods @oneOf}",
    "query @include(if:true){methods}",
    "{...F}",
    "{...F} fragment F on Nothing{id}",
    "{...F} fragment F on Order{id}",
    "{...F} fragment F on Filter{email}",
    "{...F} fragment F on String{id}",
    "{...F} fragment F on User{id}",
    "{...F} fragment F on Query{...F}",
    "{...F} fragment F on Query{...G} fragment G on Query{...F}",
    "{...F} fragment F on Query{methods} fragment F on Query{methods}",
    "{methods} fragment F on Query{methods}",
    "query A{methods} query A{methods}",
    "{methods} {methods}",
    "{methods} query A{methods}",
    "query($a:Nothing){methods}",
    "query($a:User){methods}",
    "query($a:Int){methods}",
    "query($a:Int,$a:Int){users(first:$a){totalCount}}",
    "query($a:String){users(first:$a){totalCount}}",
    'query($a:Int="x"){users(first:$a){totalCount}}',
    "query($a:Int=$b,$b:Int){users(first:$a,last:$b){totalCount}}",
    "query($a:[[[[Int!]!]!]!]!){users(first:$a){totalCount}}",
    "mutation{methods}",
    "mutation{exchange{__typename}}",
    'mutation{exchange(code:"good"){token}}',
    'mutation{exchange(code:"good"){... on User{id}}}',
    "{__schema}",
    "{__type{name}}",
    "{__nothing}",
    "{a:methods a:viewer{id}}",
    "{" + "a{" * 150 + "a" + "}" * 150 + "}",
    "{" + "methods " * 2_000 + "}",
    "{" + " ".join(f"a{i}:methods" for i in range(100)) + "}",
    "{users(first:2000000000){nodes{id}}}",
]

ODD_VARIABLES: list[Any] = [
    None, True, False, 0, -1, 1.0, 1.5, 2**31, 2**53 + 1, 2**64, 1e308, "", "\x00", "\u2028", "x" * 60_000, "💥" * 10_000,
    [], [None], [[[[1]]]], list(range(10_000)), {}, {"email": 1}, {"email": None}, {"search": None}, {"nothing": 1},
    {"a" * 60_000: 1}, {f"emai{i}": i for i in range(5_000)}, {"email": {"email": {"email": 1}}},
    {"createdAfter": "tomorrow"}, {"createdAfter": 10**18}, {"search": "x" * 60_000}, {"__proto__": 1}, {"": ""},
]  # fmt: skip
VARIABLE_USES = [
    "query($v:Int){users(first:$v){totalCount}}",
    "query($v:Int!){atLeast(number:$v)}",
    "query($v:ID!){user(id:$v){id}}",
    "query($v:String!){echo(text:$v)}",
    "query($v:DateTime){moment(at:$v)}",
    "query($v:Order!){users(orderBy:$v){totalCount}}",
    "query($v:Filter){users(filter:$v){totalCount}}",
    "query($v:String){users(filter:{search:$v}){totalCount}}",
    "query($v:Boolean!){methods @include(if:$v)}",
    "query($v:Int=7){users(last:$v){totalCount}}",
]
DEEP = b'{"query":"query($v:Filter){users(filter:$v){totalCount}}","variables":{"v":%s}}'


def _refused(response: httpx2.Response, endpoint: SampleEndpoint, statuses: set[int]) -> None:
    assert response.status_code in statuses
    answer = response.json()
    assert "data" not in answer
    assert set(codes(answer)) == {"BAD_USER_INPUT"}
    assert endpoint.internal_errors == []
    assert MUTATED == []


async def _send(body: Any) -> tuple[httpx2.Response, SampleEndpoint]:
    endpoint = SampleEndpoint()
    began = time.process_time()
    response = await endpoint.send(body)
    assert time.process_time() - began < SLOW
    return response, endpoint


def _name(value: object) -> str:
    """Short, ASCII, and different for different values."""
    text = repr(value)
    return f"{text[:40]} {len(text)} {zlib.crc32(text.encode()):08x}".encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize("body", NOT_JSON, ids=_name)
async def test_a_body_that_is_not_json_is_400(body: bytes) -> None:
    _refused(*await _send(body), {400})


@pytest.mark.parametrize("body", NOT_A_REQUEST, ids=_name)
async def test_json_that_is_no_request_is_400(body: bytes) -> None:
    _refused(*await _send(body), {400})


@pytest.mark.parametrize("body", WRONG_PARAMETERS, ids=_name)
async def test_parameters_of_wrong_types_are_400(body: dict[str, Any]) -> None:
    _refused(*await _send(body), {400})


@pytest.mark.parametrize("query", NOT_GRAPHQL + INVALID_GRAPHQL, ids=_name)
async def test_a_document_that_is_not_valid_is_a_graphql_error(query: str) -> None:
    _refused(*await _send({"query": query}), {200})


@pytest.mark.parametrize("query", ["{}", "mutation{}", "{viewer{}}"])
async def test_selecting_nothing_answers_nothing(query: str) -> None:
    """As the draft of the specification has it."""
    response, endpoint = await _send({"query": query})
    assert response.json() in ({"data": {}}, {"data": {"viewer": {}}})
    assert endpoint.internal_errors == []


@pytest.mark.parametrize("size", [65_537, 100_000, 1_000_000])
@pytest.mark.parametrize("filling", [b" ", b"[", b'{"a":', b"\xff", b'"'], ids=_name)
async def test_a_body_too_large_is_413(filling: bytes, size: int) -> None:
    _refused(*await _send(filling * (size // len(filling) + 1)), {413})


@pytest.mark.parametrize("query", VARIABLE_USES, ids=_name)
@pytest.mark.parametrize("value", ODD_VARIABLES, ids=_name)
async def test_odd_variables_are_answered_or_the_clients_fault(query: str, value: Any) -> None:
    response, endpoint = await _send({"query": query, "variables": {"v": value, "unused": value}})
    assert response.status_code == (413 if len(response.request.content) > 65_536 else 200)
    assert set(codes(response.json())) <= {"BAD_USER_INPUT"}
    assert len(response.content) < 100_000
    assert endpoint.internal_errors == []


@pytest.mark.parametrize("depth", [10, 100, 500, 1_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"email":', "}"), ('[{"a":', "}]")], ids=_name)
async def test_deep_variables_are_the_clients_fault(opening: str, closing: str, depth: int) -> None:
    response, endpoint = await _send(DEEP % _nested(opening, depth, closing, "1"))
    _refused(response, endpoint, {200, 400})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["query", "variables", "v", "x"]) | st.text(), inner)
    ),
)
_punctuators = ("...", '"', '"""', "\\", "\ufeff", "\n", *"{}()[]:!$@|&=,#")
_words = ("query", "mutation", "fragment", "on", "null", "true", "@include", "if", "1", "-1", "1.5", "$v", "é", "F")
_names = ("Query", "User", "viewer", "users", "first", "id", "methods", "__typename", "__schema", "types", "name")
_tokens = st.sampled_from((*_punctuators, *_words, *_names))
_bodies = (
    st.binary(max_size=300)
    | _json.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"query": st.text() | st.lists(_tokens, max_size=40).map(" ".join)}, optional={"variables": _json})
    .map(lambda value: json.dumps(value).encode())
)  # fmt: skip


def _sound(body: bytes, endpoint: SampleEndpoint, **headers: str) -> None:
    response = asyncio.run(endpoint.send(body, **headers))
    assert 200 <= response.status_code < 500
    assert set(codes(response.json())) <= {"BAD_USER_INPUT"}
    assert endpoint.internal_errors == []


@given(_bodies)
def test_whatever_is_sent_the_answer_is_sound(body: bytes) -> None:
    _sound(body, SampleEndpoint())


@given(st.data())
def test_a_good_body_with_a_few_bytes_changed_is_answered_soundly(data: st.DataObject) -> None:
    good = bytearray(
        b'{"query":"query($v:ID!){user(id:$v){id ...F}} fragment F on User{email}","variables":{"v":"u1"}}'
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    _sound(bytes(good), SampleEndpoint())


_header = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)


@given(accept=_header | st.just("*/*"), content_type=_header | st.just("application/json"))
def test_whatever_media_types_are_named_the_answer_is_sound(accept: str, content_type: str) -> None:
    _sound(b'{"query":"{methods}"}', SampleEndpoint(), accept=accept, content_type=content_type)


@given(st.text() | st.lists(_tokens, max_size=40).map(" ".join), st.none() | st.text())
def test_whatever_is_asked_by_get_the_answer_is_sound(query: str, variables: str | None) -> None:
    endpoint = SampleEndpoint()

    async def ask() -> httpx2.Response:
        async with endpoint.client() as client:
            parameters = {"query": query} if variables is None else {"query": query, "variables": variables}
            return await client.get("/graphql", params=parameters)

    response = asyncio.run(ask())
    assert response.status_code < 500
    assert set(codes(response.json())) <= {"BAD_USER_INPUT"}
    assert MUTATED == []
    assert endpoint.internal_errors == []


@pytest.fixture(autouse=True)
def _nothing_ran_before() -> None:
    MUTATED.clear()
