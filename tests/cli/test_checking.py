"""`doorcode check` finds every fault, and `doorcode keys rotate` lets older keys be removed."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tortoise import Tortoise

from service.accounts.groups import set_user_groups
from service.clock import now
from service.database import Statement, write
from service.encryption import KEY_FILE
from service.external_auth.models import HeldCode
from service.instance import Instance
from service.invariants import ENCRYPTED
from tests.actions import TESTER, admin, code_of, enable, member, open_for, sign_in
from tests.cli.conftest import Command
from tests.cli.test_bad_day import Run, on_instance

__all__ = ["on_instance"]


async def _fill(instance: Instance) -> None:
    await open_for(await admin("boss@example.com"))
    await open_for(await member("ada@example.com"))
    await sign_in(instance, code_of(await enable(instance), {"user": {"id": "crm-42"}}))
    await set_user_groups("crm-42", ["sales"], TESTER)


def test_sound_database_has_no_fault_and_nothing_changes(doorcode: Command, on_instance: Run) -> None:
    on_instance(_fill)
    for _ in range(2):
        ran = doorcode("check")
        assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "No fault was found.\n")


def test_access_that_has_just_ended_is_no_fault(doorcode: Command, on_instance: Run) -> None:
    on_instance(_fill)

    async def end(_: Instance) -> None:
        await write(Statement("UPDATE users SET access_until = $1 WHERE id = 'crm-42'"), now() - timedelta(seconds=1))

    on_instance(end)
    assert doorcode("check").exit_code == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE seats SET active_invitation = 7", "seats: 7 users are counted as ACTIVE and INVITATION, and there are 2"),
        ("UPDATE users SET status = 'DEACTIVATED' WHERE id = 'crm-42'", "seats: 0 users are counted as DEACTIVATED and EXTERNAL_JWT, and there are 1"),
        ("DELETE FROM users WHERE id = 'crm-42'", "sessions: 1 rows belong to users that do not exist"),
        ("UPDATE jwt_secrets SET encrypted_secret = 'gAAAAA'", "jwt_secrets: no encryption key fits encrypted_secret of jws_"),
        ("UPDATE jwt_secrets SET encrypted_secret = ''", "although the secret has not ended"),
        ("UPDATE signing_keys SET encrypted_private_key = 'x' WHERE state = 'NEXT'", "signing_keys: no encryption key fits encrypted_private_key of "),
        ("DELETE FROM signing_keys WHERE state = 'NEXT'", "signing_keys: there must be one key in the state NEXT, and there are 0"),
        ("UPDATE user_groups SET member_count = 7", "user_groups: 'sales' has a count of 7 members, and there are 1"),
        (
            "UPDATE users SET claimed_email = 'ada@example.org' WHERE email = 'ada@example.com'",
            "users: 1 have a claimed email beside a verified one",
        ),
        ("DELETE FROM users WHERE id = 'crm-42'", "group_members: 1 rows belong to users that do not exist"),
        ("DELETE FROM email_login", "email_login: there must be one row, and there are 0"),
        ("INSERT INTO jwt_secrets (id, encrypted_secret, hint, created_at) VALUES ('jws_x', '', '', '2026-01-01 00:00:00+00:00')", "jwt_secrets: at most one can be current, and 2 are"),
    ],
)  # fmt: skip
def test_each_fault_is_one_line(doorcode: Command, on_instance: Run, statement: str, said: str) -> None:
    on_instance(_fill)

    async def spoil(_: Instance) -> None:
        await write(Statement(statement))

    on_instance(spoil)
    ran = doorcode("check")
    assert ran.exit_code == 1
    assert said in ran.stdout
    assert ran.stderr == ""
    assert all(": " in line for line in ran.stdout.splitlines())


def test_no_database_and_no_key_is_made(doorcode: Command, on_instance: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing.sqlite3"
    ran = doorcode("check", database_url=f"sqlite://{missing}")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert not missing.exists()
    on_instance(_fill)
    key = tmp_path / "data" / KEY_FILE
    key.unlink()
    ran = doorcode("check")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "There is no encryption key" in ran.stderr
    assert not key.exists()


async def test_every_encrypted_column_is_looked_at(instance: Instance) -> None:
    """A held code is encrypted with a key that only its link has."""
    columns = {
        (model, column)
        for app in (Tortoise.apps or {}).values()
        for model in app.values()
        for column in model._meta.fields_map
        if column.startswith("encrypted_")
    }
    assert columns - {(HeldCode, "encrypted_link")} == set(ENCRYPTED)


def test_older_key_can_be_removed_after_the_rotation(doorcode: Command, on_instance: Run, tmp_path: Path) -> None:
    on_instance(_fill)
    old, new = (tmp_path / "data" / KEY_FILE).read_text(), Fernet.generate_key().decode()
    refused = doorcode("keys", "rotate", encryption_keys=new)
    assert refused.exit_code == 1
    assert doorcode("check", encryption_keys=new).exit_code == 1
    ran = doorcode("keys", "rotate", encryption_keys=f"{new},{old}")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "Older keys can be removed." in ran.stderr
    assert doorcode("check", encryption_keys=new).exit_code == 0
    assert doorcode("check").exit_code == 1
