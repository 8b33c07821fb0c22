"""Email login over GraphQL: what is data, what is an error, and who may do what (contract §4)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from service.accounts.seats import set_seat_limit
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.clock import now
from service.email_login.configuration import read_configuration, update_configuration
from service.email_login.models import SignUpMode
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import TESTER, admin, count, enable, member, open_for, user
from tests.clients import Api
from tests.email_login.dependencies import open_to_anyone, queued_mails, wrong

ASK = """mutation ($email: String!) { requestEmailCode(email: $email) {
  __typename
  ... on EmailCodeRequest { id expiresAt resendAfter }
  ... on SignInError { code message reference retryAfterSeconds }
} }"""
EXCHANGE = """mutation ($request: ID!, $code: String!) { exchangeEmailCode(requestId: $request, code: $code) {
  __typename
  ... on SessionGrant { token newUser session { method adminRights current expiresAt } user { id email origin role } accessToken { token } }
  ... on SignInError { code message reference retryAfterSeconds }
} }"""
UPDATE = "mutation { updateEmailLogin%s { enabled signUp } }"
INVITE = "mutation ($email: String!, $role: UserRole! = MEMBER) { inviteUser(email: $email, role: $role) { id email origin role } }"
SETTINGS = "{ authentication { emailLogin { enabled signUp } } }"


async def asked(api: Api, email: str = "ada@example.com") -> Any:
    return (await api.ask(ASK, {"email": email}))["requestEmailCode"]


async def exchanged(api: Api, request_id: str, code: str, **how: Any) -> Any:
    return (await api.ask(EXCHANGE, {"request": request_id, "code": code}, **how))["exchangeEmailCode"]


async def last_code(instance: Instance) -> str:
    return (await queued_mails(instance))[-1].secret


async def admin_token() -> str:
    return (await open_for(await admin())).token


async def key(scope: ApiKeyScope) -> str:
    return (await create_api_key("tests", scope, None, TESTER)).token


async def test_code_becomes_a_session(api: Api, instance: Instance) -> None:
    boss = await admin("boss@example.com")
    request = await asked(api, "Boss@Example.com")
    assert request["__typename"] == "EmailCodeRequest"
    assert datetime.fromisoformat(request["expiresAt"]) - now() == pytest.approx(
        timedelta(minutes=10), abs=timedelta(seconds=5)
    )
    assert now() < datetime.fromisoformat(request["resendAfter"]) < datetime.fromisoformat(request["expiresAt"])
    result = await exchanged(api, request["id"], await last_code(instance))
    assert result["user"] == {"id": boss.id, "email": "boss@example.com", "origin": "INVITATION", "role": "ADMIN"}
    assert result["session"]["method"] == "EMAIL"
    assert result["session"]["adminRights"] is True
    assert result["session"]["current"] is True
    assert result["newUser"] is False
    assert result["accessToken"]["token"]
    viewer = await api.ask("{ viewer { id } }", token=result["token"])
    assert viewer == {"viewer": {"id": boss.id}}


async def test_exchange_opens_a_new_session_also_beside_one(api: Api, instance: Instance) -> None:
    await member("ada@example.com")
    token = None
    tokens = set()
    for _ in range(2):
        request = await asked(api)
        token = (await exchanged(api, request["id"], await last_code(instance), token=token))["token"]
        tokens.add(token)
    assert len(tokens) == await count("sessions") == 2


async def test_graphql_sets_no_cookie(api: Api, instance: Instance) -> None:
    await member("ada@example.com")
    request = await asked(api)
    response = await api.send(EXCHANGE, {"request": request["id"], "code": await last_code(instance)})
    assert "set-cookie" not in response.headers


async def test_first_sign_in_makes_the_user_where_anyone_may(api: Api, instance: Instance) -> None:
    await open_to_anyone()
    request = await asked(api)
    result = await exchanged(api, request["id"], await last_code(instance))
    assert result["newUser"] is True
    assert result["user"]["origin"] == "EMAIL"
    assert result["user"]["id"].startswith("usr_")


async def test_wrong_code_is_data(api: Api, instance: Instance) -> None:
    request = await asked(api)
    for request_id, code in ((request["id"], wrong(await last_code(instance))), ("unknown", "123456"), ("", "")):
        error = await exchanged(api, request_id, code)
        assert (error["__typename"], error["code"], error["retryAfterSeconds"]) == (
            "SignInError",
            "INVALID_EMAIL_CODE",
            None,
        )
        assert error["message"] == "This code is not right, or no longer valid. Check it, or request a new one."
        assert len(error["reference"]) == 10


async def test_full_instance_is_data(api: Api, instance: Instance) -> None:
    await open_to_anyone()
    await set_seat_limit(0, TESTER)
    request = await asked(api)
    assert (await exchanged(api, request["id"], await last_code(instance)))["code"] == "SEAT_LIMIT_REACHED"


async def test_too_many_requests_are_data_with_retry_after(api: Api) -> None:
    for _ in range(5):
        assert (await asked(api))["__typename"] == "EmailCodeRequest"
    response = await api.send(ASK, {"email": "ada@example.com"})
    error = response.json()["data"]["requestEmailCode"]
    assert (response.status_code, error["code"]) == (200, "TOO_MANY_ATTEMPTS")
    assert response.headers["retry-after"] == str(error["retryAfterSeconds"])
    assert 3500 < error["retryAfterSeconds"] <= 3600


async def test_what_is_no_address_is_an_error(api: Api) -> None:
    for email in ("nobody", "", "a\u0000@example.com"):
        assert await api.error_code(ASK, {"email": email}) == "BAD_USER_INPUT"


async def test_while_it_is_off_both_answer_so(api: Api) -> None:
    await update_configuration(TESTER, enabled=False)
    assert (await asked(api))["code"] == "EMAIL_LOGIN_DISABLED"
    assert (await exchanged(api, "x", "1"))["code"] == "EMAIL_LOGIN_DISABLED"
    assert await count("email_codes") == await count("email_code_allowances") == 0


async def test_methods_are_told_to_anyone_email_first(api: Api, instance: Instance) -> None:
    async def methods() -> Any:
        return (await api.ask("{ signInMethods }"))["signInMethods"]

    assert await methods() == ["EMAIL"]
    await enable(instance)
    assert await methods() == ["EMAIL", "EXTERNAL_JWT"]
    await update_configuration(TESTER, enabled=False)
    assert await methods() == ["EXTERNAL_JWT"]
    await secrets.disable(TESTER)
    assert await methods() == []


async def test_admin_changes_what_is_given(api: Api) -> None:
    token = await admin_token()
    changes = [
        ("(enabled: false)", {"enabled": False, "signUp": "INVITATION"}),
        ("(signUp: OPEN)", {"enabled": False, "signUp": "OPEN"}),
        ("", {"enabled": False, "signUp": "OPEN"}),
        ("(enabled: true, signUp: INVITATION)", {"enabled": True, "signUp": "INVITATION"}),
    ]
    for given, after in changes:
        assert await api.ask(UPDATE % given, token=token) == {"updateEmailLogin": after}
        assert await api.ask(SETTINGS, token=token) == {"authentication": {"emailLogin": after}}


@pytest.mark.parametrize("given", ["(enabled: null)", "(signUp: null)", "(enabled: false, signUp: null)"])
async def test_nothing_of_it_can_be_null(api: Api, given: str) -> None:
    assert await api.error_code(UPDATE % given, token=await admin_token()) == "BAD_USER_INPUT"
    configuration = await read_configuration()
    assert (configuration.enabled, configuration.sign_up) == (True, SignUpMode.INVITATION)


async def test_nothing_of_it_can_be_null_in_a_variable(api: Api) -> None:
    document = "mutation ($on: Boolean) { updateEmailLogin(enabled: $on) { enabled } }"
    token = await admin_token()
    assert await api.error_code(document, {"on": None}, token=token) == "BAD_USER_INPUT"
    assert await api.ask(document, {}, token=token) == {"updateEmailLogin": {"enabled": True}}


async def test_only_admins_in_person_switch_it_off_and_keys_change_the_rest(api: Api) -> None:
    change = UPDATE % "(enabled: false)"
    assert await api.error_code(change) == "UNAUTHENTICATED"
    assert await api.error_code(change, token="dcs_unknown") == "UNAUTHENTICATED"
    person = await member("ada@example.com")
    boss = await admin()
    not_admins = [
        (await open_for(person)).token,
        (await open_for(boss, SignInMethod.EXTERNAL_JWT)).token,
        (await open_for(boss, SignInMethod.EMAIL, TokenTransport.COOKIE)).token,
        *[await key(scope) for scope in ApiKeyScope],
    ]
    for token in not_admins:
        assert await api.error_code(change, token=token) == "FORBIDDEN"
    assert (await read_configuration()).enabled
    assert await api.ask(change, token=(await open_for(boss)).token) == {
        "updateEmailLogin": {"enabled": False, "signUp": "INVITATION"}
    }
    assert await api.ask(UPDATE % "(enabled: true, signUp: OPEN)", token=await key(ApiKeyScope.ADMIN)) == {
        "updateEmailLogin": {"enabled": True, "signUp": "OPEN"}
    }


async def test_settings_are_read_by_admins_and_any_key(api: Api) -> None:
    assert await api.error_code(SETTINGS) == "UNAUTHENTICATED"
    assert await api.error_code(SETTINGS, token=(await open_for(await member("ada@example.com"))).token) == "FORBIDDEN"
    assert await api.ask(SETTINGS, token=await key(ApiKeyScope.READ))


async def test_inviting_sends_a_mail(api: Api, instance: Instance) -> None:
    answer = await api.ask(INVITE, {"email": "Ada@Example.com"}, token=await admin_token())
    invited = answer["inviteUser"]
    assert (invited["email"], invited["origin"], invited["role"]) == ("ada@example.com", "INVITATION", "MEMBER")
    [queued_mail] = await queued_mails(instance)
    assert queued_mail.email == "ada@example.com"
    assert "/invitation?token=" in queued_mail.secret
    assert (await user(invited["id"])).email == "ada@example.com"


async def test_admins_are_invited_by_admins_in_person(api: Api, instance: Instance) -> None:
    invitation = {"email": "second@example.com", "role": "ADMIN"}
    assert await api.error_code(INVITE, invitation, token=await key(ApiKeyScope.ADMIN)) == "FORBIDDEN"
    assert await queued_mails(instance) == []
    await api.ask(INVITE, invitation, token=await admin_token())
    assert "/admin/invitation?token=" in (await queued_mails(instance))[0].secret


async def test_refused_invitation_sends_nothing(api: Api, instance: Instance) -> None:
    token = await admin_token()
    await member("ada@example.com")
    assert await api.error_code(INVITE, {"email": "ada@example.com"}, token=token) == "CONFLICT"
    assert await api.error_code(INVITE, {"email": "nobody"}, token=token) == "BAD_USER_INPUT"
    await set_seat_limit(2, TESTER)
    assert await api.error_code(INVITE, {"email": "grace@example.com"}, token=token) == "SEAT_LIMIT_REACHED"
    assert await queued_mails(instance) == []
