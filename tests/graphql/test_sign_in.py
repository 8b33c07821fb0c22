"""The exchange as a frontend calls it: grants and refusals as data, on one status, with the headers that belong to them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts.seats import set_seat_limit
from service.external_auth import secrets
from service.instance import Instance
from tests.actions import ADDRESS, TESTER, admin, code_of, count, enable, open_for, rows
from tests.clients import Api
from tests.hostile.codes import HOSTILE
from tests.hostile.forging import forge
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXCHANGE = """
mutation($code: String!, $lifetime: Int) {
  exchangeExternalAuthCode(externalAuthCode: $code, lifetimeSeconds: $lifetime) {
    __typename
    ... on SessionGrant {
      token newUser
      session { id method createdAt expiresAt lastSeenAt ipAddress userAgent current adminRights user { id } }
      user { id externalId email metadata origin role status createdAt lastSeenAt }
    }
    ... on SignInError { code message reference retryAfterSeconds }
  }
}"""


async def exchanged(api: Api, code: str, lifetime: int | None = None, **how: str) -> dict[str, object]:
    variables = {"code": code, "lifetime": lifetime} if lifetime is not None else {"code": code}
    data = await api.ask(EXCHANGE, variables, headers={"User-Agent": "tests"}, **how)
    answer: dict[str, object] = data["exchangeExternalAuthCode"]
    return answer


async def test_grant_says_everything_of_session_and_user(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        result = await exchanged(
            api, code_of(secret, {"user": {"id": "crm-42", "email": "Ada@example.com", "n": 2**70, "t": "a\0\u00e9"}})
        )
    token, session = result.pop("token"), result.pop("session")
    assert isinstance(session, dict)
    assert isinstance(token, str)
    assert session.pop("id") == (await rows("sessions"))[0]["id"]
    assert result == {
        "__typename": "SessionGrant",
        "newUser": True,
        "user": {
            "id": "crm-42",
            "externalId": "crm-42",
            "email": "ada@example.com",
            "metadata": {"n": 2**70, "t": "a\0\u00e9"},
            "origin": "EXTERNAL_JWT",
            "role": "MEMBER",
            "status": "ACTIVE",
            "createdAt": "2030-01-01T12:00:00Z",
            "lastSeenAt": "2030-01-01T12:00:00Z",
        },
    }
    assert session == {
        "method": "EXTERNAL_JWT",
        "createdAt": "2030-01-01T12:00:00Z",
        "expiresAt": "2030-01-08T12:00:00Z",
        "lastSeenAt": "2030-01-01T12:00:00Z",
        "ipAddress": ADDRESS,
        "userAgent": "tests",
        "current": True,
        "adminRights": False,
        "user": {"id": "crm-42"},
    }


async def test_second_exchange_with_the_session_continues_it(api: Api, instance: Instance) -> None:
    code = code_of(await enable(instance), {"user": {"id": "crm-42"}})
    first = await exchanged(api, code)
    again = await exchanged(api, code, token=str(first["token"]))
    assert (again["token"], again["newUser"]) == (first["token"], False)
    without = await exchanged(api, code)
    assert without["token"] != first["token"]
    assert await count("sessions") == 2


async def test_seed_examples_work(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    seconds = int(datetime.now(UTC).timestamp())
    first = await exchanged(
        api,
        code_of(
            secret,
            {"user": {"id": 1234, "email": "email@example.com", "other": 1}, "iat": seconds, "exp": seconds + 604_800},
        ),
    )
    assert first["newUser"] is True
    for claims in ({"email": "email@example.com"}, {"id": 1234}):
        again = await exchanged(api, code_of(secret, {**claims, "iat": seconds, "exp": seconds + 604_800}))
        user = again["user"]
        assert isinstance(user, dict)
        assert (user["id"], user["metadata"], again["newUser"]) == ("1234", {"other": 1}, False)


async def test_refusal_is_data_with_a_reference_that_stands_in_the_log_and_in_the_audit_log(
    api: Api, instance: Instance, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = await enable(instance)
    answer = await exchanged(api, code_of(secret, {"id": "nobody"}))
    assert answer["__typename"] == "SignInError"
    assert answer["code"] == "UNKNOWN_USER"
    assert answer["retryAfterSeconds"] is None
    reference = str(answer["reference"])
    assert [row["reference"] for row in await rows("audit_events", "WHERE action = 'sign_in.refused'")] == [reference]
    assert reference in caplog.text + "".join(capfd.readouterr())
    assert await count("sessions") == 0


async def test_every_refusal_comes_with_words_for_a_person(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    await set_seat_limit(0, TESTER)
    for code, expected in (
        ("", "MALFORMED_CODE"),
        (code_of("x" * 43, {"id": 1}), "INVALID_SIGNATURE"),
        (code_of(secret, {"id": 1, "exp": 1}), "CODE_EXPIRED"),
        (code_of(secret, {"id": 1, "nbf": 1e10}), "CODE_NOT_YET_VALID"),
        (code_of(secret, {}), "INVALID_CLAIMS"),
        (code_of(secret, {"id": 1}), "UNKNOWN_USER"),
        (code_of(secret, {"user": {"id": 1}}), "SEAT_LIMIT_REACHED"),
    ):
        answer = await exchanged(api, code)
        assert answer["code"] == expected
        assert len(str(answer["message"])) > 20
        assert code not in str(answer["message"]) or not code
    await secrets.disable(TESTER)
    assert (await exchanged(api, code_of(secret, {"id": 1})))["code"] == "EXTERNAL_AUTH_DISABLED"


async def test_every_hostile_code_is_answered_as_the_table_says(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    for hostile in HOSTILE:
        code = hostile.make(secret)
        response = (
            await api.http.post(
                "/graphql",
                json={"query": EXCHANGE, "variables": {"code": code}},
            )
            if _can_be_sent(code)
            else None
        )
        if response is None:
            continue
        if response.status_code == 413:
            assert len(code) > 60_000
            continue
        answer = response.json()["data"]["exchangeExternalAuthCode"]
        told = answer.get("code")
        if told != "TOO_MANY_ATTEMPTS":
            assert told == hostile.expected, hostile.name
        else:
            assert hostile.expected == "INVALID_SIGNATURE"


async def test_shorter_session_can_be_asked_for_and_no_length_is_an_error(api: Api, instance: Instance) -> None:
    code = code_of(await enable(instance), {"user": {"id": "crm-42"}})
    with time_machine.travel(NOON, tick=False):
        session = (await exchanged(api, code, 60))["session"]
        assert isinstance(session, dict)
        assert session["expiresAt"] == "2030-01-01T12:01:00Z"
    for lifetime in (0, -5):
        assert await api.error_code(EXCHANGE, {"code": code, "lifetime": lifetime}) == "BAD_USER_INPUT"
    assert await count("sessions") == 1


async def test_null_lifetime_is_as_good_as_none(api: Api, instance: Instance) -> None:
    code = code_of(await enable(instance), {"user": {"id": "crm-42"}})
    data = await api.ask(EXCHANGE, {"code": code, "lifetime": None})
    assert data["exchangeExternalAuthCode"]["__typename"] == "SessionGrant"


@pytest.mark.parametrize("environ", [{"DOORCODE_FAILED_SIGN_INS": "2/hour"}], indirect=True)
async def test_too_many_attempts_is_data_on_status_200_with_retry_after(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    bad = code_of("x" * 43, {"user": {"id": "crm-42"}})
    for _ in range(2):
        assert (await exchanged(api, bad))["code"] == "INVALID_SIGNATURE"
    response = await api.send(EXCHANGE, {"code": bad})
    answer = response.json()["data"]["exchangeExternalAuthCode"]
    assert response.status_code == 200
    assert answer["code"] == "TOO_MANY_ATTEMPTS"
    assert response.headers["retry-after"] == str(answer["retryAfterSeconds"])
    assert timedelta(minutes=58) < timedelta(seconds=answer["retryAfterSeconds"]) <= timedelta(hours=1)
    assert (await exchanged(api, code_of(secret, {"user": {"id": "crm-42"}})))["newUser"] is True


async def test_access_token_is_signed_only_where_it_is_selected(api: Api, instance: Instance) -> None:
    code = code_of(await enable(instance), {"user": {"id": "crm-42"}})
    await exchanged(api, code)
    async with noted_statements() as noted:
        await exchanged(api, code)
    assert not [statement for statement in noted if "signing_keys" in statement]
    document = "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){... on SessionGrant{accessToken{token expiresAt}}}}"
    async with noted_statements() as noted:
        data = await api.ask(document, {"code": code})
    assert len([statement for statement in noted if "signing_keys" in statement]) == 1
    assert data["exchangeExternalAuthCode"]["accessToken"]["token"].count(".") == 2


async def test_methods_that_are_on_are_told_to_anyone(api: Api, instance: Instance) -> None:
    assert await api.ask("{signInMethods}") == {"signInMethods": ["EMAIL"]}
    await enable(instance)
    assert set((await api.ask("{signInMethods}"))["signInMethods"]) == {"EMAIL", "EXTERNAL_JWT"}
    await secrets.disable(TESTER)
    assert await api.ask("{signInMethods}") == {"signInMethods": ["EMAIL"]}


@pytest.fixture
def environ(environ: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    """With what a test's parameter adds to it."""
    return {**environ, **getattr(request, "param", {})}


