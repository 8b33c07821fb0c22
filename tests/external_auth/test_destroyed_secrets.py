"""The text of a secret is destroyed 30 days after its end. Its ID and its times stay, to explain codes that name it."""

from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet

from service.clock import now
from service.encryption import KEY_FILE, Cipher
from service.external_auth import secrets
from service.external_auth.inspection import inspect
from service.external_auth.models import JwtSecret
from service.external_auth.secrets import destroy_ended_secrets, is_destroyed
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from tests.actions import TESTER, answer_to, code_of, enable

CODE = {"user": {"id": "crm-42"}}
BAD_SIGNATURE = SignInErrorCode.INVALID_SIGNATURE


async def texts() -> list[bool]:
    """Whether each secret still has its text, newest first."""
    return [not is_destroyed(row) for row in await secrets.list_secrets()]


async def detail(instance: Instance, code: str) -> str:
    found = await inspect(code, instance.external_auth)
    assert found.refusal
    assert found.refusal.code == BAD_SIGNATURE
    return next(check.detail for check in found.checks if check.name == "signature")


@pytest.mark.parametrize("revoked", [True, False])
async def test_text_is_destroyed_thirty_days_after_the_end_and_not_before(instance: Instance, revoked: bool) -> None:
    await enable(instance)
    if revoked:
        [row] = await secrets.list_secrets()
        await secrets.revoke(row.id, TESTER)
        await secrets.enable(instance.cipher, TESTER)
    else:
        await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    with time_machine.travel(now() + timedelta(days=29, hours=23)):
        assert await destroy_ended_secrets() == 0
    assert await texts() == [True, True]
    with time_machine.travel(now() + timedelta(days=30, hours=1)):
        assert await destroy_ended_secrets() == 1
        assert await destroy_ended_secrets() == 0
    assert await texts() == [True, False]


async def test_current_and_retiring_secrets_keep_their_texts(instance: Instance) -> None:
    old = await enable(instance)
    await secrets.rotate(instance.cipher, TESTER, grace_period=30 * 86_400)
    with time_machine.travel(now() + timedelta(days=29)):
        assert await destroy_ended_secrets() == 0
        assert await answer_to(instance, code_of(old, CODE)) is None
    with time_machine.travel(now() + timedelta(days=59)):
        assert await destroy_ended_secrets() == 0
        assert await answer_to(instance, code_of(old, CODE)) == BAD_SIGNATURE
    with time_machine.travel(now() + timedelta(days=61)):
        assert await destroy_ended_secrets() == 1


async def test_inspection_says_that_the_secret_is_gone(instance: Instance) -> None:
    old = await enable(instance)
    [row] = await secrets.list_secrets()
    made = await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    with_kid, without = code_of(old, CODE, kid=row.id), code_of(old, CODE)
    assert "which retired at" in await detail(instance, with_kid)
    with time_machine.travel(now() + timedelta(days=31)):
        await destroy_ended_secrets()
        said = await detail(instance, with_kid)
        assert f"The kid names the secret {row.id} ({row.hint}…), which is gone: it ended at " in said
        assert "its text was destroyed 30 days later" in said
        assert "Or with one that is gone: texts are destroyed 30 days after their end." in await detail(
            instance, without
        )
        # The kid of an old secret is refused as before, whichever secret signed.
        assert await answer_to(instance, code_of(made.text, CODE, kid=row.id)) == BAD_SIGNATURE
        assert await answer_to(instance, code_of(made.text, CODE, kid=made.row.id)) is None


async def test_every_process_forgets_the_text_at_its_next_exchange(instance: Instance) -> None:
    await enable(instance)
    made = await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    cache = instance.external_auth.configuration_cache
    assert await answer_to(instance, code_of(made.text, CODE)) is None
    assert all(secret.key for secret in (await cache.current()).secrets)
    with time_machine.travel(now() + timedelta(days=31)):
        await destroy_ended_secrets()
        assert [secret.key is not None for secret in (await cache.current()).secrets] == [True, False]


async def test_renewing_the_encryption_leaves_destroyed_texts_alone(instance: Instance) -> None:
    await enable(instance)
    await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    with time_machine.travel(now() + timedelta(days=31)):
        await destroy_ended_secrets()
    await secrets.renew_secret_encryption(Cipher((Fernet.generate_key().decode(), key_of(instance))))
    assert await texts() == [True, False]
    assert await JwtSecret.filter(encrypted_secret="").count() == 1


def key_of(instance: Instance) -> str:
    """The encryption key of this instance."""
    return (instance.settings.data_dir / KEY_FILE).read_text()
