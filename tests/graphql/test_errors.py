"""What an error says of a request's own mistake: which one it is, without the value, which may be a code in the wrong place."""

import pytest
from graphql import build_schema, get_named_type, is_leaf_type, is_non_null_type

from service.graphql.schema import schema
from tests.clients import Api
from tests.graphql.callers import admin_token

CODE = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjp7ImlkIjoiY3JtIn19.c2lnbmF0dXJl"
EXCHANGE = "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){__typename}}"
INSPECT = "mutation{exchangeExternalAuthCode(externalAuthCode:%s){__typename}}"
USERS = "query($filter:UserFilter){users(filter:$filter){totalCount}}"


@pytest.mark.parametrize(
    ("document", "variables", "message"),
    [
        (EXCHANGE, {"code": [CODE]}, "Variable '$code' has invalid value: String cannot represent a non string value"),
        (EXCHANGE, {"code": {"a": CODE}}, "Variable '$code' has invalid value: String cannot represent a non string value"),
        (INSPECT % CODE.split(".", maxsplit=1)[0], {}, "String cannot represent a non string value"),
        (
            "mutation($n:Int){exchangeExternalAuthCode(externalAuthCode:\"x\",lifetimeSeconds:$n){__typename}}",
            {"n": f"{CODE}. Did {CODE}"},
            "Variable '$n' has invalid value: Int cannot represent non-integer value",
        ),
        (USERS, {"filter": CODE}, "Variable '$filter' has invalid value: Expected value of type 'UserFilter' to be an object."),
        (USERS, {"filter": {"origin": CODE}}, "Variable '$filter' has invalid value at .origin: Value does not exist in 'UserOrigin' enum."),
        (
            USERS,
            {"filter": {"orgin": CODE}},
            "Variable '$filter' has invalid value: Expected value of type 'UserFilter' not to include unknown field 'orgin'.",
        ),
        (USERS, {"filter": {"createdAfter": CODE}}, "Variable '$filter' has invalid value at .createdAfter: "),
    ],
)  # fmt: skip
async def test_value_is_left_out_and_what_is_wrong_with_it_is_said(
    api: Api, document: str, variables: dict[str, object], message: str
) -> None:
    payload = await api.payload(document, variables)
    said = [error["message"] for error in payload["errors"]]
    assert said[0].startswith(message)
    for segment in CODE.split("."):
        assert segment not in str(payload)


async def test_suggestion_stays(api: Api) -> None:
    payload = await api.payload('{users(filter:{origin:"EMAIL"}){totalCount}}')
    assert payload["errors"][0]["message"] == (
        "Enum 'UserOrigin' cannot represent non-enum value. Did you mean the enum value 'EMAIL'?"
    )


async def test_long_value_is_left_out_as_well(api: Api) -> None:
    for value in ("Value '" * 8_000, "zz cannot represent a value" * 2_000, "x" * 60_000, f"{CODE}'" * 600):
        for document, variables in (
            (EXCHANGE, {"code": [value]}),
            (USERS, {"filter": value}),
            (USERS, {"filter": {"origin": value}}),
        ):
            payload = await api.payload(document, variables)
            assert value[:20] not in str(payload)
            assert len(payload["errors"][0]["message"]) < 200


def _non_null_arguments() -> list[tuple[str, str, str, str]]:
    """Of each root field: the kind of its operation, its name, one of its non-null arguments, and its selection."""
    sdl = build_schema(schema.as_str())
    return [
        (kind, name, argument_name, "" if is_leaf_type(get_named_type(field.type)) else "{__typename}")
        for kind, root in (("query", sdl.query_type), ("mutation", sdl.mutation_type))
        if root
        for name, field in root.fields.items()
        for argument_name, argument in field.args.items()
        if is_non_null_type(argument.type)
    ]


@pytest.mark.parametrize(("kind", "name", "argument", "selection"), _non_null_arguments())
async def test_null_is_called_null(api: Api, kind: str, name: str, argument: str, selection: str) -> None:
    """It is Python that calls it None."""
    payload = await api.payload(f"{kind}{{{name}({argument}:null){selection}}}")
    said = [error["message"] for error in payload["errors"]]
    assert any(message.endswith("not to be null.") for message in said), said
    assert "None" not in str(said)


@pytest.mark.parametrize(
    ("document", "variables", "message"),
    [
        (
            "query($order:UserOrder){users(orderBy:$order){totalCount}}",
            {"order": None},
            "Argument 'orderBy' has invalid value: Expected variable '$order' provided to non-null type 'UserOrder!' not to be null.",
        ),
        (
            EXCHANGE,
            {"code": None},
            "Variable '$code' has invalid value: Expected value of non-null type 'String!' not to be null.",
        ),
    ],
)
async def test_variable_that_is_null_is_called_null(
    api: Api, document: str, variables: dict[str, object], message: str
) -> None:
    token = await admin_token()
    payload = await api.payload(document, variables, token=token)
    assert payload["errors"][0]["message"] == message
