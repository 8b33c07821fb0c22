"""Who may do what (contract §4): every root field, for every kind of caller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine

from service.accounts import administration
from service.accounts.models import User, UserRole
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.log import Actor
from service.clock import now
from service.errors import Forbidden
from service.external_auth import secrets
from service.graphql.schema import schema
from service.instance import Instance
from service.sessions.administration import end_user_sessions
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import HASHES, TESTER, admin, code_of, enable, everything, member, open_for
from tests.clients import Api
from tests.graphql.callers import ALL_CALLERS, ANONYMOUS, IN_PERSON, WITHOUT_RIGHTS, all_callers, bearer

UNAUTHENTICATED, FORBIDDEN = "UNAUTHENTICATED", "FORBIDDEN"


@dataclass(frozen=True)
class World:
    """What operations can be about."""

    code: str
    secret_id: str
    key_id: str
    session_id: str
    people: list[User]
    boss: User
    """An admin who has been invited, and is none of the callers."""


Variables = Callable[[World], dict[str, str]]


def _nothing(_: World) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Field:
    """A root field, asked so that it succeeds where it may be asked, and what each kind of caller is told."""

    name: str
    document: str
    variables: Variables
    anonymous: str | None
    without_rights: str | None
    read_key: str | None
    users_key: str | None
    admin_key: str | None
    in_person: str | None = None

    def told(self, caller: str) -> str | None:
        """The error's code, or None where it is answered."""
        if caller in ANONYMOUS:
            return self.anonymous
        if caller in WITHOUT_RIGHTS:
            return self.without_rights
        return {"READ key": self.read_key, "USERS key": self.users_key, "ADMIN key": self.admin_key}.get(
            caller, self.in_person
        )


def _public(name: str, document: str, variables: Variables = _nothing) -> Field:
    return Field(name, document, variables, None, None, None, None, None)


def _reading(name: str, document: str, variables: Variables = _nothing) -> Field:
    return Field(name, document, variables, UNAUTHENTICATED, FORBIDDEN, None, None, None)


def _administering(name: str, document: str, variables: Variables = _nothing) -> Field:
    return Field(name, document, variables, UNAUTHENTICATED, FORBIDDEN, FORBIDDEN, FORBIDDEN, None)


def _managing(name: str, document: str, variables: Variables = _nothing) -> Field:
    return Field(name, document, variables, UNAUTHENTICATED, FORBIDDEN, FORBIDDEN, None, None)


def _personal(name: str, document: str, variables: Variables = _nothing) -> Field:
    return Field(name, document, variables, UNAUTHENTICATED, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN)


def _code(world: World) -> dict[str, str]:
    return {"code": world.code}


def _boss(world: World) -> dict[str, str]:
    return {"id": world.boss.id}


def _person(number: int) -> Variables:
    return lambda world: {"id": world.people[number].id}


