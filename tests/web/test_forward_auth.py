"""`/verify`, on both databases: who is told to be signed in, and in which headers."""

import json
from urllib.parse import quote, unquote

import pytest

from service.accounts.administration import deactivate_user
from service.accounts.groups import set_user_groups
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.credentials import cookie_name
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.administration import end_user_sessions
from service.sessions.models import TokenTransport
from tests.actions import TESTER, code_of, enable, member, open_for, set_policy, sign_in, user
from tests.clients import Api

HEADERS = ["x-auth-user-id", "x-auth-email", "x-auth-origin", "x-auth-session-id", "x-auth-groups"]


async def ask(api: Api, **headers: str) -> tuple[int, dict[str, str]]:
    """The status, and the headers about the user."""
    response = await api.http.get("/verify", headers=headers)
    assert response.content == b""
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, {name: value for name, value in response.headers.items() if name.startswith("x-auth")}


def cookie(instance: Instance, token: str, token_transport: TokenTransport = TokenTransport.COOKIE) -> dict[str, str]:
    return {"Cookie": f"{cookie_name(instance.settings, token_transport)}={token}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_session_by_cookie_is_told_of(api: Api, instance: Instance) -> None:
    claims = {"user": {"id": "crm-42", "email": "ana@example.com"}}
    result = await sign_in(instance, code_of(await enable(instance), claims), token_transport=TokenTransport.COOKIE)

    assert await ask(api, **cookie(instance, result.token)) == (
        200,
        {
            "x-auth-user-id": "crm-42",
            "x-auth-email": "ana@example.com",
            "x-auth-origin": "EXTERNAL_JWT",
            "x-auth-session-id": result.session.id,
            "x-auth-groups": "",
        },
    )


async def test_address_that_is_only_claimed_is_not_told(api: Api, instance: Instance) -> None:
    """An application that finds its account by email would hand the account to a stranger."""
    claims = {"user": {"id": "crm-42", "email": "ana@example.com", "email_verified": False}}
    result = await sign_in(instance, code_of(await enable(instance), claims), token_transport=TokenTransport.COOKIE)
    _, told = await ask(api, **cookie(instance, result.token))
    assert (told["x-auth-user-id"], told["x-auth-email"]) == ("crm-42", "")


async def test_groups_and_shared_metadata_are_told_as_they_are_now(api: Api, instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(groups_member="groups", shared_metadata=["plan", "seats", "missing"])
    claims = {"user": {"id": "crm-42", "groups": ["b,c", "ä"], "plan": "gold é%", "seats": [1, 2], "secret": "s"}}
    result = await sign_in(instance, code_of(secret, claims))

    _, told = await ask(api, **bearer(result.token))

    assert told["x-auth-groups"] == "b%2Cc,%C3%A4"
    assert told["x-auth-meta-plan"] == "gold%20%C3%A9%25"
    assert json.loads(unquote(told["x-auth-meta-seats"])) == [1, 2]
    assert told["x-auth-meta-missing"] == "", "it replaces a header that a client forged"
    assert "x-auth-meta-secret" not in told
    await set_user_groups("crm-42", ["a"], TESTER)
    await set_policy(shared_metadata=[])
    _, told = await ask(api, **bearer(result.token))
    assert told["x-auth-groups"] == "a,b%2Cc,%C3%A4"
    assert not [name for name in told if name.startswith("x-auth-meta")]


async def test_session_by_bearer_is_told_of(api: Api) -> None:
    person = await member("ana@example.com")
    opened = await open_for(person)

    status, told = await ask(api, **bearer(opened.token))

    assert (status, told["x-auth-user-id"], told["x-auth-origin"]) == (200, person.id, "INVITATION")


async def test_headers_are_percent_encoded_utf8(api: Api, instance: Instance) -> None:
    user_id, email = "zoë/100% \U0001f511", "zoë+shop@bücher.example"
    claims = {"user": {"id": user_id, "email": email}}
    result = await sign_in(instance, code_of(await enable(instance), claims))

    _, told = await ask(api, **bearer(result.token))

    assert told["x-auth-user-id"] == "zo%C3%AB%2F100%25%20%F0%9F%94%91"
    assert unquote(told["x-auth-user-id"]) == user_id
    assert told["x-auth-email"] == "zo%C3%AB%2Bshop@xn--bcher-kva.example"


async def test_user_without_email_has_an_empty_header(api: Api, instance: Instance) -> None:
    """A header that is missing would leave a forged one where it is."""
    result = await sign_in(instance, code_of(await enable(instance), {"user": {"id": "crm-42"}}))

    status, told = await ask(api, **bearer(result.token))

    assert (status, sorted(told), told["x-auth-email"]) == (200, sorted(HEADERS), "")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://app.example.com"},
        {"Origin": "null"},
    ],
)
async def test_cookie_counts_wherever_the_request_comes_from(
    api: Api, instance: Instance, metadata: dict[str, str]
) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE)

    status, _ = await ask(api, **cookie(instance, opened.token), **metadata)

    assert status == 200


async def test_nobody_is_signed_in(api: Api) -> None:
    response = await api.http.get("/verify")

    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"] == "Bearer"
    assert not [name for name in response.headers if name.startswith("x-auth")]


