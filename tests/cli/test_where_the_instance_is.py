"""Commands that run in the wrong place, or beside a program that holds the database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.database import connection
from service.encryption import KEY_FILE
from tests.cli.conftest import Command
from tests.cli.every_command import CHANGING, CREATING, OTHERS, READING, commands_of_the_program
from tests.processes import Server, run_command
from tests.programs import Programs

USERS = "external_id,email\ncrm-42,ada@example.com\n"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Only SQLite creates a database by itself, and can be locked as a whole."""
    return sqlite_url


@pytest.fixture(autouse=True)
def users_file(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)


def test_every_command_is_in_one_of_the_lists() -> None:
    listed = {tuple(command) for command in CREATING + CHANGING + READING + OTHERS}
    for names in commands_of_the_program():
        assert any(command[: len(names)] == names for command in listed), f"add {names} to a list in every_command.py"


@pytest.mark.parametrize("command", CHANGING + READING, ids=" ".join)
def test_command_in_another_directory_creates_nothing_and_says_where_it_looked(
    doorcode: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    monkeypatch.chdir(wrong)
    ran = doorcode(*command, data_dir="", database_url="")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"There is no database at {wrong}/data/doorcode.sqlite3. ")
    assert "DOORCODE_DATA_DIR or DOORCODE_DATABASE_URL" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert list(wrong.iterdir()) == []


@pytest.mark.parametrize("command", [command for command in CHANGING + READING if command[0] != "backup"], ids=" ".join)
def test_command_without_the_key_creates_none_and_says_where_it_looked(
    doorcode: Command, tmp_path: Path, command: list[str]
) -> None:
    other = tmp_path / "other"
    ran = doorcode(*command, data_dir=str(other))
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"There is no encryption key at {other / KEY_FILE}. ")
    assert ran.stderr.count("\n") == 1
    assert not other.exists()


@pytest.mark.parametrize("command", CREATING, ids=" ".join)
def test_command_that_begins_an_instance_says_so(doorcode: Command, tmp_path: Path, command: list[str]) -> None:
    new = tmp_path / "new"
    ran = doorcode(*command, data_dir=str(new), database_url="")
    assert ran.exit_code == 0
    assert (new / "doorcode.sqlite3").exists()
    if command != ["migrate"]:
        assert f"Creating a new database: {new}/doorcode.sqlite3\n" in ran.stderr


@pytest.fixture
def locked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another program writes and does not end. The wait is shortened, because every command has to wait it out."""
    monkeypatch.setattr(connection, "SQLITE_BUSY_TIMEOUT", 100)
    path = database_url.removeprefix("sqlite://")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("command", CREATING + CHANGING, ids=" ".join)
def test_changing_command_beside_a_held_lock_is_one_line(doorcode: Command, locked: None, command: list[str]) -> None:
    ran = doorcode(*command)
    assert ran.exit_code == 0 if command == ["migrate"] else ran.exit_code == 1, ran.stderr
    assert (ran.stderr.count("\n"), "Traceback" in ran.stderr) == (1, False), ran.stderr
    if command != ["migrate"]:
        assert ran.stderr.startswith("Another program is writing to the database and did not finish within ")
        assert ran.stdout == ""


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_reading_command_beside_a_held_lock_waits_only_if_it_needs_the_tables_unchanged(
    doorcode: Command, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """One command looks at many tables, which must not change meanwhile."""
    doorcode("jwt", "enable")
    monkeypatch.setattr(connection, "SQLITE_BUSY_TIMEOUT", 100)
    with closing(sqlite3.connect("doorcode.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ran = doorcode(*command)
    waits = command[0] == "check"
    assert ran.stderr.startswith("Another program is writing to the database") == waits, ran.stderr
    assert "Traceback" not in ran.stderr


def test_held_lock_ends_a_command_of_its_own_process_too(
    environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    assert run_command(environ, tmp_path, "jwt", "enable").returncode == 0
    with closing(sqlite3.connect(tmp_path / "doorcode.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ran = run_command(environ, tmp_path, "seats", "--limit", "5")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "Another program is writing to the database and did not finish within 5 seconds. Nothing was changed; try again.\n"
    )


@pytest.mark.parametrize("file", ["missing/users.csv", "directory"])
def test_file_that_cannot_be_used_is_named(doorcode: Command, tmp_path: Path, file: str) -> None:
    (tmp_path / "directory").mkdir()
    for command in (["users", "export", file], ["users", "import", file], ["users", "import", "--skip-bad", file, "x"]):
        ran = doorcode(*command)
        assert (ran.exit_code, ran.stdout) == (1, ""), command
        assert file in ran.stderr or "The file cannot be read: " in ran.stderr
        assert "database" not in ran.stderr
        assert ran.stderr.count("\n") == 1


def test_invitation_is_for_the_address_at_which_the_server_listens(
    environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    server = Server(tmp_path, environ)
    try:
        server.wait_until_ready()
        invited = run_command(environ, tmp_path, "admin", "invite", "boss@example.com")
        assert invited.stdout.startswith(f"{server.url}/")
        assert "DOORCODE_PUBLIC_URL" not in invited.stderr
        told = run_command(
            {**environ, "DOORCODE_PUBLIC_URL": "https://id.example.com"}, tmp_path, "admin", "invite", "b@c.de"
        )
        assert told.stdout.startswith("https://id.example.com/")
    finally:
        server.close()
    public = Server(tmp_path, {**environ, "DOORCODE_PUBLIC_URL": "http://localhost:1"})
    public.wait_until_ready()
    public.close()
    invited = run_command(environ, tmp_path, "admin", "invite", "boss@example.com")
    assert "DOORCODE_PUBLIC_URL" in invited.stderr, "the address of the last start but one is forgotten"