FIELDS = [
    _public("signInMethods", "{ signInMethods }"),
    _public("signInOptions", "{ signInOptions { methods signInUrl name } }"),
    _public("branding", "{ branding { name } }"),
    _public("viewer", "{ viewer { id } }"),
    _public("currentSession", "{ currentSession { id } }"),
    _public(
        "exchangeExternalAuthCode",
        "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) { __typename } }",
        _code,
    ),
    _public("requestEmailCode", 'mutation { requestEmailCode(email: "x@example.com") { __typename } }'),
    _public("exchangeEmailCode", 'mutation { exchangeEmailCode(requestId: "x", code: "1") { __typename } }'),
    _reading("users", "{ users { nodes { id email metadata } totalCount } }"),
    _reading("groups", "{ groups(first: 1) { nodes { name memberCount } totalCount } }"),
    _reading("user", "query ($id: ID!) { user(id: $id) { id sessions { totalCount nodes { id } } } }", _person(0)),
    _reading("settings", "{ settings { version values { name value isDefault } } }"),
    Field("node", "query ($id: ID!) { node(id: $id) { id } }", _person(0), UNAUTHENTICATED, None, None, None, None),
    _reading("seatUsage", "{ seatUsage { used limit byOrigin { used } history(days: 2) { used } } }"),
    _reading(
        "authentication",
        "{ authentication { emailLogin { enabled } jwt { enabled secrets { id } policy { issuer } } } }",
    ),
    _reading(
        "inspectExternalAuthCode",
        "query ($code: String!) { inspectExternalAuthCode(externalAuthCode: $code) { accepted user { id } } }",
        _code,
    ),
    _reading("apiKeys", "{ apiKeys { id } }"),
    _reading("auditLog", "{ auditLog(first: 5) { nodes { id detail } totalCount } }"),
    _reading("refusal", '{ refusal(reference: "K7XA249Z5R") { reference } }'),
    _reading("signInDays", "{ signInDays(days: 2) { signIns refusals { code count } } }"),
    _reading("mailStatus", "{ mailStatus { waiting sent lastSentAt } }"),
    _reading("refusedOrigins", "{ refusedOrigins { origin count } }"),
    _reading("refusals", "{ refusals(first: 5) { nodes { reference } totalCount } }"),
    Field(
        "issueAccessToken",
        "mutation { issueAccessToken { token } }",
        _nothing,
        UNAUTHENTICATED,
        None,
        UNAUTHENTICATED,
        UNAUTHENTICATED,
        UNAUTHENTICATED,
    ),
    _administering("createTestLink", "mutation { createTestLink { userId url } }"),
    _administering("enableJwtAuth", "mutation { enableJwtAuth { secret } }"),
    _administering("rotateJwtSecret", "mutation { rotateJwtSecret(gracePeriodSeconds: 0) { secret } }"),
    _personal("createSignInLink", 'mutation { createSignInLink(userId: "by-code") { link } }'),  # whom `_code` made
    _administering(
        "revokeJwtSecret",
        "mutation ($id: ID!) { revokeJwtSecret(id: $id) { enabled } }",
        lambda world: {"id": world.secret_id},
    ),
    _administering(
        "updateJwtSecret",
        'mutation ($id: ID!) { updateJwtSecret(id: $id, note: "CRM") { name note } }',
        lambda world: {"id": world.secret_id},
    ),
    _administering("updateJwtPolicy", "mutation { updateJwtPolicy(policy: { issuer: null }) { enabled } }"),
    _administering("revokeAllCodes", "mutation { revokeAllCodes { enabled codesValidFrom } }"),
    _administering("updateJwtSignIn", "mutation { updateJwtSignIn(input: { signInUrl: null }) { enabled } }"),
    _administering("disableJwtAuth", "mutation { disableJwtAuth(endSessions: false) { enabled } }"),
    _administering("updateEmailLogin", "mutation { updateEmailLogin(enabled: true) { enabled } }"),
    _administering("updateBranding", "mutation { updateBranding(input: { name: null }) { name } }"),
    _administering("setSeatLimit", "mutation { setSeatLimit(limit: null) { used } }"),
    _managing("inviteUser", 'mutation { inviteUser(email: "new@example.com") { id } }'),
    _personal("inviteUser", 'mutation { inviteUser(email: "newer@example.com", role: ADMIN) { id } }'),
    _managing("sendInvitation", "mutation ($id: ID!) { sendInvitation(id: $id) { id } }", _person(1)),
    _managing("unlockEmailSignIn", "mutation ($id: ID!) { unlockEmailSignIn(id: $id) { id } }", _person(1)),
    _managing("updateUser", 'mutation ($id: ID!) { updateUser(id: $id, externalId: "crm-9") { id } }', _person(1)),
    _managing("deactivateUser", "mutation ($id: ID!) { deactivateUser(id: $id) { id } }", _person(1)),
    _managing("reactivateUser", "mutation ($id: ID!) { reactivateUser(id: $id) { id } }", _person(1)),
    _managing("createUser", 'mutation { createUser(externalId: "crm-77") { id } }'),
    _managing("inviteUsers", 'mutation { inviteUsers(emails: ["many@example.com"]) { error } }'),
    _personal("inviteUsers", 'mutation { inviteUsers(emails: ["more@example.com"], role: ADMIN) { error } }'),
    _managing(
        "deactivateUsers", "mutation ($id: ID!) { deactivateUsers(ids: [$id]) { error user { id } } }", _person(1)
    ),
    _managing(
        "reactivateUsers", "mutation ($id: ID!) { reactivateUsers(ids: [$id]) { error user { id } } }", _person(1)
    ),
    _managing("endUserSessions", "mutation ($id: ID!) { endUserSessions(id: $id) }", _person(0)),
    _managing("revokeUserCodes", "mutation ($id: ID!) { revokeUserCodes(id: $id) { id codesValidFrom } }", _person(0)),
    _managing("deleteUser", "mutation ($id: ID!) { deleteUser(id: $id) { id } }", _person(2)),
    _administering("eraseUser", "mutation ($id: ID!) { eraseUser(id: $id) { pseudonym } }", _person(3)),
    _managing("setUserGroups", 'mutation ($id: ID!) { setUserGroups(id: $id, names: ["a"]) { id } }', _person(0)),
    _personal("setUserGroups", 'mutation ($id: ID!) { setUserGroups(id: $id, names: ["b"]) { id } }', _boss),
    _personal("setUserRole", "mutation ($id: ID!) { setUserRole(id: $id, role: MEMBER) { id } }", _person(0)),
    _personal("sendInvitation", "mutation ($id: ID!) { sendInvitation(id: $id) { id } }", _boss),
    _personal("updateUser", 'mutation ($id: ID!) { updateUser(id: $id, externalId: "crm-8") { id } }', _boss),
    _personal("updateUser", 'mutation ($id: ID!) { updateUser(id: $id, email: "x@example.com") { id } }', _boss),
    _personal("unlockEmailSignIn", "mutation ($id: ID!) { unlockEmailSignIn(id: $id) { id } }", _boss),
    _personal("endUserSessions", "mutation ($id: ID!) { endUserSessions(id: $id) }", _boss),
    _personal("deactivateUser", "mutation ($id: ID!) { deactivateUser(id: $id) { id } }", _boss),
    _personal("reactivateUser", "mutation ($id: ID!) { reactivateUser(id: $id) { id } }", _boss),
    _personal("revokeUserCodes", "mutation ($id: ID!) { revokeUserCodes(id: $id) { id } }", _boss),
    _personal("deleteUser", "mutation ($id: ID!) { deleteUser(id: $id) { id } }", _boss),
    _personal("updateEmailLogin", "mutation { updateEmailLogin(enabled: false) { enabled } }"),
    _personal("sendTestMail", "mutation { sendTestMail { problem } }"),
    _personal("createApiKey", 'mutation { createApiKey(name: "x") { token } }'),
    _personal(
        "revokeApiKey", "mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", lambda world: {"id": world.key_id}
    ),
]
ELSEWHERE = {"endSession"}  # what it answers depends on whose the session is: below


