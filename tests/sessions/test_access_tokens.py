"""Access tokens and their keys (contract §3): verified by an independent library with only the key set."""

import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
import time_machine

from service.audit.models import AuditEvent
from service.instance import Instance, open_instance
from service.sessions.access_tokens import (
    ensure_signing_keys,
    issue_access_token,
    published_keys,
    purge_signing_keys,
    rotate_signing_key,
)
from service.sessions.lifecycle import LiveSession, find_session
from service.sessions.models import SignInMethod, TokenTransport
from service.settings import load_settings
from tests.actions import ADDRESS, TESTER, admin, code_of, enable, everything, member, open_for, rows, sign_in

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ES256_CLAIMS = {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "email", "email_verified", "origin", "role", "groups"}


async def token_of(instance: Instance, session: LiveSession) -> str:
    return (await issue_access_token(session, instance.settings, instance.cipher)).token


async def verified(instance: Instance, token: str) -> dict[str, Any]:
    """As another service verifies it: by the `kid`, from the published set, with a library of its own."""
    keys = jwt.PyJWKSet.from_dict({"keys": await published_keys(instance.settings)})
    key = keys[jwt.get_unverified_header(token)["kid"]]
    required: Any = {"require": ["exp", "iat", "iss", "aud", "sub"]}
    claims: dict[str, Any] = jwt.decode(
        token, key, ["ES256"], audience="doorcode", issuer=instance.settings.public_url, options=required
    )
    return claims


async def test_token_says_who_is_signed_in_and_for_how_long(instance: Instance) -> None:
    secret = await enable(instance)
    result = await sign_in(instance, code_of(secret, {"user": {"id": "crm-42", "email": "ada@example.com"}}))
    moment = int(datetime.now(UTC).timestamp())
    issued = await issue_access_token(result.session, instance.settings, instance.cipher)
    claims = await verified(instance, issued.token)

    assert set(claims) == ES256_CLAIMS
    assert {name: claims[name] for name in ("iss", "aud", "sub", "sid", "email", "origin", "role")} == {
        "iss": "http://127.0.0.1:8000",
        "aud": "doorcode",
        "sub": "crm-42",
        "sid": result.session.id,
        "email": "ada@example.com",
        "origin": "EXTERNAL_JWT",
        "role": "MEMBER",
    }
    assert moment <= claims["iat"] <= moment + 5
    assert claims["exp"] - claims["iat"] == 600
    assert issued.expires_at == datetime.fromtimestamp(claims["exp"], UTC)
    assert jwt.get_unverified_header(issued.token)["alg"] == "ES256"


