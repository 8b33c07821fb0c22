"""`doorcode after-restore`: what a restored backup must not bring back, with the server stopped or running."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from time_machine import travel

from service.after_restore import prepare_restored_database
from service.audit.models import AuditEvent
from service.clock import now
from service.database import Statement, transaction, write
from service.email_login.codes import make_code
from service.email_login.links import find_invited, make_invitation_token, make_setup_token
from service.email_login.mail_queue import MailKind, QueuedMail
from service.external_auth import secrets
from service.external_auth.models import ExternalAuth
from service.instance import Instance
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod
from service.sessions.shown_once import keep_to_show
from tests.actions import TESTER, admin, answer_to, code_of, enable, member, open_for, rows, sign_in
from tests.cli.conftest import Command
from tests.cli.test_bad_day import Run, audited, on_instance
from tests.processes import Server, run_command
from tests.programs import Programs

__all__ = ["on_instance"]

FORGOTTEN = ("sign_in_links", "email_codes", "outgoing_mails", "shown_secrets")
CODE = {"user": {"id": "crm-42"}}


async def _fill(instance: Instance) -> dict[str, str]:
    """A row of everything that a backup brings back. Returns the tokens of the live sessions."""
    await enable(instance)
    boss, ada = await admin("boss@example.com"), await member("ada@example.com")
    sessions = [await open_for(person, method) for person in (boss, ada) for method in SignInMethod]
    await make_setup_token()
    await make_invitation_token(ada)
    await keep_to_show("text", "jwt", sessions[0].session, instance.cipher)
    async with transaction():
        await make_code("ada@example.com", instance.cipher)
        mail = QueuedMail(MailKind.CODE, "ada@example.com", "123456")
        await instance.email_login.mail_queue.put(mail, now() + timedelta(minutes=10))
    return {opened.session.id: opened.token for opened in sessions}


async def test_everything_that_a_backup_brings_back_ends(instance: Instance) -> None:
    tokens = await _fill(instance)
    assert [len(await rows(table)) for table in FORGOTTEN] == [2, 1, 1, 1]
    restored = await prepare_restored_database(TESTER)
    assert restored.codes_were_enabled
    assert [await find_session(token) for token in tokens.values()] == [None] * 4
    assert [len(await rows(table)) for table in FORGOTTEN] == [0, 0, 0, 0]
    assert not (await ExternalAuth.get(id=1)).enabled
    assert [event.actor for event in await AuditEvent.filter(action="backup.restored")] == [TESTER.name]


async def test_people_sign_in_again_after_jwt_sign_in_was_enabled(instance: Instance) -> None:
    secret = await enable(instance)
    before = await sign_in(instance, code_of(secret, CODE))
    await prepare_restored_database(TESTER)
    assert await answer_to(instance, code_of(secret, CODE)) == "EXTERNAL_AUTH_DISABLED"
    assert await secrets.enable(instance.cipher, TESTER) is None
    after = await sign_in(instance, code_of(secret, CODE))
    assert await find_session(before.token or "") is None
    assert await find_session(after.token or "")


async def test_links_that_were_sent_before_the_backup_no_longer_work(instance: Instance) -> None:
    token = await make_invitation_token(await member("ada@example.com"))
    assert await find_invited(token)
    await prepare_restored_database(TESTER)
    assert await find_invited(token) is None


async def test_process_that_knew_the_time_after_the_backup_notices_too(instance: Instance) -> None:
    """It has cached a configuration under the number that the next change of the restored row would have."""
    secret = await enable(instance)
    backup = (await ExternalAuth.get(id=1)).version
    await secrets.disable(TESTER)
    await secrets.enable(instance.cipher, TESTER)
    for cached in (backup + 1, backup + 2):
        await write(Statement("UPDATE external_auth SET enabled = TRUE, version = $1"), cached)
        await sign_in(instance, code_of(secret, CODE))
        await write(Statement("UPDATE external_auth SET version = $1"), backup)
        await prepare_restored_database(TESTER)
        assert await answer_to(instance, code_of(secret, CODE)) == "EXTERNAL_AUTH_DISABLED", cached


def test_command_lists_the_changes_of_the_last_day_and_no_sign_in(doorcode: Command, on_instance: Run) -> None:
    with travel(now() - timedelta(days=9)):
        on_instance(lambda _: member("long-ago@example.com"))
    with travel(now() - timedelta(days=7)):
        secret = doorcode("jwt", "enable").stdout.strip()
        on_instance(lambda instance: sign_in(instance, code_of(secret, CODE)))
        doorcode("users", "deactivate", "crm-42")
        on_instance(lambda instance: answer_to(instance, code_of(secret, CODE)))
    for jwt_sign_in in ("JWT sign-in is disabled.", "JWT sign-in was disabled already"):
        ran = doorcode("after-restore")
        assert ran.exit_code == 0
        listed = [line.split("│")[2].strip() for line in ran.stdout.splitlines() if "UTC" in line]
        assert listed == ["jwt.enabled", "user.deactivated"]
        assert "crm-42" in ran.stdout
        assert "All sessions are ended." in ran.stderr
        assert f"ends at {now() - timedelta(days=7):%Y-%m-%d}" in ran.stderr
        assert jwt_sign_in in ran.stderr
    assert [actor for actor, _ in audited(on_instance, "backup.restored")] == ["cli", "cli"]


def test_new_database_has_nothing_to_repeat(doorcode: Command) -> None:
    ran = doorcode("after-restore")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "The audit log of the backup is empty." in ran.stderr


def test_no_database_is_made_where_there_is_no_backup(doorcode: Command, tmp_path: Path) -> None:
    missing = tmp_path / "missing.sqlite3"
    ran = doorcode("after-restore", database_url=f"sqlite://{missing}")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"There is no database at {missing}. ")
    assert not missing.exists()


@pytest.fixture
def serve(environ: dict[str, str], tmp_path: Path, programs: Programs) -> Callable[[], Server]:
    def start() -> Server:
        server = Server(tmp_path / "served", environ)
        server.wait_until_ready()
        return server

    return start


def exchanged(server: Server, code: str) -> Any:
    query = (
        "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) {"
        " ... on SessionGrant { token } ... on SignInError { code } } }"
    )
    answer = httpx2.post(f"{server.url}/graphql", json={"query": query, "variables": {"code": code}}, timeout=30)
    return answer.json()["data"]["exchangeExternalAuthCode"]


def signed_in(server: Server, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.post(f"{server.url}/graphql", json={"query": "{ viewer { id } }"}, headers=headers, timeout=30)
    return bool(answer.json()["data"]["viewer"])


def test_running_server_obeys_at_its_next_request(
    serve: Callable[[], Server], environ: dict[str, str], tmp_path: Path
) -> None:
    secret = run_command(environ, tmp_path, "jwt", "enable").stdout.strip()
    server = serve()
    try:
        token = exchanged(server, code_of(secret, CODE))["token"]
        assert signed_in(server, token)
        ran = run_command(environ, tmp_path, "after-restore")
        assert ran.returncode == 0, ran.stderr
        assert not signed_in(server, token)
        assert exchanged(server, code_of(secret, CODE)) == {"code": "EXTERNAL_AUTH_DISABLED"}
        run_command(environ, tmp_path, "jwt", "enable")
        assert "token" in exchanged(server, code_of(secret, CODE))
    finally:
        server.close()


def test_restored_file_is_made_safe_before_the_server_starts(
    sqlite_url: str, tmp_path: Path, programs: Programs
) -> None:
    environ = {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    database, backup = Path(sqlite_url.removeprefix("sqlite://")), tmp_path / "backup.sqlite3"
    secret = run_command(environ, tmp_path, "jwt", "enable").stdout.strip()
    server = Server(tmp_path / "served", environ)
    server.wait_until_ready()
    token = exchanged(server, code_of(secret, CODE))["token"]
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM INTO ?", [str(backup)])
    connection.close()
    run_command(environ, tmp_path, "sessions", "end", "--all")
    run_command(environ, tmp_path, "jwt", "rotate", "--grace", "0")
    server.stop()
    for left in tmp_path.glob("doorcode.sqlite3*"):
        left.unlink()
    shutil.copy(backup, database)
    assert run_command(environ, tmp_path, "after-restore").returncode == 0
    server = Server(tmp_path / "served", environ)
    server.wait_until_ready()
    try:
        assert not signed_in(server, token)
        assert exchanged(server, code_of(secret, CODE)) == {"code": "EXTERNAL_AUTH_DISABLED"}
    finally:
        server.close()
