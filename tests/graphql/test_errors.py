"""What an error says of a request's own mistake: which one it is, without the value, which may be a code in the wrong place."""

import pytest

from tests.clients import Api

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
