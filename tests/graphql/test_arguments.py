"""Arguments: missing ones, null, unusual values, and what no argument may cause."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_required_argument,
)

from service.external_auth.models import ExternalAuth
from service.graphql.schema import schema
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from tests.actions import admin, answer_to, code_of, enable, everything, member, open_for, rows, user
from tests.clients import Api
from tests.graphql.callers import admin_token

ODD_TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\x01\x1b[31m\x7f\x85",
    "\n\r\t",
    "\u202e\u2066\ufeff\u200b",
    "\U0001f600" * 100,
    "e\u0301\u00e9",
    "x" * 40,
    "x" * 300,
    "x" * 20_000,
    "'; DROP TABLE users; --",
    "%_!\\",
    "$1 {} {0} %s ?1",
    "1e400",
    "null",
    "\uffff\ufffe\u0000",
    "2030-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
]


# ---------------------------------------------------------------- left out, or null


async def test_left_out_changes_nothing_and_null_clears_of_a_user(api: Api, instance: Instance) -> None:
    token = await admin_token()
    grace = await member("grace@example.com")
    update = "mutation($id:ID!,$email:String,$externalId:String){updateUser(id:$id,email:$email,externalId:$externalId){email externalId}}"

    async def updated(**values: object) -> Any:
        return (await api.ask(update, {"id": grace.id, **values}, token=token))["updateUser"]

    assert await updated(externalId="crm-7") == {"email": "grace@example.com", "externalId": "crm-7"}
    assert await updated() == {"email": "grace@example.com", "externalId": "crm-7"}
    assert await updated(email=None) == {"email": None, "externalId": "crm-7"}
    assert await updated(email="G@example.com", externalId=None) == {"email": "g@example.com", "externalId": None}


async def test_left_out_changes_nothing_and_null_clears_of_the_policy(api: Api, instance: Instance) -> None:
    token = await admin_token()
    update = "mutation($policy:JwtPolicyInput!){updateJwtPolicy(policy:$policy){policy{requireExpiry maxLifetimeSeconds singleUse sessionEndsWithCode clockSkewSeconds issuer audience emailLinking}}}"
    default = {
        "requireExpiry": False,
        "maxLifetimeSeconds": None,
        "singleUse": False,
        "sessionEndsWithCode": False,
        "clockSkewSeconds": 60,
        "issuer": None,
        "audience": None,
        "emailLinking": "REFUSE",
    }
    other = {
        "requireExpiry": True,
        "maxLifetimeSeconds": 600,
        "singleUse": True,
        "sessionEndsWithCode": True,
        "clockSkewSeconds": 0,
        "issuer": "crm",
        "audience": "chat",
        "emailLinking": "LINK",
    }

    async def updated(policy: dict[str, object]) -> Any:
        return (await api.ask(update, {"policy": policy}, token=token))["updateJwtPolicy"]["policy"]

    assert await updated({}) == default
    for name, value in other.items():
        assert await updated({name: value}) == {**default, name: value}
        assert await updated({}) == {**default, name: value}
        if default[name] is None:
            assert await updated({name: None}) == default
        else:
            before = await everything()
            assert await api.error_code(update, {"policy": {name: None}}, token=token) == "BAD_USER_INPUT"
            assert await everything() == before
            assert await updated({name: default[name]}) == default
    literal = "mutation{updateJwtPolicy(policy:{clockSkewSeconds:null}){enabled}}"
    assert await api.error_code(literal, token=token) == "BAD_USER_INPUT"
    assert (await ExternalAuth.get(id=1)).clock_skew_seconds == 60


async def test_seat_limit_has_to_be_given_and_null_is_no_limit(api: Api, instance: Instance) -> None:
    token = await admin_token()
    document = "mutation($limit:Int){setSeatLimit(limit:$limit){used limit available}}"
    assert await api.ask(document, {"limit": 5}, token=token) == {
        "setSeatLimit": {"used": 1, "limit": 5, "available": 4}
    }
    for left_out in ("mutation{setSeatLimit{limit}}", document):
        assert await api.error_code(left_out, token=token) == "BAD_USER_INPUT"
    assert (await api.ask("{seatUsage{limit}}", token=token))["seatUsage"]["limit"] == 5
    assert (await api.ask(document, {"limit": None}, token=token))["setSeatLimit"]["limit"] is None
    for wrong in (-1, 2**31, 1.5, "5", True):
        assert await api.error_code(document, {"limit": wrong}, token=token) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "document",
    [
        "mutation{rotateJwtSecret(gracePeriodSeconds:null){secret}}",
        "mutation{disableJwtAuth(endSessions:null){enabled}}",
        'mutation{revokeJwtSecret(id:"x",endSessions:null){enabled}}',
        'mutation{inviteUser(email:"x@example.com",role:null){id}}',
        "mutation{updateEmailLogin(enabled:null){enabled}}",
        "mutation{updateEmailLogin(signUp:null){enabled}}",
        "{users(orderBy:null){totalCount}}",
        "{seatUsage{history(days:null){used}}}",
    ],
)
async def test_null_for_what_cannot_be_null_is_bad_input_and_changes_nothing(
    api: Api, instance: Instance, document: str
) -> None:
    token = await admin_token()
    await api.ask("{viewer{id}}", token=token)
    before = await everything()
    payload = await api.payload(document, token=token)
    assert [error["extensions"]["code"] for error in payload["errors"]] == ["BAD_USER_INPUT"]
    assert "Maybe" not in payload["errors"][0]["message"]
    assert await everything() == before


async def test_null_through_a_variable_is_the_same(api: Api, instance: Instance) -> None:
    token = await admin_token()
    for document, variables in (
        ("mutation($on:Boolean){updateEmailLogin(enabled:$on){enabled}}", {"on": None}),
        ('mutation($role:UserRole){inviteUser(email:"x@example.com",role:$role){id}}', {"role": None}),
    ):
        assert await api.error_code(document, variables, token=token) == "BAD_USER_INPUT"


async def test_defaults_are_the_contract_s(api: Api, instance: Instance) -> None:
    token = await admin_token()
    await enable(instance)
    data = await api.ask("mutation{rotateJwtSecret{jwtAuth{secrets{retiresAt createdAt}}}}", token=token)
    new, old = data["rotateJwtSecret"]["jwtAuth"]["secrets"]
    assert new["retiresAt"] is None
    assert old["retiresAt"][:11] > new["createdAt"][:11], "a day"
    data = await api.ask('mutation{inviteUser(email:"x@example.com"){role}}', token=token)
    assert data["inviteUser"]["role"] == "MEMBER"
    data = await api.ask('mutation{createApiKey(name:"x"){apiKey{scope expiresAt}}}', token=token)
    assert data["createApiKey"]["apiKey"] == {"scope": "READ", "expiresAt": None}
    assert len((await api.ask("{seatUsage{history{used}}}", token=token))["seatUsage"]["history"]) == 30


# ---------------------------------------------------------------- anything at all in a text


def _text_places() -> Iterator[tuple[str, str, str]]:
    """Every argument, and every field of an input, that takes a text: root type, root field, and its place."""
    for root in ("Query", "Mutation"):
        fields: Any = schema._schema.get_type(root)
        for field_name, field in fields.fields.items():
            for name, argument in field.args.items():
                for place in _places(name, argument.type):
                    yield root, field_name, place


def _places(name: str, type_: Any) -> Iterator[str]:
    named: Any = get_named_type(type_)
    if is_input_object_type(named):
        for inner, field in named.fields.items():
            yield from (f"{name}.{place}" for place in _places(inner, field.type))
    elif named.name in {"String", "ID", "DateTime"}:
        yield name


PLACES = list(_text_places())


def _operation(root: str, field_name: str) -> tuple[str, dict[str, object]]:
    """The field with a variable for each argument, and values for those that have to be given."""
    fields: Any = schema._schema.get_type(root)
    field = fields.fields[field_name]
    given = {name: _some_value(argument) for name, argument in field.args.items() if is_required_argument(argument)}
    declared = ",".join(f"${name}:{argument.type}" for name, argument in field.args.items())
    passed = ",".join(f"{name}:${name}" for name in field.args)
    selection = "" if is_leaf_type(get_named_type(field.type)) else "{__typename}"
    if get_named_type(field.type).name.endswith("Connection"):
        selection = "{nodes{__typename}totalCount pageInfo{hasNextPage hasPreviousPage}}"
    return f"{root.lower()}({declared}){{{field_name}({passed}){selection}}}", given


def _some_value(argument: GraphQLArgument) -> object:
    named: Any = get_named_type(argument.type)
    if is_enum_type(named):
        return next(iter(named.values))
    return {} if is_input_object_type(named) else "x"


def _put(variables: dict[str, object], place: str, value: object) -> dict[str, object]:
    name, _, inner = place.partition(".")
    return {**variables, name: _put({}, inner, value) if inner else value}


def test_every_text_is_found() -> None:
    assert ("Query", "users", "filter.search") in PLACES
    assert ("Mutation", "updateJwtPolicy", "policy.issuer") in PLACES
    assert len(PLACES) >= 35


@pytest.mark.parametrize("root", ["Query", "Mutation"])
async def test_no_text_whatever_is_an_internal_error(api: Api, instance: Instance, root: str) -> None:
    await admin("stays@example.com")
    token = await admin_token()
    for place, text in itertools.product([place for place in PLACES if place[0] == root], ODD_TEXTS):
        document, given = _operation(place[0], place[1])
        response = await api.send(document, _put(given, place[2], text), token=token)
        assert response.status_code == 200, (place, text)
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
        assert codes <= {"BAD_USER_INPUT", "NOT_FOUND", "CONFLICT"}, (place, text, response.text)
    assert (await api.ask("{viewer{id}}", token=token))["viewer"], "and the session did not end"


async def test_odd_text_is_kept_as_it_is_or_not_at_all(api: Api, instance: Instance) -> None:
    token = await admin_token()
    for text in ODD_TEXTS:
        name = await api.payload("mutation($x:String!){createApiKey(name:$x){apiKey{name}}}", {"x": text}, token=token)
        assert "errors" in name or name["data"]["createApiKey"]["apiKey"]["name"] == text.strip()
        document = "mutation($x:String!){updateJwtPolicy(policy:{issuer:$x}){policy{issuer}}}"
        issuer = await api.payload(document, {"x": text}, token=token)
        assert "errors" in issuer or issuer["data"]["updateJwtPolicy"]["policy"]["issuer"] == text


async def test_external_id_is_kept_to_the_letter(api: Api, instance: Instance) -> None:
    token = await admin_token()
    grace = await member("grace@example.com")
    for text in ("\U0001f600", "e\u0301", " spaced ", "right \u202eto left", "%_!"):
        document = "mutation($id:ID!,$x:String){updateUser(id:$id,externalId:$x){externalId}}"
        data = await api.ask(document, {"id": grace.id, "x": text}, token=token)
        assert data["updateUser"]["externalId"] == text
        assert (await user(grace.id)).external_id == text


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2030-06-01T12:00:00+14:00"])
async def test_any_moment_is_taken_where_a_time_is_asked_for(api: Api, instance: Instance, moment: str) -> None:
    token = await admin_token()
    for document in (
        "query($t:DateTime){users(filter:{createdAfter:$t}){totalCount nodes{id}}}",
        "query($t:DateTime){users(filter:{createdBefore:$t}){totalCount nodes{id}}}",
        "query($t:DateTime){auditLog(filter:{after:$t,before:$t}){totalCount nodes{id}}}",
    ):
        await api.ask(document, {"t": moment}, token=token)
    payload = await api.payload(
        'mutation($t:DateTime){createApiKey(name:"x",expiresAt:$t){apiKey{expiresAt}}}', {"t": moment}, token=token
    )
    if "errors" in payload:
        assert payload["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    else:
        assert payload["data"]["createApiKey"]["apiKey"]["expiresAt"] == moment.replace("12:00:00+14:00", "X").replace(
            "2030-06-01TX", "2030-05-31T22:00:00Z"
        )


async def test_session_of_a_member_is_not_disturbed_by_refused_input(api: Api, instance: Instance) -> None:
    mine = await open_for(await member("grace@example.com"))
    assert await api.error_code("{users(first:-1){totalCount}}", token=mine.token) == "FORBIDDEN"
    assert (await api.ask("{viewer{email}}", token=mine.token))["viewer"]["email"] == "grace@example.com"


# ---------------------------------------------------------------- addresses with characters that no font shows

INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200d\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041"


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
async def test_address_with_an_invisible_character_is_refused_everywhere(
    character: str, api: Api, instance: Instance
) -> None:
    token, secret, grace = await admin_token(), await enable(instance), await member("grace@example.com")
    email = f"alice{character}@example.com"
    documents = [
        "mutation($email: String!) { requestEmailCode(email: $email) { __typename } }",
        "mutation($email: String!) { inviteUser(email: $email) { id } }",
        f'mutation($email: String!) {{ updateUser(id: "{grace.id}", email: $email) {{ id }} }}',
        "query($email: String!) { users(filter: {email: $email}) { nodes { id } } }",
    ]
    before = await rows("users", f"WHERE id = '{grace.id}'")
    for document in documents:
        assert await api.error_code(document, {"email": email}, token=token) == "BAD_USER_INPUT", document
    for claims in ({"user": {"id": "new", "email": email}}, {"email": email}):
        assert await answer_to(instance, code_of(secret, claims)) is SignInErrorCode.INVALID_CLAIMS
    assert await rows("users", f"WHERE id = '{grace.id}'") == before
