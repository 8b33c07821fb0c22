"""`node(id:)`: the user or session with an ID, for those who may see it."""

from typing import Any

from service.instance import Instance
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import admin, member, open_for
from tests.clients import Api

NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on User { email } ... on Session { method current } } }"


async def node(api: Api, node_id: str, token: str | None) -> Any:
    return (await api.ask(NODE, {"id": node_id}, token=token))["node"]


async def test_members_find_themselves_and_their_sessions_only(api: Api, instance: Instance) -> None:
    ada, bob = await member("ada@example.com"), await member("bob@example.com")
    own, other = await open_for(ada), await open_for(bob)

    assert (await node(api, ada.id, own.token))["__typename"] == "User"
    session = await node(api, own.session.id, own.token)
    assert session == {"__typename": "Session", "id": own.session.id, "method": "EMAIL", "current": True}
    for hidden in (bob.id, other.session.id, "nobody", "", "\0", "x" * 300):
        assert await node(api, hidden, own.token) is None


async def test_admins_find_every_user_and_session(api: Api, instance: Instance) -> None:
    boss = await open_for(await admin("boss@example.com"), SignInMethod.EMAIL, TokenTransport.BEARER)
    person = await member("ada@example.com")
    ada = await open_for(person)

    assert (await node(api, person.id, boss.token))["email"] == "ada@example.com"
    assert (await node(api, ada.session.id, boss.token))["current"] is False
    assert (await node(api, boss.session.id, boss.token))["current"] is True


async def test_session_with_admin_rights_is_hidden_from_sessions_without_them(api: Api, instance: Instance) -> None:
    user = await admin("boss@example.com")
    with_rights = await open_for(user, SignInMethod.EMAIL, TokenTransport.BEARER)
    without = await open_for(user, SignInMethod.EXTERNAL_JWT)

    assert await node(api, with_rights.session.id, without.token) is None
    assert (await node(api, without.session.id, without.token))["id"] == without.session.id


async def test_anonymous_callers_are_asked_to_sign_in(api: Api, instance: Instance) -> None:
    person = await member("ada@example.com")

    for node_id in (person.id, "x"):
        assert await api.error_code(NODE, {"id": node_id}) == "UNAUTHENTICATED"
