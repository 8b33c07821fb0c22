"""`doorcode users create|delete|import|export`: from the command line and from files (contract §6)."""

import asyncio
import csv
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.accounts import administration
from service.accounts.creation import create_user
from service.accounts.groups import set_user_groups
from service.accounts.models import User, UserRole, UserStatus
from service.accounts.seats import count_seats, set_seat_limit
from service.instance import Instance, open_instance
from service.settings import load_settings
from tests.actions import HASHES, TESTER, add_invited, code_of, count, enable, rows, sign_in
from tests.cli.conftest import Command
from tests.seats import assert_counters_equal_table

Run = Callable[[Callable[[Instance], Awaitable[Any]]], Any]
HEADER = "external_id,email,metadata,status,groups,access_until"


@pytest.fixture
def on_instance(environ: dict[str, str]) -> Run:
    """Runs a coroutine function on the database that the commands work on."""

    def run(work: Callable[[Instance], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with open_instance(load_settings(environ)) as instance:
                return await work(instance)

        return asyncio.run(main())

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Writes a file of these lines; its path."""

    def write(*lines: str, encoding: str = "utf-8") -> str:
        path = tmp_path / "users.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return str(path)

    return write


async def users(_: Instance) -> dict[str, User]:
    return {user.id: user for user in await User.all()}


async def stored(_: Instance) -> list[list[str]]:
    await assert_counters_equal_table()
    tables = ("users", "seats", "user_groups", "group_members", "sessions", "code_cutoffs")
    return [sorted(repr(sorted(dict(row).items())) for row in await rows(table)) for table in tables]


async def _people(instance: Instance) -> None:
    """Users of every kind."""
    secret = await enable(instance)
    until = datetime.now(UTC) + timedelta(days=30)
    await create_user("crm-1", TESTER, HASHES, email="ada@example.com", metadata={"né": ["x", 1.0]}, access_until=until)
    await create_user("crm-2", TESTER, HASHES, access_until=until - timedelta(days=90))
    await create_user(' 3, "x"\u00fc', TESTER, HASHES)
    claimed = {"user": {"id": "claimed", "email": "claimed@example.com", "email_verified": False}}
    await sign_in(instance, code_of(secret, claimed))
    await create_user("bare", TESTER, HASHES)
    await administration.update_user("bare", TESTER, external_id=None)
    invited = await add_invited("grace@example.com", UserRole.MEMBER)
    await administration.deactivate_user(invited.id, TESTER)
    await set_user_groups("crm-1", ["b", 'a, "ä"'], TESTER)
    await add_invited("boss@example.com", UserRole.ADMIN)


def test_export_then_import_changes_nothing(doorcode: Command, on_instance: Run, tmp_path: Path) -> None:
    on_instance(_people)
    before = on_instance(stored)
    path = str(tmp_path / "all.csv")
    ran = doorcode("users", "export", path)
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    on_instance(lambda _: set_seat_limit(0, TESTER))
    on_instance(lambda _: set_seat_limit(None, TESTER))
    for flags in (["--dry-run"], [], ["--skip-bad", str(tmp_path / "rejects.csv")]):
        ran = doorcode("users", "import", path, *flags)
        assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
        assert "0 users" in ran.stderr
        assert "7 unchanged, 0 rows refused" in ran.stderr
        assert on_instance(stored) == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_new_users_are_created_and_known_ones_brought_up_to_date(
    doorcode: Command, on_instance: Run, file: Callable[..., str], encoding: str
) -> None:
    on_instance(lambda _: create_user("crm-1", TESTER, HASHES, email="old@example.com"))
    path = file(
        HEADER,
        'crm-1,New@example.com,"{""plan"": ""gold""}",,"[""a""]",',
        "crm-2,zoë@münchen.test,,ACTIVE,b,2050-01-01T00:00:00Z",
        "crm-3,,,DEACTIVATED,,",
        ",lin@example.com,,,,2020-01-01T00:00:00+01:00",
        encoding=encoding,
    )
    ran = doorcode("users", "import", path, "--dry-run")
    assert ran.exit_code == 0, ran.stderr
    assert "3 users would be created, 1 would be updated" in ran.stderr
    assert on_instance(lambda _: count("users")) == 1
    ran = doorcode("users", "import", path)
    assert ran.exit_code == 0, ran.stderr

    found = on_instance(users)
    assert (found["crm-1"].email, found["crm-1"].metadata) == ("new@example.com", '{"plan":"gold"}')
    assert found["crm-2"].email == "zoë@xn--mnchen-3ya.test"
    assert found["crm-2"].access_until == datetime(2050, 1, 1, tzinfo=UTC)
    assert found["crm-3"].status is UserStatus.DEACTIVATED
    [lin] = [user for user in found.values() if user.email == "lin@example.com"]
    assert (lin.status, lin.access_ended) == (UserStatus.DEACTIVATED, True)
    assert on_instance(lambda _: count_seats()).used == 2
    on_instance(stored)
    assert "0 users created, 0 updated, 4 unchanged" in doorcode("users", "import", path).stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("crm-1,again@example.com,,,,", "the user is in an earlier row too"),
        ("crm-9,ADA@example.com,,,,", "the user is in an earlier row too"),
        ("crm-9,taken@example.com,,,,", "another user has this email"),
        ("crm-9,no address,,,,", "is not a well-formed email address"),
        (",,,,,2050-01-01T00:00:00Z", "has neither external_id nor email"),
        ("usr_1,,,,,", "is reserved for IDs of this service"),
        ("crm-9,,[],,,", "metadata is not a JSON object"),
        ("crm-9,,{,,,", "metadata is not JSON"),
        ("crm-9,,,GONE,,", "status is neither ACTIVE nor DEACTIVATED"),
        ("crm-9,,,,,tomorrow", "is no time with its offset"),
        ("crm-9,,,,,2050-01-01T00:00:00", "is no time with its offset"),
        ("crm-9,,,,,,7", "has 7 cells, and the header has 6"),
        (",boss@example.com,,DEACTIVATED,,", "the user is an admin"),
    ],
)
def test_one_refused_row_refuses_the_file_unless_it_is_skipped(
    doorcode: Command, on_instance: Run, file: Callable[..., str], tmp_path: Path, line: str, reason: str
) -> None:
    on_instance(lambda _: add_invited("taken@example.com", UserRole.MEMBER))
    on_instance(lambda _: add_invited("boss@example.com", UserRole.ADMIN))
    before = on_instance(stored)
    path = file(HEADER, "crm-1,ada@example.com,,,,", line, "crm-2,,,,,")
    ran = doorcode("users", "import", path)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "line 3: " in ran.stderr
    assert reason in ran.stderr
    assert on_instance(stored) == before

    rejects = tmp_path / "rejects.csv"
    ran = doorcode("users", "import", path, "--skip-bad", str(rejects))
    assert ran.exit_code == 0, ran.stderr
    assert "2 users created, 0 updated, 0 unchanged, 1 rows refused" in ran.stderr
    [refused] = list(csv.DictReader(rejects.read_text(encoding="utf-8").splitlines()))
    assert (refused["line"], reason in refused["reason"]) == ("3", True)
    assert on_instance(lambda _: count("users")) == 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("external_id,phone", "unknown column: 'phone'"),
        ("external_id,external_id", "a column twice"),
        ("metadata", "needs a column external_id or email"),
        ("", "needs a column external_id or email"),
    ],
)
def test_file_with_a_wrong_header_is_refused(
    doorcode: Command, file: Callable[..., str], content: str, reason: str
) -> None:
    ran = doorcode("users", "import", file(content, "x,y"))
    assert (ran.exit_code, reason in ran.stderr) == (1, True), ran.stderr


def test_file_in_another_encoding_is_refused(doorcode: Command, file: Callable[..., str]) -> None:
    ran = doorcode("users", "import", file("external_id", "caf\u00e9", encoding="latin-1"))
    assert (ran.exit_code, "not CSV in UTF-8" in ran.stderr) == (1, True)
    assert doorcode("users", "import", "/nowhere/at/all.csv").exit_code == 1


def test_seats_are_counted_before_the_first_write(
    doorcode: Command, on_instance: Run, file: Callable[..., str]
) -> None:
    on_instance(lambda _: set_seat_limit(2, TESTER))
    path = file(HEADER, *(f"crm-{number},,,,," for number in range(3)), "off,,,DEACTIVATED,,")
    ran = doorcode("users", "import", path)
    assert (ran.exit_code, "takes 3 seats, and 2 of 2 are free" in ran.stderr) == (1, True)
    assert on_instance(lambda _: count("users")) == 0
    on_instance(lambda _: set_seat_limit(3, TESTER))
    assert doorcode("users", "import", path).exit_code == 0
    assert on_instance(lambda _: count_seats()).used == 3
    on_instance(stored)


def test_import_does_not_lift_the_revocation_of_a_deleted_user_s_codes(
    doorcode: Command, on_instance: Run, file: Callable[..., str]
) -> None:
    async def delete(instance: Instance) -> None:
        await create_user("crm-1", TESTER, instance.subject_hashes)
        await administration.delete_user("crm-1", TESTER, instance.subject_hashes, revoke_codes=True)

    on_instance(delete)
    assert doorcode("users", "import", file("external_id", "crm-1")).exit_code == 0
    assert on_instance(users)["crm-1"].codes_valid_from


def test_user_is_created_by_a_command_that_may_be_repeated(doorcode: Command, on_instance: Run) -> None:
    made = ["users", "create", "crm-1", "--email", "ada@example.com", "--meta", "plan=gold"]
    for arguments in (made, [*made, "--access-until", "2050-01-01T00:00:00Z"]):
        ran = doorcode(*arguments)
        assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    found = on_instance(users)["crm-1"]
    assert (found.email, found.metadata) == ("ada@example.com", '{"plan":"gold"}')
    assert found.access_until == datetime(2050, 1, 1, tzinfo=UTC)
    assert doorcode("users", "create", "crm-1", "--email", "other@example.com").exit_code == 1
    assert doorcode("users", "create", "crm-2", "--access-until", "tomorrow").exit_code == 2
    assert doorcode("users", "create", "crm-2", "--meta", "plan").exit_code == 2


def test_several_users_are_deleted(doorcode: Command, on_instance: Run) -> None:
    for name in ("a", "b", "c"):
        on_instance(partial(_create, name))
    assert doorcode("users", "delete", "a", "b").exit_code == 2
    ran = doorcode("users", "delete", "a", "b", "--yes", "--revoke-codes")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert set(on_instance(users)) == {"c"}
    assert on_instance(lambda _: count("code_cutoffs")) == 2


async def _create(name: str, _: Instance) -> None:
    await create_user(name, TESTER, HASHES)
