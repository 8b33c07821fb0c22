"""Errors of the endpoint: what a client reads, what is logged, and what neither shows."""

import json
import logging
from typing import Any

import pytest
from graphql import GraphQLError
from starlette.requests import Request

from service.graphql.server import http
from tests.graphql.sample_schema import (
    SampleContext,
    SampleEndpoint,
    codes,
    messages,
    refuse_context,
)

pytestmark = pytest.mark.usefixtures("nothing_ran_before")


async def test_a_refusal_tells_its_code_and_reference_but_not_its_cause() -> None:
    endpoint = SampleEndpoint()
    answer = await endpoint.ask("{forbidden}")
    (refused,) = endpoint.refusals
    assert answer == {
        "data": {"forbidden": None},
        "errors": [
            {
                "message": "Only an administrator may.",
                "locations": [{"line": 1, "column": 2}],
                "path": ["forbidden"],
                "extensions": {"code": "FORBIDDEN", "reference": refused.reference},
            }
        ],
    }
    assert endpoint.internal_errors == []


async def test_too_many_attempts_says_when_to_come_back() -> None:
    response = await SampleEndpoint().send({"query": "{heldUp}"})
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "TOO_MANY_ATTEMPTS"
    assert error["extensions"]["retryAfterSeconds"] == 7
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("query", ["{broken}", "{viewer{broken}}", "{wrongType}", "{naive}"])
async def test_a_bug_shows_nothing_of_the_inside(query: str) -> None:
    endpoint = SampleEndpoint()
    answer = await endpoint.ask(query)
    ((error, reference),) = endpoint.internal_errors
    assert codes(answer) == ["INTERNAL_SERVER_ERROR"]
    assert answer["errors"][0]["extensions"]["reference"] == reference
    assert messages(answer) == [
        "Something went wrong on our side. If it happens again, tell your administrator the reference."
    ]
    assert not isinstance(error, GraphQLError)
    assert str(error) not in json.dumps(answer)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query($n:Int!){atLeast(number:$n)}", {"n": "two"}),
        ("query($n:Int!){atLeast(number:$n)}", {"n": None}),
        ("query($n:Int!){atLeast(number:$n)}", {"n": 2**40}),
        ("query($n:Int!){atLeast(number:$n)}", {}),
        ("query($n:Int){atLeast(number:$n)}", {"n": None}),
        ("query($f:Filter){users(filter:$f){totalCount}}", {"f": {"nothing": 1}}),
        ("query($f:Filter){users(filter:$f){totalCount}}", {"f": {"search": None}}),
        ("{users(filter:{search:null}){totalCount}}", {}),
        ("query($o:Order!){users(orderBy:$o){totalCount}}", {"o": "WORST"}),
        ("query($t:String!){echo(text:$t)}", {"t": {"a": 1}}),
    ],
)
async def test_a_wrong_value_is_the_clients(query: str, variables: dict[str, Any]) -> None:
    endpoint = SampleEndpoint()
    assert codes(await endpoint.ask(query, variables)) == ["BAD_USER_INPUT"]
    assert endpoint.internal_errors == []


@pytest.mark.parametrize("introspection", [True, False])
async def test_a_value_is_suggested_only_where_introspection_is_on(introspection: bool) -> None:
    query = "query($o:Order!){users(orderBy:$o){totalCount}}"
    (message,) = messages(await SampleEndpoint(introspection=introspection).ask(query, {"o": "NEWES"}))
    assert ("Did you mean" in message) is introspection


async def test_advice_on_writing_a_schema_is_not_for_clients() -> None:
    assert "Maybe" not in str(await SampleEndpoint().ask("{users(filter:{search:null}){totalCount}}"))


async def test_a_context_that_refuses_answers_as_a_field_would() -> None:
    endpoint = SampleEndpoint(context_for=refuse_context)
    answer = await endpoint.ask("{methods}")
    assert "data" not in answer
    assert codes(answer) == ["UNAUTHENTICATED"]
    assert len(endpoint.refusals) == 1


async def test_a_context_that_fails_is_500_in_json() -> None:
    async def fails(_request: Request) -> SampleContext:
        raise ConnectionError("postgres://user:password@host")

    endpoint = SampleEndpoint(context_for=fails)
    response = await endpoint.send({"query": "{methods}"})
    assert response.status_code == 500
    assert codes(response.json()) == ["INTERNAL_SERVER_ERROR"]
    assert response.json()["errors"][0]["extensions"]["reference"] == endpoint.internal_errors[0][1]
    assert "password" not in response.text


async def test_an_answer_that_cannot_be_written_is_500_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = SampleEndpoint()

    def fails(_payload: object) -> bytes:
        monkeypatch.undo()
        raise RecursionError("too deep")

    monkeypatch.setattr(http, "_encoded", fails)
    response = await endpoint.send({"query": "{methods}"})
    assert response.status_code == 500
    assert codes(response.json()) == ["INTERNAL_SERVER_ERROR"]


async def test_a_cancelled_task_that_a_resolver_waits_for_is_a_bug() -> None:
    endpoint = SampleEndpoint()
    response = await endpoint.send({"query": "{waitsForACancelledTask}"})
    assert response.status_code == 500
    assert codes(response.json()) == ["INTERNAL_SERVER_ERROR"]
    assert len(endpoint.internal_errors) == 1


async def test_neither_document_nor_variables_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = SampleEndpoint()
    for field in ("broken", "wrongType", "nothing", "forbidden", "naive"):
        await endpoint.send(
            {
                "query": f'query($t:String){{{field} a:echo(text:"dcs_secret") b:echo(text:$t)}}',
                "variables": {"t": "dcs_two"},
            }
        )
    await endpoint.send({"query": '{echo(text:"dcs_secret")'})
    logged = caplog.text + "".join(map(_printed, endpoint.internal_errors))
    assert len(endpoint.internal_errors) == 3
    assert "dcs_" not in logged
    assert "GraphQL request" not in logged
    assert not [record for record in caplog.records if record.name.startswith(("strawberry", "graphql"))]


def _printed(logged: tuple[BaseException, str]) -> str:
    logger = logging.getLogger("printed")
    record = logger.makeRecord(
        "printed", 40, "", 0, logged[1], (), (type(logged[0]), logged[0], logged[0].__traceback__)
    )
    return logging.Formatter().format(record)