@pytest.mark.parametrize(
    "token", ["", "nonsense", "dcs_" + "A" * 43, "dcs_\xff", "eyJhbGciOiJub25lIn0.e30.", "dcs_" + "x" * 9000]
)
async def test_any_other_token_is_nobodys(api: Api, instance: Instance, token: str) -> None:
    for headers in (bearer(token), cookie(instance, token)):
        encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        response = await api.http.get("/verify", headers=encoded)
        assert response.status_code == 401


async def test_bad_bearer_wins_over_a_good_cookie(api: Api, instance: Instance) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE)

    status, told = await ask(api, **cookie(instance, opened.token), **bearer("dcs_nobody"))

    assert (status, told) == (401, {})


async def test_other_schemes_leave_it_to_the_cookie(api: Api, instance: Instance) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE)

    status, _ = await ask(api, **cookie(instance, opened.token), Authorization="Basic YTpi")

    assert status == 200


async def test_admin_cookie_signs_in_to_the_panel_alone(api: Api, instance: Instance) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.ADMIN_COOKIE)

    assert await ask(api, **cookie(instance, opened.token, TokenTransport.ADMIN_COOKIE)) == (401, {})
    assert await ask(api, **cookie(instance, opened.token)) == (401, {})


async def test_api_key_is_no_person(api: Api) -> None:
    key = await create_api_key("machine", ApiKeyScope.ADMIN, None, TESTER)

    assert await ask(api, **bearer(key.token)) == (401, {})


async def test_what_ends_a_session_holds_for_the_next_request(api: Api, instance: Instance) -> None:
    secret = await enable(instance)

    async def signed_in(user_id: str) -> dict[str, str]:
        result = await sign_in(
            instance, code_of(secret, {"user": {"id": user_id}}), token_transport=TokenTransport.COOKIE
        )
        assert (await ask(api, **cookie(instance, result.token)))[0] == 200
        return cookie(instance, result.token)

    ana, ben, cyd = await signed_in("ana"), await signed_in("ben"), await signed_in("cyd")
    await end_user_sessions("ana", TESTER)
    await deactivate_user("ben", TESTER)
    assert [(await ask(api, **who))[0] for who in (ana, ben, cyd)] == [401, 401, 200]

    await secrets.disable(TESTER, end_sessions=True)
    assert (await ask(api, **cyd))[0] == 401


async def test_expired_session_is_nobodys(api: Api, instance: Instance) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE, lifetime=-1)

    assert await ask(api, **cookie(instance, opened.token)) == (401, {})


async def test_its_use_is_noted(api: Api, instance: Instance) -> None:
    person = await member("ana@example.com")
    assert person.last_seen_at is None
    opened = await open_for(person, token_transport=TokenTransport.COOKIE)

    await ask(api, **cookie(instance, opened.token))

    assert (await user(person.id)).last_seen_at is not None


@pytest.mark.parametrize("path", ["/verify", "/verify/", "/verify/orders/7", "/verify//a%2Fb?q=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_and_every_path_below_is_answered(
    api: Api, instance: Instance, method: str, path: str
) -> None:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE)

    signed_in = await api.http.request(method, path, headers=cookie(instance, opened.token))
    signed_out = await api.http.request(method, path)

    assert (signed_in.status_code, signed_out.status_code) == (200, 401)
    assert "x-auth-user-id" in signed_in.headers


async def test_a_path_beside_it_is_not_found(api: Api) -> None:
    assert (await api.http.get("/verifyx")).status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "asked_for"),
    [
        ("/verify", {}, "/"),
        ("/verify", {"X-Original-URI": "/a?b=1&c=%26"}, "/a?b=1&c=%26"),
        ("/verify", {"X-Forwarded-Uri": "/a?b=1&c=%26"}, "/a?b=1&c=%26"),
        ("/verify", {"X-Original-URI": "/a", "X-Forwarded-Uri": "/forged"}, "/a"),
        ("/verify/a/b?c=1&d=2", {}, "/a/b?c=1&d=2"),
        ("/verify/a%20b", {}, "/a%20b"),
        ("/verify", {"X-Original-URI": "//evil.example.net/"}, "/"),
        ("/verify", {"X-Original-URI": "https://evil.example.net/"}, "/"),
        ("/verify", {"X-Original-URI": ""}, "/"),
        ("/verify", {"X-Original-URI": "/a?" + "b" * 4_000}, "/a"),
    ],
)
async def test_answer_says_where_a_visitor_signs_in(
    api: Api, instance: Instance, path: str, headers: dict[str, str], asked_for: str
) -> None:
    response = await api.http.get(path, headers=headers)
    assert response.status_code == 401
    assert response.headers["location"] == f"{instance.settings.public_url}/login?returnTo={quote(asked_for, safe='')}"


async def test_answer_stays_short_enough_for_a_proxy(api: Api, instance: Instance) -> None:
    """nginx answers 500 if the headers do not fit its buffer of 4 KiB."""
    response = await api.http.get("/verify", headers={"X-Original-URI": "/" + "x" * 4_000})
    assert response.headers["location"] == f"{instance.settings.public_url}/login"