def test_every_root_field_is_in_the_table() -> None:
    roots = {name for type_name in ("Query", "Mutation") for name in _fields_of(type_name)}
    assert {field.name for field in FIELDS} | ELSEWHERE == roots


def _fields_of(type_name: str) -> set[str]:
    type_: Any = schema._schema.get_type(type_name)
    return set(type_.fields)


@pytest.mark.parametrize("caller", ALL_CALLERS)
async def test_caller_is_answered_what_it_may_ask_and_changes_nothing_by_what_it_may_not(
    api: Api, instance: Instance, caller: str
) -> None:
    headers = (await all_callers(instance)).headers[caller]
    world = await _world(instance)
    await api.payload("{viewer{id}}", headers=headers)  # notes that the session, its user or the key was used
    with time_machine.travel(now(), tick=False):  # the use of a key is noted once a minute
        for field in FIELDS:
            expected = field.told(caller)
            before = await everything() if expected else {}
            payload = await api.payload(field.document, field.variables(world), headers=headers)
            codes = [error["extensions"]["code"] for error in payload.get("errors", [])]
            assert codes == ([expected] if expected else []), (field.name, payload)
            if expected:
                assert payload["data"] == {field.name: None}
                assert await everything() == before, field.name


async def _world(instance: Instance) -> World:
    secret = await enable(instance)
    people = [await member(f"{number}@example.com") for number in range(4)]
    old = (await secrets.list_secrets())[0].id
    await secrets.rotate(instance.cipher, TESTER)
    key = await create_api_key("to be revoked", ApiKeyScope.READ, None, TESTER)
    return World(
        code_of(secret, {"user": {"id": "by-code"}}),
        old,
        key.row.id,
        (await open_for(people[0])).session.id,
        people,
        await admin("invited@example.com"),
    )


