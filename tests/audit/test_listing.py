"""Finding events: by each filter, by the page of the panel's queries, and without a scan of a long table."""

from typing import Any

import pytest

from service.accounts import administration
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.listing import AuditFilter, list_events
from service.audit.log import COMMAND_LINE, Actor, record
from service.database import Statement, fetch, transaction
from service.errors import BadUserInput
from service.instance import Instance
from service.paging import Slice
from tests.actions import HASHES, TESTER, member
from tests.clients import Api
from tests.graphql.callers import admin_token
from tests.statements import noted_statements

EVENTS: list[tuple[Action, Actor, dict[str, Any]]] = [
    (Action.USER_UPDATED, Actor.of_user("boss", "192.0.2.1"), {"user_id": "ada"}),
    (Action.USER_UPDATED, COMMAND_LINE, {"user_id": "grace"}),
    (Action.JWT_SECRET_REVOKED, Actor.of_api_key("key", "2001:db8::1"), {"secret_id": "s1"}),
    (Action.SEAT_LIMIT_SET, Actor.of_api_key("key", "2001:db8:0:0:1::2"), {}),
]


async def events() -> None:
    """Records those above, and one refusal."""
    async with transaction():
        for action, by, what in EVENTS:
            await record(action, by, **what)
    by = Actor.of_code("s1", "192.0.2.2")
    await record_hourly(Action.SIGN_IN_REFUSED, by, person="ada", reason="x", user_id="ada", reference="K7XA249Z5R")


async def found(**filters: Any) -> list[str]:
    page = await list_events(AuditFilter(**filters)).page(Slice())
    return sorted(str(row["action"]) for row in page.rows)


@pytest.mark.parametrize(
    ("filters", "actions"),
    [
        ({"user_id": "ada"}, ["sign_in.refused", "user.updated"]),
        ({"secret_id": "s1"}, ["jwt.secret_revoked", "sign_in.refused"]),
        ({"actor": "api-key:key"}, ["jwt.secret_revoked", "seats.limit_set"]),
        ({"actor": "code:s1"}, ["sign_in.refused"]),
        ({"actor": "cli", "user_id": "ada"}, []),
        ({"ip_address": "192.0.2.1"}, ["user.updated"]),
        ({"ip_address": " ::ffff:192.0.2.1 "}, ["user.updated"]),
        ({"ip_address": "2001:0DB8::0001"}, ["jwt.secret_revoked"]),
        ({"ip_address": "2001:db8::/64"}, ["jwt.secret_revoked", "seats.limit_set"]),
        ({"ip_address": "2001:db8::7:7:7:7/64"}, ["jwt.secret_revoked", "seats.limit_set"]),
        ({"ip_address": "2001:db8::3"}, []),
        ({"reference": " k7xa249z5r "}, ["sign_in.refused"]),
        ({"reference": "K7XA249Z5"}, []),
    ],
)
async def test_each_filter_finds_its_events_alone(
    instance: Instance, filters: dict[str, str], actions: list[str]
) -> None:
    await events()
    assert await found(**filters) == actions


@pytest.mark.parametrize(
    "text", ["", "here", "192.0.2", "192.0.2.0/24", "192.0.2.1/64", "2001:db8::/48", "2001:db8::/", "2001:db8::/064"]
)
async def test_text_that_is_no_address_is_bad_user_input(instance: Instance, text: str) -> None:
    with pytest.raises(BadUserInput, match="`ipAddress` must be an IP address, or an IPv6 network of 64 bits"):
        await found(ip_address=text)


@pytest.mark.parametrize(
    "filters",
    [
        {"action": "user.updated"},
        {"user_id": "ada"},
        {"secret_id": "s1"},
        {"actor": "cli"},
        {"ip_address": "192.0.2.1"},
        {"ip_address": "2001:db8::/64"},
        {"reference": "K7XA249Z5R"},
    ],
    ids=repr,
)
async def test_each_filter_has_an_index(instance: Instance, filters: dict[str, Any]) -> None:
    conditions = list_events(AuditFilter(**filters)).conditions
    prefix = "EXPLAIN QUERY PLAN" if instance.settings.uses_sqlite else "EXPLAIN"
    async with transaction():
        if not instance.settings.uses_sqlite:  # an empty table is cheaper to scan, whatever indexes it has
            await fetch(Statement("SET LOCAL enable_seqscan = off"))
        query = f"{prefix} SELECT * FROM audit_events{conditions.where} ORDER BY created_at DESC, id DESC LIMIT 50"
        plan = " ".join(
            str(tuple(row.values()) if hasattr(row, "values") else tuple(row))
            for row in await fetch(Statement(query), *conditions.values)
        )
    assert "SCAN audit_events" not in plan, plan
    assert "Seq Scan" not in plan, plan
    column = next(iter(filters))
    assert {"ip_address": "network"}.get(column, column) in plan, plan


async def test_users_of_a_page_are_found_by_one_query_and_only_those_who_exist(api: Api, instance: Instance) -> None:
    token = await admin_token()
    users = [await member(f"{name}@example.com") for name in ("ada", "grace", "alan")]
    for user in users:
        await administration.update_user(user.id, TESTER, external_id=f"crm-{user.email}")
    async with transaction():
        await record(Action.USER_UPDATED, Actor.of_user(users[0].id, None), user_id="gone")
    await administration.delete_user(users[2].id, TESTER, HASHES)
    query = '{ auditLog(filter: {action: "user.updated"}) { nodes { userId user { email } actorUser { email } } } }'
    async with noted_statements() as noted:
        nodes = (await api.ask(query, token=token))["auditLog"]["nodes"]

    assert [(node["user"], node["actorUser"]) for node in nodes] == [
        (None, {"email": "ada@example.com"}),
        (None, None),
        ({"email": "grace@example.com"}, None),
        ({"email": "ada@example.com"}, None),
    ]
    assert len([statement for statement in noted.reads if 'FROM "users"' in statement]) == 1, noted


async def test_event_tells_its_secret_and_is_found_by_address_over_http(api: Api, instance: Instance) -> None:
    await events()
    query = "query($filter: AuditFilter) { auditLog(filter: $filter) { nodes { action secretId ipAddress } } }"
    token = await admin_token()
    answer = await api.ask(query, {"filter": {"ipAddress": "192.0.2.2"}}, token=token)
    assert answer["auditLog"]["nodes"] == [{"action": "sign_in.refused", "secretId": "s1", "ipAddress": "192.0.2.2"}]
    assert await api.error_code(query, {"filter": {"ipAddress": "x"}}, token=token) == "BAD_USER_INPUT"
