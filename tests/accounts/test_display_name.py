"""The display name: the member `name` of the metadata, in the API, in the panel and in the search."""

import json

import pytest

from service.accounts.directory import UserFilter, UserOrder, list_users
from service.accounts.lookup import find_by_id
from service.accounts.metadata import LONGEST_DISPLAY_NAME, display_name, dump_metadata
from service.instance import Instance
from service.paging import Slice
from tests.actions import admin, code_of, enable, open_for, sign_in
from tests.clients import Api


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"name": "Ada Lovelace"}, "Ada Lovelace"),
        ({"plan": "pro", "name": " Ada\n\tLovelace\0 "}, "Ada Lovelace"),
        ({"name": "דנה"}, "דנה"),
        ({"name": "x" * 300}, "x" * LONGEST_DISPLAY_NAME),
        ({"name": " \n "}, None),
        ({"name": ""}, None),
        ({"name": 7}, None),
        ({"name": {"first": "Ada"}}, None),
        ({"person": {"name": "Ada"}}, None),
        ({}, None),
    ],
)
def test_name_is_the_text_of_the_member_on_one_line(metadata: dict[str, object], shown: str | None) -> None:
    assert display_name(dump_metadata(metadata)) == shown  # type: ignore[arg-type]
    assert display_name(json.dumps(metadata)) == shown


async def found(text: str) -> list[str]:
    page = await list_users(UserFilter(search=text), UserOrder.CREATED_AT_DESC).page(Slice(first=10))
    return [str(row["id"]) for row in page.rows]


async def test_search_follows_the_name_of_a_user(instance: Instance, api: Api) -> None:
    secret = await enable(instance)

    async def visit(**user: object) -> None:
        await sign_in(instance, code_of(secret, {"user": {"id": "crm-1", **user}}))

    await visit(name="Ada Byron", email="ada@example.com")
    assert await found("ada byr") == await found("BYRON") == ["crm-1"]
    await visit(name="Ada Lovelace", email="ada@example.com")
    assert await found("lovelace") == ["crm-1"]
    assert await found("byron") == []
    await visit(name="Ada Lovelace", email="countess@example.com")
    assert await found("lovelace") == await found("countess") == ["crm-1"]
    token = (await open_for(await admin())).token
    answer = await api.ask('{ user(id: "crm-1") { displayName } users { nodes { displayName } } }', token=token)
    assert answer["user"] == {"displayName": "Ada Lovelace"}
    assert {"displayName": "Ada Lovelace"} in answer["users"]["nodes"]
    assert {"displayName": None} in answer["users"]["nodes"]
    user = await find_by_id("crm-1")
    assert user
    assert user.search_text == "\ncrm-1\ncountess@example.com\nada lovelace"