async def test_one_refusal_does_not_take_the_rest_of_the_answer_along(api: Api, instance: Instance) -> None:
    payload = await api.payload("{signInMethods viewer{id} users{totalCount} apiKeys{id}}")
    assert payload["data"] == {"signInMethods": ["EMAIL"], "viewer": None, "users": None, "apiKeys": None}
    assert [(error["path"], error["extensions"]["code"]) for error in payload["errors"]] == [
        (["users"], UNAUTHENTICATED),
        (["apiKeys"], UNAUTHENTICATED),
    ]


# ---------------------------------------------------------------- who is signed in


@pytest.mark.parametrize("caller", ALL_CALLERS)
async def test_viewer_is_who_is_signed_in_and_an_api_key_is_nobody_s(api: Api, instance: Instance, caller: str) -> None:
    callers = await all_callers(instance)
    data = await api.ask("{viewer{id}currentSession{user{id}current adminRights}}", headers=callers.headers[caller])
    if caller in ANONYMOUS or caller.endswith("key"):
        assert data == {"viewer": None, "currentSession": None}
    else:
        person = callers.member if caller.startswith("member") else callers.admin
        assert data["viewer"] == data["currentSession"]["user"] == {"id": person.id}
        assert data["currentSession"]["current"] is True
        assert data["currentSession"]["adminRights"] is (caller in IN_PERSON)


@pytest.mark.parametrize("caller", ALL_CALLERS)
async def test_user_s_sessions_are_shown_to_the_user_itself_and_to_admins(
    api: Api, instance: Instance, caller: str
) -> None:
    callers = await all_callers(instance)
    headers = callers.headers[caller]
    if caller not in ANONYMOUS and not caller.endswith("key"):
        own = await api.ask("{viewer{sessions{totalCount}}}", headers=headers)
        assert own["viewer"]["sessions"]["totalCount"] >= 1


async def test_whoever_signs_in_sees_its_own_sessions_in_the_same_answer(api: Api, instance: Instance) -> None:
    """The caller is anonymous. The answer is about the user who has just been signed in."""
    secret = await enable(instance)
    document = (
        "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code)"
        "{... on SessionGrant{session{id user{sessions{totalCount}}}user{sessions{totalCount nodes{id current}}}}}}"
    )
    someone_else = bearer((await open_for(await member("grace@example.com"))).token)
    for number, headers in enumerate(({}, someone_else)):
        code = code_of(secret, {"user": {"id": f"ada-{number}"}})
        data = await api.ask(document, {"code": code}, headers=headers)
        result = data["exchangeExternalAuthCode"]
        nodes = [{"id": result["session"]["id"], "current": True}]
        assert result["user"]["sessions"] == {"totalCount": 1, "nodes": nodes}
        assert result["session"]["user"]["sessions"] == {"totalCount": 1}


# ---------------------------------------------------------------- ending sessions

END = "mutation($id:ID){endSession(id:$id)}"


async def test_without_an_id_the_session_that_asks_ends(api: Api, instance: Instance) -> None:
    grace = await member("grace@example.com")
    mine, other = await open_for(grace), await open_for(grace)
    assert await api.ask("mutation{endSession}", token=mine.token) == {"endSession": True}
    assert await api.ask("{viewer{id}}", token=mine.token) == {"viewer": None}
    assert await api.ask("{viewer{id}}", token=other.token) == {"viewer": {"id": grace.id}}
    assert await api.ask("mutation{endSession}", token=mine.token) == {"endSession": False}
    assert await api.ask("mutation{endSession}") == {"endSession": False}


async def test_member_ends_its_own_by_id_and_another_user_s_is_not_found(api: Api, instance: Instance) -> None:
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    mine, second, hers = await open_for(grace), await open_for(grace), await open_for(ada)
    assert await api.error_code(END, {"id": hers.session.id}, token=mine.token) == "NOT_FOUND"
    assert await api.ask("{viewer{id}}", token=hers.token) == {"viewer": {"id": ada.id}}
    assert await api.ask(END, {"id": second.session.id}, token=mine.token) == {"endSession": True}
    assert await api.ask(END, {"id": second.session.id}, token=mine.token) == {"endSession": False}
    assert await api.ask(END, {"id": "unknown"}, token=mine.token) == {"endSession": False}
    assert await api.ask("{viewer{id}}", token=mine.token) == {"viewer": {"id": grace.id}}


