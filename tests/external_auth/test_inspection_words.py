"""What an inspection says about a code, word for word."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from service.external_auth import secrets
from service.external_auth.inspection import inspect
from service.instance import Instance
from tests.actions import code_of, enable, set_policy, sign_in

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOON_SECONDS = int(NOON.timestamp())


async def details(instance: Instance, claims: dict[str, Any]) -> dict[str, str]:
    """The detail of each check of a code with these claims, at noon."""
    current = await secrets.current_secret(instance.cipher)
    assert current
    with time_machine.travel(NOON, tick=False):
        found = await inspect(code_of(current.text, claims), instance.external_auth)
    return {check.name: check.detail for check in found.checks}


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, "The code has no exp, nbf or iat. Without exp the code is valid until its secret is replaced."),
        ({"exp": NOON_SECONDS + 60}, "exp in 60 s (2026-11-20 12:01:00 UTC)."),
        (
            {"iat": NOON_SECONDS - 60, "exp": NOON_SECONDS + 60},
            "exp in 60 s (2026-11-20 12:01:00 UTC), iat 60 s ago (2026-11-20 11:59:00 UTC).",
        ),
    ],
)
async def test_times(instance: Instance, claims: dict[str, object], words: str) -> None:
    await enable(instance)
    assert (await details(instance, {"user": {"id": "ada"}, **claims}))["times"] == words


async def test_user(instance: Instance) -> None:
    await enable(instance)
    with_metadata = {"user": {"id": "ada", "email": "ada@example.com", "plan": "gold", "a b": 1}}
    assert (await details(instance, with_metadata))["claims"] == (
        "user with the ID 'ada', email ada@example.com (verified), metadata: plan, 'a b'."
    )
    assert (await details(instance, {"user": {"id": "ada"}}))["claims"] == (
        "user with the ID 'ada', email none, no metadata."
    )


async def test_policy(instance: Instance) -> None:
    await enable(instance)
    claims = {"user": {"id": "ada"}, "exp": NOON_SECONDS + 60, "iat": NOON_SECONDS, "jti": "1", "iss": "crm"}
    assert (await details(instance, claims))["policy"] == "The policy requires nothing more."
    await set_policy(require_expiry=True, max_lifetime_seconds=600, single_use=True, issuer="crm")
    assert (await details(instance, claims))["policy"] == (
        "Has what the policy requires: exp, a lifetime of at most 600 s, single use, the issuer 'crm'."
    )


async def test_used_code(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    code = code_of(secret, {"user": {"id": "ada"}, "exp": int(expires_at.timestamp()), "jti": "1"})
    await sign_in(instance, code)
    found = await inspect(code, instance.external_auth)
    [detail] = [check.detail for check in found.checks if check.name == "single use"]
    assert detail.startswith("A code with this jti has been used already.")


async def test_form_without_a_known_mistake_names_no_cause(instance: Instance) -> None:
    code = code_of(await enable(instance), {"user": {"id": "ada"}})
    found = await inspect(code.replace(".", "..", 1), instance.external_auth)
    [detail] = [check.detail for check in found.checks if not check.passed and check.detail][:1]
    assert "Likely cause" not in detail


@pytest.mark.parametrize(
    ("claims", "place"), [({"user": {"sub": "ada"}}, "into user.id."), ({"sub": "ada"}, "into user.id, id or email.")]
)
async def test_place_of_the_user_id(instance: Instance, claims: dict[str, object], place: str) -> None:
    await enable(instance)
    assert (await details(instance, claims))["claims"].endswith(place)
