"""Relay connections over HTTP: `pageInfo`, refusals, and what is not computed unless it is requested."""

import pytest

from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import record
from service.database import Statement, transaction, write, write_rest_of_marks
from service.instance import Instance
from service.sessions.lifecycle import end_session
from tests.actions import TESTER, admin, code_of, enable, member, open_for, sign_in
from tests.clients import Api
from tests.graphql.callers import admin_token
from tests.statements import noted_statements

USERS = """
query($first: Int, $after: String, $last: Int, $before: String, $orderBy: UserOrder! = EMAIL_ASC) {
  users(first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy) {
    edges { cursor node { email } }
    nodes { email }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


async def _people(*names: str) -> None:
    for name in names:
        await member(f"{name}@example.com")


async def test_edges_nodes_and_page_info_say_the_same(api: Api, instance: Instance) -> None:
    token = await admin_token("z@example.com")
    await _people("a", "b", "c", "d")
    users = (await api.ask(USERS, {"first": 2}, token=token))["users"]
    assert [edge["node"] for edge in users["edges"]] == users["nodes"] == [{"email": f"{n}@example.com"} for n in "ab"]
    assert users["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": users["edges"][0]["cursor"],
        "endCursor": users["edges"][1]["cursor"],
    }
    page = (await api.ask(USERS, {"first": 2, "after": users["pageInfo"]["endCursor"]}, token=token))["users"]
    assert [node["email"][0] for node in page["nodes"]] == ["c", "d"]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (True, True)
    page = (await api.ask(USERS, {"last": 2, "before": page["pageInfo"]["startCursor"]}, token=token))["users"]
    assert [node["email"][0] for node in page["nodes"]] == ["a", "b"]
    page = (await api.ask(USERS, {"last": 2}, token=token))["users"]
    assert [node["email"][0] for node in page["nodes"]] == ["d", "z"]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (False, True)


FIELDS = [
    "id",
    "externalId",
    "email",
    "emailVerified",
    "origin",
    "role",
    "status",
    "createdAt",
    "lastSeenAt",
    "metadata",
]


async def test_page_of_any_fields_says_of_each_what_a_page_of_all_fields_says(api: Api, instance: Instance) -> None:
    """A page reads the columns that are selected, and those of its order."""
    token = await admin_token("z@example.com")
    await _people("a", "b")
    await api.ask("{ viewer { id } }", token=token)
    await write_rest_of_marks()  # that the admin was seen, which no later request changes
    page = "query($order: UserOrder!) { users(first: 3, orderBy: $order) { nodes { %s } pageInfo { endCursor } } }"
    for order in ("CREATED_AT_DESC", "LAST_SEEN_AT_DESC", "EMAIL_ASC"):
        everything = (await api.ask(page % " ".join(FIELDS), {"order": order}, token=token))["users"]
        for field in FIELDS:
            users = (await api.ask(page % f"alias: {field}", {"order": order}, token=token))["users"]
            assert [node["alias"] for node in users["nodes"]] == [node[field] for node in everything["nodes"]]
            assert users["pageInfo"] == everything["pageInfo"]


async def test_page_reads_only_the_columns_that_are_selected(api: Api, instance: Instance) -> None:
    token = await admin_token("z@example.com")
    fragment = " fragment F on UserConnection { edges { node { ... on User { id } ...G } } } fragment G on User { %s }"
    for field, read in (("role", "SELECT created_at, id, role FROM users"), ("metadata", "SELECT * FROM users")):
        async with noted_statements() as statements:
            await api.ask("{ users(first: 3) { ...F } }" + fragment % field, token=token)
        assert any(statement.startswith(read) for statement in statements), statements


async def test_empty_page_has_no_cursors(api: Api, instance: Instance) -> None:
    token = await admin_token()
    users = (await api.ask(USERS, {"first": 0}, token=token))["users"]
    assert users == {
        "edges": [],
        "nodes": [],
        "pageInfo": {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    "variables",
    [
        {"first": 201},
        {"last": 201},
        {"first": -1},
        {"last": -1},
        {"first": 1, "last": 1},
        {"after": "nonsense"},
        {"before": ""},
        {"first": 2**31},
    ],
    ids=repr,
)
async def test_page_that_cannot_be_is_bad_user_input(
    api: Api, instance: Instance, variables: dict[str, object]
) -> None:
    token = await admin_token()
    assert await api.error_code(USERS, variables, token=token) == "BAD_USER_INPUT"


async def test_cursor_that_is_empty_is_bad_user_input_everywhere(api: Api, instance: Instance) -> None:
    """A client that has lost its cursor would read the first page again and again."""
    token = await admin_token()
    for field in ('users(first:1,after:"")', 'auditLog(first:1,after:"")', 'viewer{sessions(first:1,after:"")'):
        document = "{" + field + "{nodes{id}}" + ("}" if field.startswith("viewer") else "") + "}"
        assert await api.error_code(document, token=token) == "BAD_USER_INPUT", field


async def test_cursor_of_another_order_is_bad_user_input(api: Api, instance: Instance) -> None:
    token = await admin_token()
    cursor = (await api.ask(USERS, {"first": 1}, token=token))["users"]["pageInfo"]["endCursor"]
    for order in ("CREATED_AT_DESC", "CREATED_AT_ASC", "LAST_SEEN_AT_DESC"):
        variables = {"after": cursor, "orderBy": order}
        assert await api.error_code(USERS, variables, token=token) == "BAD_USER_INPUT"


async def test_two_hundred_is_a_page_and_nulls_are_as_good_as_nothing(api: Api, instance: Instance) -> None:
    token = await admin_token()
    nothing = {"first": None, "after": None, "last": None, "before": None}
    assert len((await api.ask(USERS, nothing, token=token))["users"]["nodes"]) == 1
    assert len((await api.ask(USERS, {"first": 200}, token=token))["users"]["nodes"]) == 1


# ---------------------------------------------------------------- what it costs


async def test_total_is_counted_only_where_it_is_selected(api: Api, instance: Instance) -> None:
    token = await admin_token()
    await _people("a", "b")
    by_search = '{users(filter:{search:"example"}){nodes{id}%s}}'
    for selection, counts in (("", 0), ("totalCount", 1)):
        await api.ask(by_search % selection, token=token)
        async with noted_statements() as noted:
            data = await api.ask(by_search % selection, token=token)
        assert len([statement for statement in noted if "COUNT(" in statement]) == counts
        # On SQLite one more read asks the index of the search how many users it knows.
        reads = [read for read in noted.reads if not read.startswith("SELECT rowid FROM users_search")]
        assert len(reads) == 2 + counts, noted
        assert data["users"].get("totalCount") == (3 if counts else None)


async def test_users_with_their_sessions_are_no_query_for_each(api: Api, instance: Instance) -> None:
    token = await admin_token()
    document = "{users(first:50){nodes{id sessions(first:2){nodes{id user{id}}totalCount pageInfo{hasNextPage}}}}}"
    costs = []
    for people in ("abc", "defghijklmnopqrstuvw"):
        await _people(*people)
        await api.ask(document, token=token)
        async with noted_statements() as noted:
            data = await api.ask(document, token=token)
        costs.append(len(noted))
        assert len(data["users"]["nodes"]) in {4, 24}
    assert costs == [4, 4], "the session that asks, the users, their sessions, how many they are"


async def test_each_user_has_its_own_sessions_newest_first(api: Api, instance: Instance) -> None:
    boss = await admin("boss@example.com")
    mine = await open_for(boss)
    grace = await member("grace@example.com")
    hers = [(await open_for(grace)).session.id for _ in range(4)]
    await open_for(grace, lifetime=-1)
    ended = (await open_for(grace)).session.id
    await end_session(ended)
    document = "{users(orderBy:EMAIL_ASC){nodes{email sessions(first:3){nodes{id current}totalCount pageInfo{hasNextPage endCursor}}}}}"
    users = (await api.ask(document, token=mine.token))["users"]["nodes"]
    sessions = {user["email"]: user["sessions"] for user in users}
    assert sessions["boss@example.com"]["nodes"] == [{"id": mine.session.id, "current": True}]
    found = sessions["grace@example.com"]
    assert [node["id"] for node in found["nodes"]] == hers[:0:-1]
    assert {node["current"] for node in found["nodes"]} == {False}
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (4, True)

    more = "query($id:ID!,$after:String){user(id:$id){sessions(after:$after){nodes{id}totalCount pageInfo{hasNextPage hasPreviousPage}}}}"
    rest = await api.ask(more, {"id": grace.id, "after": found["pageInfo"]["endCursor"]}, token=mine.token)
    assert rest["user"]["sessions"] == {
        "nodes": [{"id": hers[0]}],
        "totalCount": 4,
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True},
    }


async def test_sessions_of_a_page_are_twenty_unless_said(api: Api, instance: Instance) -> None:
    grace = await member("grace@example.com")
    tokens = [(await open_for(grace)).token for _ in range(22)]
    for document, number in (
        ("{viewer{sessions{nodes{id}}}}", 20),
        ("{viewer{sessions(first:null){nodes{id}}}}", 20),
        ("{viewer{sessions(first:200){nodes{id}}}}", 22),
        ("{viewer{sessions(first:0){nodes{id}}}}", 0),
    ):
        assert len((await api.ask(document, token=tokens[0]))["viewer"]["sessions"]["nodes"]) == number
    for wrong in ("first:201", "first:-1", 'after:"x"'):
        document = f"{{viewer{{sessions({wrong}){{totalCount}}}}}}"
        assert await api.error_code(document, token=tokens[0]) == "BAD_USER_INPUT"


async def test_asking_for_the_viewer_costs_one_read(api: Api, instance: Instance) -> None:
    token = (await open_for(await member("grace@example.com"))).token
    await api.ask("{viewer{id}}", token=token)
    async with noted_statements() as noted:
        await api.ask("{viewer{id email metadata}currentSession{id user{email}}}", token=token)
    assert (len(noted.reads), len(noted)) == (1, 1), noted


# ---------------------------------------------------------------- the audit log

LOG = """
query($first: Int, $after: String, $filter: AuditFilter) {
  auditLog(first: $first, after: $after, filter: $filter) {
    nodes { id action actor userId detail ipAddress reference createdAt }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}"""


async def test_audit_log_is_newest_first_in_pages(api: Api, instance: Instance) -> None:
    token = await admin_token()
    async with transaction():
        for number in range(5):
            await record(Action.USER_UPDATED, TESTER, user_id=f"u{number}", detail={"number": number})
    await write(Statement("UPDATE audit_events SET created_at = (SELECT MAX(created_at) FROM audit_events)"))
    walked = []
    cursor = None
    while True:
        page = (await api.ask(LOG, {"first": 2, "after": cursor}, token=token))["auditLog"]
        walked += [node["userId"] for node in page["nodes"] if node["action"] == "user.updated"]
        assert page["totalCount"] == 6
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    assert walked == ["u4", "u3", "u2", "u1", "u0"]


async def test_audit_log_is_filtered(api: Api, instance: Instance) -> None:
    token = await admin_token()
    async with transaction():
        await record(Action.USER_UPDATED, TESTER, user_id="ada")
        await record(Action.JWT_ENABLED, TESTER, secret_id="jws_1")
    await record_hourly(
        Action.SIGN_IN_REFUSED, TESTER, person="ada", reason="x", user_id="ada", secret_id="jws_1", reference="ABC"
    )

    async def found(**wanted: object) -> list[str]:
        nodes = (await api.ask(LOG, {"filter": wanted}, token=token))["auditLog"]["nodes"]
        return sorted(node["action"] for node in nodes)

    assert await found(userId="ada") == ["sign_in.refused", "user.updated"]
    assert await found(secretId="jws_1") == ["jwt.enabled", "sign_in.refused"]
    assert await found(userId="ada", secretId="jws_1") == ["sign_in.refused"]
    assert await found(action="jwt.enabled") == ["jwt.enabled"]
    assert await found(action="jwt") == []
    assert await found(after="2020-01-01T00:00:00Z", before="2020-01-02T00:00:00Z") == []
    assert len(await found(after="2020-01-01T00:00:00Z")) == 4


async def test_event_says_who_did_what_to_whom_from_where(api: Api, instance: Instance) -> None:
    boss = await admin("boss@example.com")
    token = (await open_for(boss)).token
    grace = await member("grace@example.com")
    await api.ask("mutation($id:ID!){deactivateUser(id:$id){status}}", {"id": grace.id}, token=token)
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada"}}))
    found = (await api.ask(LOG, {"filter": {"action": "user.deactivated"}}, token=token))["auditLog"]["nodes"]
    assert [(event["actor"], event["userId"], event["ipAddress"]) for event in found] == [
        (f"user:{boss.id}", grace.id, "192.0.2.1")
    ]
    found = (await api.ask(LOG, {"filter": {"userId": "ada"}}, token=token))["auditLog"]["nodes"]
    assert [event["action"] for event in found] == ["session.opened", "user.created"]
    assert all(event["actor"].startswith("code:jws_") for event in found)