@pytest.mark.parametrize("wrong", ["", " ", "\0", "x" * 5000])
async def test_id_that_is_none_is_not_the_session_that_asks(api: Api, instance: Instance, wrong: str) -> None:
    grace = await member("grace@example.com")
    mine = await open_for(grace)
    payload = await api.payload(END, {"id": wrong}, token=mine.token)
    assert payload["data"] == {"endSession": False} or payload["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await api.ask("{viewer{id}}", token=mine.token) == {"viewer": {"id": grace.id}}


async def test_nobody_ends_no_session_by_its_id(api: Api, instance: Instance) -> None:
    hers = await open_for(await member("ada@example.com"))
    assert await api.error_code(END, {"id": hers.session.id}) == UNAUTHENTICATED
    assert (await api.ask("{viewer{id}}", token=hers.token))["viewer"]


async def test_admin_ends_anyone_s_and_a_key_of_scope_admin_too(api: Api, instance: Instance) -> None:
    ada = await member("ada@example.com")
    callers = (await all_callers(instance)).headers
    for name in ("admin", "admin by admin cookie", "USERS key", "ADMIN key"):
        hers = await open_for(ada)
        assert await api.ask(END, {"id": hers.session.id}, headers=callers[name]) == {"endSession": True}
        assert await api.ask("{viewer{id}}", token=hers.token) == {"viewer": None}
    for name in ("admin by code", "admin by members' cookie"):
        hers = await open_for(ada)
        assert await api.error_code(END, {"id": hers.session.id}, headers=callers[name]) == "NOT_FOUND"
        assert (await api.ask("{viewer{id}}", token=hers.token))["viewer"]


async def test_key_of_scope_read_changes_nothing_with_or_without_an_id(api: Api, instance: Instance) -> None:
    hers = await open_for(await member("ada@example.com"))
    read = (await all_callers(instance)).headers["READ key"]
    assert await api.error_code(END, {"id": hers.session.id}, headers=read) == FORBIDDEN
    assert await api.error_code("mutation{endSession}", headers=read) == FORBIDDEN
    assert (await api.ask("{viewer{id}}", token=hers.token))["viewer"]


# ---------------------------------------------------------------- keys of machines


async def test_no_api_key_makes_admins_by_any_way(api: Api, instance: Instance) -> None:
    callers = await all_callers(instance)
    key = callers.headers["ADMIN key"]
    grace = callers.member
    for document, variables in (
        ('mutation { inviteUser(email: "evil@example.com", role: ADMIN) { id } }', {}),
        ("mutation ($id: ID!) { setUserRole(id: $id, role: ADMIN) { id } }", {"id": grace.id}),
        ('mutation { createApiKey(name: "evil", scope: ADMIN) { token } }', {}),
    ):
        await api.payload("{viewer{id}}", headers=key)
        before = await everything()
        assert await api.error_code(document, variables, headers=key) == FORBIDDEN
        assert await everything() == before
    assert await api.ask('mutation{inviteUser(email:"member@example.com"){role}}', headers=key) == {
        "inviteUser": {"role": "MEMBER"}
    }


async def test_api_key_takes_no_admin_s_place_by_its_email(api: Api, instance: Instance) -> None:
    """A person who can read an admin's mails can sign in as that admin."""
    callers = await all_callers(instance)
    key, boss = callers.headers["ADMIN key"], callers.admin
    change = "mutation($id:ID!,$email:String){updateUser(id:$id,email:$email){email}}"
    await api.payload("{viewer{id}}", headers=key)
    before = await everything()
    for email in ("evil@example.com", None):
        assert await api.error_code(change, {"id": boss.id, "email": email}, headers=key) == FORBIDDEN
    assert await everything() == before
    for person, headers in ((callers.member, key), (boss, callers.headers["admin"])):
        email = f"new-{person.email}"
        assert await api.ask(change, {"id": person.id, "email": email}, headers=headers) == {
            "updateUser": {"email": email}
        }


async def test_api_key_changes_no_user_who_becomes_an_admin_meanwhile(instance: Instance) -> None:
    """The request was let through while the user was a member; the change asks again under the lock."""
    person = await admin("boss@example.com")
    for by in (Actor("api-key:key_1"), Actor("user:usr_1")):
        for change in (
            administration.update_user(person.id, by, email="evil@example.com"),
            administration.deactivate_user(person.id, by),
            administration.reactivate_user(person.id, by),
            administration.delete_user(person.id, by, HASHES),
            end_user_sessions(person.id, by),
        ):
            before = await everything()
            with pytest.raises(Forbidden):
                await change
            assert await everything() == before


SESSIONS = "{viewer{sessions{totalCount nodes{id adminRights}}}}"


async def test_session_without_admin_rights_neither_lists_nor_ends_those_that_have_them(
    api: Api, instance: Instance
) -> None:
    callers = await all_callers(instance)
    boss = await open_for(callers.admin)
    grace = await open_for(callers.member)
    for name in ("admin by code", "admin by members' cookie", "admin by members' cookie's token"):
        headers = callers.headers[name]
        listed = (await api.ask(SESSIONS, headers=headers))["viewer"]["sessions"]
        assert listed["totalCount"] == len(listed["nodes"]) > 0
        assert not any(node["adminRights"] for node in listed["nodes"])
        later = "query($after:String!){viewer{sessions(after:$after){nodes{adminRights}pageInfo{endCursor}}}}"
        first = await api.ask("{viewer{sessions(first:1){pageInfo{endCursor}}}}", headers=headers)
        cursor = first["viewer"]["sessions"]["pageInfo"]["endCursor"]
        rest = (await api.ask(later, {"after": cursor}, headers=headers))["viewer"]["sessions"]["nodes"]
        assert not any(node["adminRights"] for node in rest)
        assert await api.error_code(END, {"id": boss.session.id}, headers=headers) == FORBIDDEN
        assert await api.error_code(END, {"id": grace.session.id}, headers=headers) == "NOT_FOUND"
    for name in ("READ key", "USERS key", "ADMIN key"):
        headers = callers.headers[name]
        assert await api.error_code(END, {"id": boss.session.id}, headers=headers) == FORBIDDEN
        listed = await api.ask(
            "query($id:ID!){user(id:$id){sessions{nodes{id}}}}", {"id": callers.admin.id}, headers=headers
        )
        assert {"id": boss.session.id} in listed["user"]["sessions"]["nodes"], "keys read everything"
    listed = (await api.ask(SESSIONS, token=boss.token))["viewer"]["sessions"]
    assert {"id": boss.session.id, "adminRights": True} in listed["nodes"]
    assert await api.ask(END, {"id": boss.session.id}, headers=callers.headers["admin"]) == {"endSession": True}


async def test_admin_s_rights_end_with_the_role_and_come_back_with_a_new_sign_in(api: Api, instance: Instance) -> None:
    await admin("stays@example.com")
    boss = await admin("boss@example.com")
    token = (await open_for(boss)).token
    assert await api.ask("{seatUsage{used}}", token=token)
    await administration.set_role(boss.id, UserRole.MEMBER, TESTER)
    assert await api.error_code("{seatUsage{used}}", token=token) == UNAUTHENTICATED
    boss = await administration.set_role(boss.id, UserRole.ADMIN, TESTER)
    assert await api.error_code("{seatUsage{used}}", token=token) == UNAUTHENTICATED
    token = (await open_for(boss)).token
    assert await api.ask("{seatUsage{used}}", token=token)
    await administration.deactivate_user(boss.id, TESTER)
    assert await api.error_code("{seatUsage{used}}", token=token) == UNAUTHENTICATED


async def test_cookie_s_token_is_never_answered_and_no_cookie_is_ever_set(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    grace = await member("grace@example.com")
    mine = await open_for(grace, SignInMethod.EXTERNAL_JWT, TokenTransport.COOKIE)
    code = code_of(secret, {"id": grace.id})
    for headers in (
        {"Cookie": f"doorcode={mine.token}", "Sec-Fetch-Site": "same-origin"},
        bearer(mine.token),
    ):
        response = await api.send(
            "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){... on SessionGrant{token}}}",
            {"code": code},
            headers=headers,
        )
        assert "set-cookie" not in response.headers
        assert response.json()["data"]["exchangeExternalAuthCode"]["token"] != mine.token