async def test_token_ends_no_later_than_its_session(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        result = await sign_in(instance, code_of(secret, {"user": {"id": "crm-42"}}), lifetime=5)
        issued = await issue_access_token(result.session, instance.settings, instance.cipher)
        claims = await verified(instance, issued.token)
    assert claims["exp"] - claims["iat"] == 5
    assert issued.expires_at == result.session.expires_at


async def test_two_tokens_of_one_session_differ_by_their_jti(instance: Instance) -> None:
    session = (await open_for(await member("grace@example.com"))).session
    first, second = [await verified(instance, await token_of(instance, session)) for _ in range(2)]
    assert first["jti"] != second["jti"]
    assert first["sid"] == second["sid"]


async def test_role_is_admin_only_with_admin_rights(instance: Instance) -> None:
    boss = await admin()
    for method, token_transport, role in (
        (SignInMethod.EMAIL, TokenTransport.BEARER, "ADMIN"),
        (SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE, "ADMIN"),
        (SignInMethod.EMAIL, TokenTransport.COOKIE, "MEMBER"),
        (SignInMethod.EXTERNAL_JWT, TokenTransport.BEARER, "MEMBER"),
    ):
        session = (await open_for(boss, method, token_transport)).session
        assert (await verified(instance, await token_of(instance, session)))["role"] == role


async def test_user_without_an_email_has_a_null_one(instance: Instance) -> None:
    secret = await enable(instance)
    result = await sign_in(instance, code_of(secret, {"user": {"id": "x"}}))
    assert (await verified(instance, await token_of(instance, result.session)))["email"] is None


async def test_operator_sets_audience_and_lifetime(settings: object, environ: dict[str, str]) -> None:
    named = load_settings({**environ, "DOORCODE_ACCESS_TOKEN_AUDIENCE": "chat", "DOORCODE_ACCESS_TOKEN_LIFETIME": "60"})
    async with open_instance(named) as instance:
        session = (await open_for(await member("grace@example.com"))).session
        claims = jwt.decode(await token_of(instance, session), options={"verify_signature": False})
    assert (claims["aud"], claims["exp"] - claims["iat"]) == ("chat", 60)


async def test_access_token_is_no_authority_here(instance: Instance) -> None:
    session = (await open_for(await admin())).session
    assert await find_session(await token_of(instance, session)) is None


# ---------------------------------------------------------------- keys


async def test_there_is_one_current_key_and_the_next_is_published_before_it_signs(instance: Instance) -> None:
    states = {row["state"]: row["kid"] for row in await rows("signing_keys")}
    assert set(states) == {"CURRENT", "NEXT"}
    published = await published_keys(instance.settings)
    assert {key["kid"] for key in published} == set(states.values())
    for key in published:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    session = (await open_for(await member("grace@example.com"))).session
    assert jwt.get_unverified_header(await token_of(instance, session))["kid"] == states["CURRENT"]


async def test_tokens_verify_through_rotations_until_they_expire(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        session = (await open_for(await member("grace@example.com"), lifetime=10**6)).session
        next_kid = next(row["kid"] for row in await rows("signing_keys") if row["state"] == "NEXT")
        known_before = {key["kid"] for key in await published_keys(instance.settings)}
        old = await token_of(instance, session)
        assert await rotate_signing_key(instance.cipher, TESTER) == next_kid
        new = await token_of(instance, session)
        assert jwt.get_unverified_header(new)["kid"] == next_kid
        assert next_kid in known_before, "a verifier with a cached set knows the key that signs now"
        await rotate_signing_key(instance.cipher, TESTER)
        clock.shift(599)
        await purge_signing_keys(instance.settings)
        for token in (old, new):
            assert (await verified(instance, token))["sub"]
        clock.shift(1)
        with pytest.raises(jwt.ExpiredSignatureError):
            await verified(instance, old)


async def test_retired_key_is_published_for_as_long_as_its_tokens_live_and_then_deleted(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        old = next(row["kid"] for row in await rows("signing_keys") if row["state"] == "CURRENT")
        await rotate_signing_key(instance.cipher, TESTER)
        clock.shift(600)
        assert old in {key["kid"] for key in await published_keys(instance.settings)}
        assert await purge_signing_keys(instance.settings) == 0
        clock.shift(86_400)
        assert old not in {key["kid"] for key in await published_keys(instance.settings)}
        assert await purge_signing_keys(instance.settings) == 1
    assert sorted(row["state"] for row in await rows("signing_keys")) == ["CURRENT", "NEXT"]


async def test_rotating_is_one_event_that_names_the_key(instance: Instance) -> None:
    kid = await rotate_signing_key(instance.cipher, TESTER)
    events = await AuditEvent.filter(action="signing_key.rotated")
    assert [(event.actor, event.ip_address, json.loads(event.detail)) for event in events] == [
        ("tester", ADDRESS, {"kid": kid, "leaked": False})
    ]


async def test_private_keys_are_encrypted_at_rest(instance: Instance) -> None:
    await rotate_signing_key(instance.cipher, TESTER)
    written = repr(await everything())
    assert "PRIVATE KEY" not in written
    for row in await rows("signing_keys"):
        pem = instance.cipher.decrypt(row["encrypted_private_key"])
        assert "PRIVATE KEY" in pem
        assert not set(json.loads(row["public_jwk"])) & {"d", "k"}


async def test_keys_that_are_there_are_not_made_again(instance: Instance) -> None:
    before = sorted(row["kid"] for row in await rows("signing_keys"))
    await ensure_signing_keys(instance.cipher)
    assert sorted(row["kid"] for row in await rows("signing_keys")) == before


async def test_rotating_at_once_promotes_each_key_once(instance: Instance) -> None:
    import asyncio

    kids = await asyncio.gather(*(rotate_signing_key(instance.cipher, TESTER) for _ in range(6)))
    assert len(set(kids)) == 6
    states = sorted(row["state"] for row in await rows("signing_keys"))
    assert states == ["CURRENT", "NEXT"] + ["RETIRED"] * 6
