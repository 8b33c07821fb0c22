"""Critical changes need an admin whose sign-in, or last email code, is at most 15 minutes old. API keys are not asked."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from service.accounts.administration import update_user
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.authority import PROOF_LIFETIME
from service.clock import now
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.lifecycle import find_session, record_proof
from tests.actions import TESTER, admin, enable, everything, member, open_for
from tests.clients import Api

CRITICAL = {
    "rotateJwtSecret": "mutation { rotateJwtSecret { secret } }",
    "enableJwtAuth": "mutation { enableJwtAuth { secret } }",
    "revokeJwtSecret": 'mutation { revokeJwtSecret(id: "SECRET") { enabled } }',
    "createApiKey": 'mutation { createApiKey(name: "x") { token } }',
    "setUserRole": 'mutation { setUserRole(id: "USER", role: ADMIN) { role } }',
    "createSignInLink": 'mutation { createSignInLink(userId: "USER") { link } }',
    "inviteUser": 'mutation { inviteUser(email: "new@example.com", role: ADMIN) { id } }',
}
BY_KEY = ("rotateJwtSecret", "enableJwtAuth", "revokeJwtSecret")
OTHER = [
    "mutation { disableJwtAuth { enabled } }",
    'mutation { inviteUser(email: "new@example.com") { id } }',
    'mutation { deactivateUser(id: "USER") { id } }',
    "{ users { totalCount } }",
]


async def document_of(instance: Instance, document: str) -> str:
    """The document, about a secret and a user that exist."""
    await enable(instance)
    [secret] = await secrets.list_secrets()
    ada = await update_user((await member("ada@example.com")).id, TESTER, external_id="crm-1")
    return document.replace("SECRET", secret.id).replace("USER", ada.id)


@pytest.mark.parametrize("name", CRITICAL)
async def test_old_sign_in_is_forbidden_and_says_what_to_do(api: Api, instance: Instance, name: str) -> None:
    document = await document_of(instance, CRITICAL[name])
    with time_machine.travel(now(), tick=False) as clock:
        token = (await open_for(await admin())).token
        clock.shift(PROOF_LIFETIME + timedelta(seconds=1))
        before = await everything()
        [error] = (await api.payload(document, token=token))["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert error["extensions"]["freshProofNeeded"] is True
        assert "Sign in again with `requestEmailCode`" in error["message"]
        after = await everything()
        assert {table for table in after if after[table] != before[table]} <= {"sessions", "users"}, "only last seen"
        clock.shift(-timedelta(seconds=1))
        assert await api.ask(document, token=token)


@pytest.mark.parametrize("name", CRITICAL)
async def test_proof_in_the_session_counts_like_a_sign_in(api: Api, instance: Instance, name: str) -> None:
    document = await document_of(instance, CRITICAL[name])
    with time_machine.travel(now(), tick=False) as clock:
        token = (await open_for(await admin())).token
        clock.shift(timedelta(minutes=40))
        session = await find_session(token)
        assert session
        await record_proof(session)
        assert await api.ask(document, token=token)


@pytest.mark.parametrize("document", OTHER)
async def test_other_operations_take_an_old_sign_in(api: Api, instance: Instance, document: str) -> None:
    document = await document_of(instance, document)
    with time_machine.travel(now(), tick=False) as clock:
        token = (await open_for(await admin())).token
        clock.shift(timedelta(minutes=40))
        assert await api.ask(document, token=token)


@pytest.mark.parametrize("name", BY_KEY)
async def test_api_keys_are_not_asked(api: Api, instance: Instance, name: str) -> None:
    document = await document_of(instance, CRITICAL[name])
    key = (await create_api_key("tests", ApiKeyScope.ADMIN, None, TESTER)).token
    with time_machine.travel(now() + timedelta(days=1)):
        assert await api.ask(document, token=key)


async def test_caller_without_rights_is_told_that_first(api: Api, instance: Instance) -> None:
    document = await document_of(instance, CRITICAL["rotateJwtSecret"])
    with time_machine.travel(now(), tick=False) as clock:
        token = (await open_for(await member("grace@example.com"))).token
        clock.shift(timedelta(minutes=40))
        error: Any = (await api.payload(document, token=token))["errors"][0]
        assert "freshProofNeeded" not in error["extensions"]
