"""Which user an ID means: the user whose `id` it is, else whose `externalId` it is (contract §3)."""

from typing import Any

import pytest
from graphql import GraphQLArgument, GraphQLField, get_named_type, is_required_argument

from service.accounts.models import User, UserOrigin
from service.clock import now
from service.database import transaction
from service.graphql.schema import schema
from service.instance import Instance
from tests.actions import member, rows
from tests.clients import Api
from tests.graphql.callers import admin_token

OTHER_IDS = {"revokeJwtSecret", "updateJwtSecret", "revokeApiKey", "endSession"}
"""The fields whose `id` is not that of a user."""

SAMPLES = {"UserRole": "MEMBER", "String": '"a"', "Boolean": "true"}


def fields() -> dict[str, tuple[str, GraphQLField]]:
    """Every root field with an argument `id` or `ids` of users, and its kind of operation."""
    roots = {"query": schema._schema.query_type, "mutation": schema._schema.mutation_type}
    return {
        name: (kind, field)
        for kind, root in roots.items()
        if root is not None
        for name, field in root.fields.items()
        if {"id", "ids"} & set(field.args) and name not in OTHER_IDS
    }


USER_FIELDS = fields()


def document(name: str) -> str:
    """The field with the ID as its variable and a sample for every other argument that is required."""
    kind, field = USER_FIELDS[name]
    given = ["id: $id" if "id" in field.args else "ids: [$id]"]
    given += [
        f"{key}: {sample(value)}"
        for key, value in field.args.items()
        if is_required_argument(value) and key not in ("id", "ids")
    ]
    members = getattr(get_named_type(field.type), "fields", {})
    selected = f" {{ __typename {'error' if 'error' in members else ''} }}" if members else ""
    return f"{kind}($id: ID!) {{ {name}({', '.join(given)}){selected} }}"


def sample(argument: GraphQLArgument) -> str:
    text = SAMPLES[get_named_type(argument.type).name]
    return f"[{text}]" if "[" in str(argument.type) else text


async def made(user_id: str, external_id: str | None = None, **values: Any) -> User:
    """A user as no code and no admin can make it beside others: the identifiers may collide."""
    async with transaction():
        user = User(id=user_id, origin=UserOrigin.EXTERNAL_JWT, created_at=now(), **values)
        user.set_identifiers(email=None, email_verified=False, external_id=external_id)
        await user.save(force_create=True)
    return user


async def outcome(api: Api, name: str, user_id: str, token: str) -> str:
    payload = await api.payload(document(name), {"id": user_id}, token=token)
    return str(payload.get("errors") or payload["data"])


def test_every_id_of_a_user_is_known_to_these_tests() -> None:
    known = {
        "user",
        "sendInvitation",
        "updateUser",
        "deactivateUser",
        "reactivateUser",
        "deleteUser",
        "endUserSessions",
    }
    assert known | {"setUserRole", "setUserGroups"} <= set(USER_FIELDS)
    for name, (_, field) in USER_FIELDS.items():
        argument = field.args.get("id") or field.args["ids"]
        assert "external ID" in (argument.description or ""), f"say it of {name}, or list it in OTHER_IDS"


@pytest.mark.parametrize("name", USER_FIELDS)
async def test_external_id_finds_the_user_everywhere(name: str, api: Api, instance: Instance) -> None:
    token = await admin_token()
    await made("usr_1", "crm-1")
    by_external_id = await outcome(api, name, "crm-1", token)
    assert "NOT_FOUND" not in by_external_id
    assert "null" not in by_external_id
    assert "NOT_FOUND" in await outcome(api, name, "crm-2", token) or name in ("user", "node")


@pytest.mark.parametrize("name", USER_FIELDS)
async def test_id_of_two_users_is_a_conflict_that_names_both(name: str, api: Api, instance: Instance) -> None:
    token = await admin_token()
    await made("x")
    await made("usr_2", "x")
    both = "WHERE id IN ('x', 'usr_2')"
    before = await rows("users", both)
    told = await outcome(api, name, "x", token)
    assert "CONFLICT" in told
    assert "Their ids are 'usr_2' and 'x'" in told
    assert await rows("users", both) == before


@pytest.mark.parametrize("name", USER_FIELDS)
async def test_user_whose_id_and_external_id_are_equal_is_one(name: str, api: Api, instance: Instance) -> None:
    token = await admin_token()
    await made("crm-1", "crm-1")
    told = await outcome(api, name, "crm-1", token)
    assert "different" not in told
    assert "NOT_FOUND" not in told


async def test_deleted_user_is_named_by_its_id(api: Api, instance: Instance) -> None:
    token = await admin_token()
    await made("usr_1", "crm-1")
    deleted = await api.ask('mutation { deleteUser(id: "crm-1") { id } }', token=token)
    assert deleted == {"deleteUser": {"id": "usr_1"}}


async def test_user_is_asked_for_by_exactly_one_id(api: Api, instance: Instance) -> None:
    token = await admin_token()
    grace = await member("grace@example.com")
    await made("usr_1", "crm-1")
    query = "query($id: ID, $externalId: String) { user(id: $id, externalId: $externalId) { id } }"

    async def found(**given: str | None) -> Any:
        return (await api.ask(query, given, token=token))["user"]

    assert await found(id="crm-1") == await found(externalId="crm-1") == await found(id="usr_1") == {"id": "usr_1"}
    assert await found(externalId="usr_1") is None
    assert await found(externalId=grace.id) is None
    assert await found(id=grace.id, externalId=None) == {"id": grace.id}
    for given in ({}, {"id": "usr_1", "externalId": "crm-1"}, {"id": None, "externalId": None}):
        assert await api.error_code(query, given, token=token) == "BAD_USER_INPUT"