def _can_be_sent(code: str) -> bool:
    """Whether a program can send it in UTF-8 at all."""
    try:
        code.encode()
    except UnicodeEncodeError:
        return False
    return True


async def test_inspection_of_any_code_is_answered_in_strict_json(api: Api, instance: Instance) -> None:
    """Also of numbers and texts that JSON can spell and few programs can hold."""
    secret = await enable(instance)
    document = "query($code:String!){inspectExternalAuthCode(externalAuthCode:$code){accepted errorCode message header claims checks{name passed detail}}}"
    odd = forge(
        secret, b'{"id":"x","infinite":[1e400,-1e400],"large":' + b"9" * 400 + b',"half":"\\ud800","\\udc00":1}'
    )
    token = (await open_for(await admin())).token
    for code in [odd, *(hostile.make(secret) for hostile in HOSTILE)]:
        if not _can_be_sent(code) or len(code) > 60_000:
            continue
        response = await api.send(document, {"code": code}, token=token)
        found = json.loads(response.text, parse_constant=_refuse)["data"]["inspectExternalAuthCode"]
        assert found["accepted"] is (found["errorCode"] is None)
        assert len(found["checks"]) >= 9
    data = await api.ask(document, {"code": odd}, token=token)
    claims = data["inspectExternalAuthCode"]["claims"]
    assert claims == {"id": "x", "infinite": [None, None], "large": int("9" * 400), "half": "\ud800", "\udc00": 1}


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
