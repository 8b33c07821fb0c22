"""`doorcode backup` beside a running server, and `doorcode restore`, which brings nothing dangerous back."""

import sqlite3
import stat
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.encryption import KEY_FILE
from tests.actions import code_of
from tests.cli.conftest import Command
from tests.cli.test_after_restore import CODE, exchanged, signed_in
from tests.processes import Server, run_command
from tests.programs import Programs


@pytest.fixture
def environ(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """The embedded database: on PostgreSQL the commands name others."""
    return {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


def applied_to(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_backup_beside_a_running_server_is_restored(
    server: Callable[..., Server], environ: dict[str, str], tmp_path: Path
) -> None:
    secret = run_command(environ, tmp_path, "jwt", "enable").stdout.strip()
    running = server(environ)
    token = exchanged(running, code_of(secret, CODE))["token"]
    ran = run_command(environ, tmp_path, "backup", "backup.tar")
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    exchanged(running, code_of(secret, {"user": {"id": "crm-later"}}))
    refused = run_command(environ, tmp_path, "restore", "backup.tar", "--yes")
    assert refused.returncode == 1
    assert "is in use. Stop the server first." in refused.stderr
    assert signed_in(running, token)
    running.stop()
    ran = run_command(environ, tmp_path, "restore", "backup.tar", "--yes")
    assert ran.returncode == 0, ran.stderr
    assert "All sessions are ended." in ran.stderr
    assert "jwt.enabled" in ran.stdout
    again = server(environ)
    assert not signed_in(again, token)
    assert exchanged(again, code_of(secret, CODE)) == {"code": "EXTERNAL_AUTH_DISABLED"}
    run_command(environ, tmp_path, "jwt", "enable")
    assert "token" in exchanged(again, code_of(secret, CODE))
    listed = run_command(environ, tmp_path, "users", "list").stdout
    assert "crm-42" in listed
    assert "crm-later" not in listed


def test_backup_is_for_its_owner_alone_and_holds_the_key_unless_it_is_left_out(
    doorcode: Command, tmp_path: Path
) -> None:
    doorcode("jwt", "enable")
    assert doorcode("backup", "with.tar").exit_code == 0
    assert doorcode("backup", "without.tar", "--without-key").exit_code == 0
    assert stat.S_IMODE((tmp_path / "with.tar").stat().st_mode) == 0o600
    contents = {}
    for name in ("with.tar", "without.tar"):
        with tarfile.open(tmp_path / name) as tar:
            contents[name] = sorted(tar.getnames())
    assert contents == {"with.tar": ["doorcode.sqlite3", KEY_FILE], "without.tar": ["doorcode.sqlite3"]}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_no_file_is_overwritten_and_no_database_is_made(doorcode: Command, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    ran = doorcode("backup", "there")
    assert (ran.exit_code, (tmp_path / "there").read_text()) == (1, "x")
    missing = tmp_path / "missing.sqlite3"
    assert doorcode("backup", "new.tar", database_url=f"sqlite://{missing}").exit_code == 1
    assert doorcode("backup", "nowhere/new.tar").exit_code == 1
    assert not missing.exists()
    assert not (tmp_path / "new.tar").exists()


def test_restore_into_an_empty_directory_needs_no_question(doorcode: Command, tmp_path: Path) -> None:
    secret = doorcode("jwt", "enable").stdout.strip()
    doorcode("backup", "backup.tar")
    elsewhere = {"database_url": f"sqlite://{tmp_path}/new/doorcode.sqlite3", "data_dir": str(tmp_path / "new")}
    ran = doorcode("restore", "backup.tar", **elsewhere)
    assert ran.exit_code == 0, ran.stderr
    assert doorcode("check", **elsewhere).exit_code == 0
    assert (tmp_path / "new" / KEY_FILE).read_text() == (tmp_path / "data" / KEY_FILE).read_text()
    assert stat.S_IMODE((tmp_path / "new" / KEY_FILE).stat().st_mode) == 0o600
    assert doorcode("code", "inspect", code_of(secret, CODE), **elsewhere).exit_code == 1


def test_replaced_database_and_key_are_kept(doorcode: Command, tmp_path: Path) -> None:
    doorcode("jwt", "enable")
    doorcode("backup", "backup.tar")
    elsewhere = {"database_url": f"sqlite://{tmp_path}/new/doorcode.sqlite3", "data_dir": str(tmp_path / "new")}
    doorcode("jwt", "enable", **elsewhere)
    asked = doorcode("restore", "backup.tar", **elsewhere)
    assert (asked.exit_code, asked.stdout) == (2, "")
    other_key = (tmp_path / "new" / KEY_FILE).read_text()
    assert doorcode("restore", "backup.tar", "--yes", **elsewhere).exit_code == 0
    [kept] = (tmp_path / "new").glob(f"{KEY_FILE}.replaced-*")
    assert kept.read_text() == other_key
    assert len(list((tmp_path / "new").glob("doorcode.sqlite3.replaced-*"))) == 1
    assert doorcode("check", **elsewhere).exit_code == 0


@pytest.mark.parametrize("keys", ["backup.tar", "without.tar"])
def test_key_that_does_not_fit_changes_nothing(doorcode: Command, tmp_path: Path, keys: str) -> None:
    doorcode("jwt", "enable")
    doorcode("backup", "backup.tar")
    doorcode("backup", "without.tar", "--without-key")
    before = (tmp_path / "doorcode.sqlite3").read_bytes()
    refused = doorcode("restore", keys, "--yes", encryption_keys=Fernet.generate_key().decode())
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "The encryption key does not fit the backup." in refused.stderr
    assert (tmp_path / "doorcode.sqlite3").read_bytes() == before
    fitting = (tmp_path / "data" / KEY_FILE).read_text()
    assert doorcode("restore", keys, "--yes", encryption_keys=fitting).exit_code == 0
    assert doorcode("restore", "without.tar", "--yes").exit_code == 0


def test_file_that_is_no_backup_or_of_a_newer_version_or_damaged_is_refused(doorcode: Command, tmp_path: Path) -> None:
    doorcode("jwt", "enable")
    (tmp_path / "text").write_text("no backup")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "text", "text")
    doorcode("backup", "backup.tar")
    with tarfile.open(tmp_path / "backup.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    database = tmp_path / "unpacked" / "doorcode.sqlite3"
    applied_to(database, "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('doorcode', '0999_x', '')")
    with tarfile.open(tmp_path / "newer.tar", "w") as tar:
        tar.add(database, "doorcode.sqlite3")
    database.write_bytes(database.read_bytes()[:9000] + b"\xff" * 9000)
    with tarfile.open(tmp_path / "damaged.tar", "w") as tar:
        tar.add(database, "doorcode.sqlite3")
    before = (tmp_path / "doorcode.sqlite3").read_bytes()
    for name in ("missing", "text", "other.tar", "newer.tar", "damaged.tar"):
        ran = doorcode("restore", name, "--yes")
        assert (ran.exit_code, ran.stdout) == (1, ""), name
        assert "Traceback" not in ran.stderr
        assert len(ran.stderr.splitlines()) == 1, name
    assert "newer version" in doorcode("restore", "newer.tar", "--yes").stderr
    assert (tmp_path / "doorcode.sqlite3").read_bytes() == before


def test_on_postgresql_other_programs_are_named(doorcode: Command, postgres_url: str) -> None:
    assert "pg_dump" in doorcode("backup", "x", database_url=postgres_url).stderr
    ran = doorcode("restore", "x", "--yes", database_url=postgres_url)
    assert ran.exit_code == 1
    assert "pg_restore" in ran.stderr


def test_secret_of_the_backup_does_not_appear_in_the_log(
    environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    secret = run_command(environ, tmp_path, "jwt", "enable").stdout.strip()
    key = (tmp_path / "data" / KEY_FILE).read_text()
    ran = [run_command(environ, tmp_path, *command) for command in (["backup", "b"], ["restore", "b", "--yes"])]
    assert [one.returncode for one in ran] == [0, 0]
    for one in ran:
        assert secret not in one.stdout + one.stderr
        assert key not in one.stdout + one.stderr
