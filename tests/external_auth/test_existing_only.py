"""The policy EXISTING_ONLY: codes create no user (contract §3)."""

from typing import Any

import pytest

from service.accounts.creation import create_user
from service.external_auth.inspection import inspect
from service.external_auth.policy import EmailLinking, Provisioning
from service.instance import Instance
from tests.actions import (
    HASHES,
    TESTER,
    answer_to,
    code_of,
    count,
    enable,
    member,
    refusal_of,
    set_policy,
    sign_in,
    user,
)


@pytest.mark.parametrize(
    "claims",
    [
        {"id": "new"},
        {"id": "new", "email": "taken@example.com"},
        {"id": "new", "email": "no address"},
        {"id": "usr_1"},
    ],
    ids=["new", "email taken", "malformed email", "reserved"],
)
async def test_unknown_id_is_unknown_user(instance: Instance, claims: dict[str, Any]) -> None:
    secret = await enable(instance)
    await member("taken@example.com")
    await set_policy(provisioning=Provisioning.EXISTING_ONLY)
    code = code_of(secret, {"user": claims})
    refused = await refusal_of(instance, code)
    assert (refused.code, refused.cause) == ("UNKNOWN_USER", "the policy admits existing users only")
    assert await count("users") == 1
    inspection = await inspect(code, instance.external_auth)
    assert inspection.refusal
    assert inspection.refusal.code == "UNKNOWN_USER"
    assert any("The policy admits existing users only." in check.detail for check in inspection.checks)


async def test_known_users_are_signed_in_and_updated(instance: Instance) -> None:
    secret = await enable(instance)
    await create_user("ada", TESTER, HASHES)
    await set_policy(provisioning=Provisioning.EXISTING_ONLY)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com", "plan": "gold"}}))
    assert (await user("ada")).email == "ada@example.com"
    assert await answer_to(instance, code_of(secret, {"id": "ada"})) is None


async def test_invited_user_is_still_linked(instance: Instance) -> None:
    secret = await enable(instance)
    invited = await member("ada@example.com")
    await set_policy(provisioning=Provisioning.EXISTING_ONLY, email_linking=EmailLinking.LINK)
    code = code_of(secret, {"user": {"id": "crm-1", "email": "ada@example.com"}})
    assert (await sign_in(instance, code)).session.user.id == invited.id
    other = code_of(secret, {"user": {"id": "crm-2", "email": "ada@example.com"}})
    assert await answer_to(instance, other) == "UNKNOWN_USER"
    assert await count("users") == 1
