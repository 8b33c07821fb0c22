"""Lists without pages: each is bounded, and each counts toward the limit of nodes where it can be long."""

from datetime import timedelta

import pytest
import time_machine
from graphql import GraphQLSchema, get_named_type, get_nullable_type, is_list_type, is_object_type

from service.api_keys import keys
from service.api_keys.models import ApiKeyScope
from service.clock import now
from service.errors import Conflict
from service.external_auth import secrets
from service.graphql.schema import schema
from service.graphql.server.node_count import length_of_list
from service.instance import Instance
from tests.actions import TESTER
from tests.clients import Api
from tests.graphql.callers import api_key

# Lists of a few entries, and why they cannot be long.
SHORT = {
    "CodeInspection.checks": "one entry for each check",
    "JwtAuth.recommendedPolicy": "one entry for each field",
    "SignInDay.refusals": "one entry for each reason",
    "SeatUsage.byOrigin": "one entry for each origin",
    "ServiceSettings.values": "one entry for each setting",
}


def test_every_list_of_objects_says_how_long_it_may_be() -> None:
    silent = {
        f"{type_.name}.{name}"
        for type_ in _graphql_schema().type_map.values()
        if is_object_type(type_) and not type_.name.startswith("__") and not type_.name.endswith("Connection")
        for name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type))
        and is_object_type(get_named_type(field.type))
        and length_of_list(field) is None
    }
    assert silent == set(SHORT)


def _graphql_schema() -> GraphQLSchema:
    return schema._schema


HISTORY = "{seatUsage{history(days:%s){used}}}"


@pytest.mark.parametrize(
    ("query", "variables", "is_answered"),
    [
        (HISTORY % 3660, {}, True),
        (HISTORY % 30, {}, True),
        ("{seatUsage{history{used}}}", {}, True),
        ("{a:seatUsage{history(days:3660){used}} b:seatUsage{history(days:3660){used}}}", {}, False),
        ("{seatUsage{a:history(days:3660){used} b:history(days:400){used}}}", {}, False),
        ("query($days:Int!){a:seatUsage{history(days:$days){used}} b:seatUsage{history(days:$days){used}}}", {"days": 3660}, False),
        ("query($days:Int!){a:seatUsage{history(days:$days){used}} b:seatUsage{history(days:$days){used}}}", {"days": 300}, True),
        ("{authentication{jwt{secrets{id}}} apiKeys{id}}", {}, True),
        ("{" + " ".join(f"a{n}:apiKeys{{id}}" for n in range(15)) + "}", {}, True),
        ("{" + " ".join(f"a{n}:apiKeys{{id}}" for n in range(14)) + " users(first:200){nodes{id}}}", {}, True),
        ("{" + " ".join(f"a{n}:apiKeys{{id}}" for n in range(15)) + " seatUsage{history(days:1100){used}}}", {}, False),
    ],
)  # fmt: skip
async def test_long_lists_count_as_nodes(api: Api, query: str, variables: dict[str, object], is_answered: bool) -> None:
    payload = await api.payload(query, variables, token=await api_key(ApiKeyScope.READ))
    if is_answered:
        assert "errors" not in payload
    else:
        assert "The limit is 2,000." in payload["errors"][0]["message"]


async def test_list_of_keys_has_the_newest_and_every_usable_one(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_LISTED", 3)
    made = [await keys.create_api_key(f"key {n}", ApiKeyScope.READ, None, TESTER) for n in range(6)]
    for key in made[1:]:
        await keys.revoke_api_key(key.row.id, TESTER)
    assert [key.name for key in await keys.list_api_keys()] == ["key 5", "key 4", "key 3", "key 0"]


async def test_so_many_keys_can_be_used_and_no_more(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_USABLE", 2)
    first = await keys.create_api_key("first", ApiKeyScope.READ, None, TESTER)
    await keys.create_api_key("ends", ApiKeyScope.READ, now() + timedelta(hours=1), TESTER)
    with pytest.raises(Conflict, match="Revoke one"):
        await keys.create_api_key("more", ApiKeyScope.READ, None, TESTER)
    await keys.revoke_api_key(first.row.id, TESTER)
    await keys.create_api_key("second", ApiKeyScope.READ, None, TESTER)
    with time_machine.travel(now() + timedelta(hours=2)):
        await keys.create_api_key("third", ApiKeyScope.READ, None, TESTER)


async def test_list_of_secrets_has_the_newest_and_every_live_one(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "MAX_LISTED", 2)
    await secrets.enable(instance.cipher, TESTER)
    for grace in (3600, 0, 0, 0):
        await secrets.rotate(instance.cipher, TESTER, grace_period=grace)
    [newest, *_, oldest] = await secrets.list_secrets()
    listed = await secrets.list_newest_secrets()
    assert len(listed) == 3
    assert (listed[0].id, listed[-1].id) == (newest.id, oldest.id)
