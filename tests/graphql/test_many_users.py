"""Many invitations, deactivations and reactivations at once: one result each, in order (contract §3)."""

from service.accounts.models import UserStatus
from service.accounts.seats import set_seat_limit
from service.api_keys.models import ApiKeyScope
from tests.actions import TESTER, admin, count, member, user
from tests.clients import Api
from tests.graphql.callers import admin_token, api_key

INVITE = (
    "mutation ($emails: [String!]!, $role: UserRole! = MEMBER)"
    " { inviteUsers(emails: $emails, role: $role) { email user { id email role } error } }"
)
CHANGE = "mutation ($ids: [ID!]!) {{ {}(ids: $ids) {{ id user {{ id status }} error }} }}"


async def test_one_bad_address_stops_none_of_the_others(api: Api) -> None:
    key = await api_key(ApiKeyScope.USERS)
    await member("taken@example.com")
    emails = ["New@example.com", "no address", "taken@example.com", "new@example.com", "last@example.com"]
    results = (await api.ask(INVITE, {"emails": emails}, token=key))["inviteUsers"]
    assert [result["email"] for result in results] == emails
    assert [result["user"] and result["user"]["email"] for result in results] == [
        "new@example.com",
        None,
        None,
        None,
        "last@example.com",
    ]
    codes = [result["error"] and result["error"].split(":")[0] for result in results]
    assert codes == [None, "BAD_USER_INPUT", "CONFLICT", "CONFLICT", None]
    assert await count("users") == 3
    assert await count("outgoing_mails") == 2


async def test_seats_are_taken_in_order_until_none_is_free(api: Api) -> None:
    await set_seat_limit(2, TESTER)
    emails = [f"{number}@example.com" for number in range(3)]
    results = (await api.ask(INVITE, {"emails": emails}, token=await api_key(ApiKeyScope.USERS)))["inviteUsers"]
    assert [bool(result["user"]) for result in results] == [True, True, False]
    assert results[2]["error"].startswith("SEAT_LIMIT_REACHED: ")


async def test_more_than_200_are_refused_as_a_whole(api: Api) -> None:
    token = await admin_token()
    many = [f"{number}@example.com" for number in range(201)]
    assert await api.error_code(INVITE, {"emails": many}, token=token) == "BAD_USER_INPUT"
    for name in ("deactivateUsers", "reactivateUsers"):
        assert await api.error_code(CHANGE.format(name), {"ids": many}, token=token) == "BAD_USER_INPUT"
    assert await count("users") == 1


async def test_many_admins_are_invited_by_an_admin_in_person_alone(api: Api) -> None:
    asked = {"emails": ["boss2@example.com", "boss3@example.com"], "role": "ADMIN"}
    assert await api.error_code(INVITE, asked, token=await api_key()) == "FORBIDDEN"
    results = (await api.ask(INVITE, asked, token=await admin_token()))["inviteUsers"]
    assert [result["user"]["role"] for result in results] == ["ADMIN", "ADMIN"]


async def test_admin_among_many_is_one_error_for_a_key_and_none_in_person(api: Api) -> None:
    key, token = await api_key(ApiKeyScope.USERS), await admin_token()
    boss, ada, grace = await admin("b@example.com"), await member("ada@example.com"), await member("g@example.com")
    ids = [ada.id, boss.id, "nobody", grace.id]
    results = (await api.ask(CHANGE.format("deactivateUsers"), {"ids": ids}, token=key))["deactivateUsers"]
    assert [result["id"] for result in results] == ids
    assert [result["error"] and result["error"].split(":")[0] for result in results] == [
        None,
        "FORBIDDEN",
        "NOT_FOUND",
        None,
    ]
    assert [result["user"] and result["user"]["status"] for result in results] == [
        "DEACTIVATED",
        None,
        None,
        "DEACTIVATED",
    ]
    assert (await user(boss.id)).status is UserStatus.ACTIVE

    await api.ask(CHANGE.format("deactivateUsers"), {"ids": [boss.id]}, token=token)
    assert (await user(boss.id)).status is UserStatus.DEACTIVATED
    results = (await api.ask(CHANGE.format("reactivateUsers"), {"ids": ids}, token=token))["reactivateUsers"]
    assert [bool(result["user"]) for result in results] == [True, True, False, True]
    assert (await user(boss.id)).status is UserStatus.ACTIVE
