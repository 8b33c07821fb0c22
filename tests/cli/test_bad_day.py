"""The commands for a bad day (contract §6): what they end, what they refuse, and what they say."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.accounts.administration import update_user
from service.accounts.models import User, UserRole
from service.audit.models import AuditEvent
from service.instance import Instance, open_instance
from service.sessions.access_tokens import issue_access_token, published_keys
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod
from service.settings import load_settings
from tests.actions import TESTER, admin, code_of, count, enable, member, open_for, sign_in, user
from tests.cli.conftest import Command
from tests.email_login.dependencies import guess_wrong

Run = Callable[[Callable[[Instance], Awaitable[Any]]], Any]


@pytest.fixture
def on_instance(environ: dict[str, str]) -> Run:
    """Runs a coroutine function on the database that the commands work on."""

    def run(work: Callable[[Instance], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with open_instance(load_settings(environ)) as instance:
                return await work(instance)

        return asyncio.run(main())

    return run


async def _sessions(_: Instance) -> dict[str, str]:
    """An admin and a member, with a session of each method."""
    people = {"boss": await admin("boss@example.com"), "ada": await member("ada@example.com")}
    return {
        f"{name} {method}": (await open_for(person, method)).token
        for name, person in people.items()
        for method in SignInMethod
    }


def live(on_instance: Run, tokens: dict[str, str]) -> set[str]:
    async def find(_: Instance) -> set[str]:
        return {name for name, token in tokens.items() if await find_session(token)}

    found: set[str] = on_instance(find)
    return found


def audited(on_instance: Run, action: str) -> list[tuple[str, Any]]:
    async def read(_: Instance) -> list[tuple[str, Any]]:
        return [(event.actor, event.detail) for event in await AuditEvent.filter(action=action).order_by("id")]

    events: list[tuple[str, Any]] = on_instance(read)
    return events


def people(on_instance: Run) -> tuple[User, User]:
    async def make(_: Instance) -> tuple[User, User]:
        return await admin("boss@example.com"), await member("ada@example.com")

    made: tuple[User, User] = on_instance(make)
    return made


def test_sessions_of_a_method_or_all_are_ended(doorcode: Command, on_instance: Run) -> None:
    tokens = on_instance(_sessions)
    assert live(on_instance, tokens) == set(tokens)
    ran = doorcode("sessions", "end", "--method", "jwt")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert live(on_instance, tokens) == {"boss EMAIL", "ada EMAIL"}
    assert doorcode("sessions", "end", "--method", "email").exit_code == 0
    assert live(on_instance, tokens) == set()
    assert [actor for actor, _ in audited(on_instance, "sessions.ended")] == ["cli", "cli"]


def test_all_sessions_are_ended_and_people_can_sign_in_again(doorcode: Command, on_instance: Run) -> None:
    tokens = on_instance(_sessions)
    assert doorcode("sessions", "end", "--all").exit_code == 0
    assert live(on_instance, tokens) == set()
    assert doorcode("sessions", "end", "--all").exit_code == 0


def test_users_are_unlocked_admins_too(doorcode: Command, on_instance: Run) -> None:
    boss, ada = people(on_instance)

    async def guess(instance: Instance) -> None:
        for person in (boss, ada):
            await guess_wrong(instance, 1, email=str(person.email))

    on_instance(guess)
    for person in (boss, ada):
        ran = doorcode("users", "unlock", person.id)
        assert (ran.exit_code, ran.stdout) == (0, "")
        assert "can sign in by email again" in ran.stderr
    assert [actor for actor, _ in audited(on_instance, "user.email_sign_in_unlocked")] == ["cli", "cli"]
    assert doorcode("users", "unlock", "unknown").exit_code == 1


def test_sessions_of_a_user_are_ended(doorcode: Command, on_instance: Run) -> None:
    tokens = on_instance(_sessions)
    ada = re.search(r"(usr_\S+).*ada@example", doorcode("users", "list").stdout)
    assert ada
    assert doorcode("sessions", "end", "--user", ada[1]).exit_code == 0
    assert live(on_instance, tokens) == {"boss EMAIL", "boss EXTERNAL_JWT"}
    assert doorcode("sessions", "end", "--user", "nobody").exit_code == 1
    assert "Ended 0 sessions" in doorcode("users", "end-sessions", ada[1]).stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--all", "--method", "jwt"],
        ["--user", "x", "--all"],
        ["--user", "x", "--method", "email"],
        ["--method", "x"],
    ],
    ids=repr,
)
def test_which_sessions_is_said_exactly_once(doorcode: Command, on_instance: Run, options: list[str]) -> None:
    tokens = on_instance(_sessions)
    ran = doorcode("sessions", "end", *options)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr
    assert live(on_instance, tokens) == set(tokens)


def test_keys_are_listed_and_revoked(doorcode: Command) -> None:
    key = doorcode("api-key", "create", "deploys", "--scope", "users").stdout.strip()
    listed = doorcode("api-key", "list").stdout
    assert key[:8] in listed
    assert key not in listed
    assert "USERS" in listed
    key_id = re.search(r"key_[0-9a-f]+", listed)
    assert key_id
    ran = doorcode("api-key", "revoke", key_id[0])
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert doorcode("api-key", "revoke", "key_unknown").exit_code == 1


def test_admins_are_listed_and_removed_but_the_last_one_only_by_force(doorcode: Command, on_instance: Run) -> None:
    boss, ada = people(on_instance)
    token = on_instance(lambda _: open_for(boss)).token
    assert boss.id in doorcode("admin", "list").stdout
    assert ada.id not in doorcode("admin", "list").stdout
    for email in ("ada@example.com", "nobody@example.com", "x"):
        assert doorcode("admin", "remove", email).exit_code == 1
    refused = doorcode("admin", "remove", "boss@example.com")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the last active admin" in refused.stderr
    assert live(on_instance, {"boss": token}) == {"boss"}
    assert doorcode("admin", "remove", "BOSS@example.com", "--force").exit_code == 0
    assert live(on_instance, {"boss": token}) == set()
    assert on_instance(lambda _: user(boss.id)).role is UserRole.MEMBER
    assert audited(on_instance, "user.role_set")[-1][0] == "cli"


def test_users_are_deactivated_reactivated_and_deleted_admins_too(doorcode: Command, on_instance: Run) -> None:
    boss, ada = people(on_instance)
    on_instance(lambda _: admin("stays@example.com"))
    assert doorcode("users", "deactivate", ada.id, boss.id).exit_code == 0
    assert doorcode("users", "list", "--status", "deactivated").stderr == "2 of 2 users.\n"
    assert doorcode("users", "reactivate", ada.id, boss.id).exit_code == 0
    assert doorcode("users", "deactivate", "nobody").exit_code == 1
    asked = doorcode("users", "delete", ada.id)
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert doorcode("users", "delete", ada.id, "--yes").exit_code == 0
    assert doorcode("users", "delete", ada.id, "--yes").exit_code == 1
    assert ada.id not in doorcode("users", "list").stdout


def test_keys_that_have_leaked_verify_nothing_any_more(doorcode: Command, on_instance: Run) -> None:
    async def kids(instance: Instance) -> set[str]:
        await issue_access_token(
            (await open_for(await member("ada@example.com"))).session, instance.settings, instance.cipher
        )
        return {key["kid"] for key in await published_keys(instance.settings)}

    before = on_instance(kids)
    assert len(before) == 2
    ran = doorcode("signing-key", "rotate", "--leaked")
    assert ran.exit_code == 0

    async def published(instance: Instance) -> set[str]:
        return {key["kid"] for key in await published_keys(instance.settings)}

    after = on_instance(published)
    assert ran.stdout.strip() in after
    assert len(after) == 2
    assert not after & before


@pytest.mark.parametrize("group", ["", "jwt", "code", "users", "api-key", "signing-key", "admin", "sessions", "keys"])
def test_group_without_a_command_prints_its_help_to_stderr(doorcode: Command, group: str) -> None:
    ran = doorcode(*group.split())
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert f"Usage: {' '.join(['doorcode', *group.split()])} [OPTIONS] COMMAND" in ran.stderr


def test_admin_invite_says_so_if_codes_sign_in_as_the_new_admin(doorcode: Command, on_instance: Run) -> None:
    async def sign_up(instance: Instance) -> None:
        secret = await enable(instance)
        for user_id, email, verified in (("crm-1", "ada@example.com", True), ("crm-2", "eve@example.com", False)):
            await sign_in(
                instance, code_of(secret, {"user": {"id": user_id, "email": email, "email_verified": verified}})
            )

    on_instance(sign_up)
    assert "eve@example.com (not verified)" in doorcode("users", "list").stdout
    told = doorcode("admin", "invite", "ada@example.com")
    assert "existing user crm-1 with the external ID crm-1" in told.stderr
    assert " admin remove ada@example.com" in told.stderr
    told = doorcode("admin", "invite", "eve@example.com")
    assert (told.exit_code, "external ID" in told.stderr) == (0, False)
    assert "crm-2" not in doorcode("admin", "list").stdout
    assert "external ID" not in doorcode("admin", "invite", "new@example.com").stderr
    assert "trustEmails yes" in doorcode("jwt", "status").stdout


def test_commands_take_ids_of_either_kind(doorcode: Command, on_instance: Run) -> None:
    async def link(_: Instance) -> str:
        ada = await member("ada@example.com")
        await update_user(ada.id, TESTER, external_id="crm-1")
        return ada.id

    user_id = on_instance(link)
    for arguments in (
        ["users", "deactivate", "crm-1"],
        ["users", "reactivate", "crm-1", user_id],
        ["users", "end-sessions", "crm-1"],
        ["sessions", "end", "--user", "crm-1"],
        ["users", "delete", "crm-1", "--yes"],
    ):
        ran = doorcode(*arguments)
        assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    assert user_id not in doorcode("users", "list").stdout


def test_codes_of_a_user_or_all_are_revoked(doorcode: Command, on_instance: Run) -> None:
    tokens = on_instance(_sessions)
    _, ada = on_instance(_found)
    ran = doorcode("users", "revoke-codes", ada.id, "--keep-sessions")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert on_instance(lambda _: user(ada.id)).codes_valid_from
    assert live(on_instance, tokens) == set(tokens)
    assert doorcode("users", "revoke-codes", ada.id).exit_code == 0
    assert live(on_instance, tokens) == set(tokens) - {"ada EXTERNAL_JWT"}
    assert [actor for actor, _ in audited(on_instance, "user.codes_revoked")] == ["cli", "cli"]
    assert doorcode("users", "revoke-codes", "nobody").exit_code == 1

    ran = doorcode("jwt", "revoke-codes")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "are refused" in doorcode("jwt", "status").stdout
    assert live(on_instance, tokens) == set(tokens) - {"ada EXTERNAL_JWT"}
    assert doorcode("jwt", "revoke-codes", "--end-sessions").exit_code == 0
    assert live(on_instance, tokens) == {"boss EMAIL", "ada EMAIL"}


def test_deleted_user_s_codes_are_revoked_with_the_user(doorcode: Command, on_instance: Run) -> None:
    _, ada = people(on_instance)
    ran = doorcode("users", "delete", ada.id, "--yes", "--revoke-codes")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert on_instance(lambda _: count("code_cutoffs")) == 0, "no code can create a user with an ID of this service"
    [(_, detail)] = audited(on_instance, "user.deleted")
    assert '"revokeCodes": true' in detail


async def _found(_: Instance) -> list[User]:
    return list(await User.all().order_by("email"))[::-1]


def test_policy_is_shown_and_changed(doorcode: Command) -> None:
    assert "trustEmails yes" in doorcode("jwt", "policy").stdout
    ran = doorcode(
        "jwt",
        "policy",
        "trustEmails=false",
        "groupsMember=groups",
        "sharedMetadata=plan,locale",
        "maxLifetimeSeconds=300",
        "emailLinking=link",
        "issuer=42",
    )
    assert (ran.exit_code, ran.stderr) == (0, "")
    shown = doorcode("jwt", "status").stdout
    for words in (
        "trustEmails no",
        "groupsMember groups",
        "sharedMetadata plan,locale",
        "maxLifetimeSeconds 300",
        "emailLinking LINK",
        "issuer 42",
    ):
        assert words in ran.stdout
        assert words in shown
    ran = doorcode("jwt", "policy", "maxLifetimeSeconds=null", "sharedMetadata=", "groupsMember=null")
    assert "maxLifetimeSeconds none" in ran.stdout
    assert "sharedMetadata none" in ran.stdout
    assert "groupsMember none" in ran.stdout
    for wrong, status in (
        ("clockSkewSeconds=x", 1),
        ("groupsMember=email", 1),
        ("emailLinking=x", 2),
        ("x=1", 2),
        ("issuer", 2),
    ):
        ran = doorcode("jwt", "policy", wrong)
        assert (ran.exit_code, ran.stdout) == (status, ""), wrong


def test_groups_are_given_and_listed(doorcode: Command, on_instance: Run) -> None:
    _, ada = people(on_instance)
    told = doorcode("users", "set-groups", ada.id, "staff", "b c")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "b c, staff" in told.stderr
    assert re.search(r"staff\s+│ 1", doorcode("groups").stdout)
    assert "1 of 2 groups. Those that follow: --after " in doorcode("groups", "--first", "1").stderr
    listed = doorcode("users", "list", "--group", "staff")
    assert ada.id in listed.stdout
    assert "b c, staff" in listed.stdout
    assert ada.id not in doorcode("users", "list", "--group", "other").stdout
    assert doorcode("users", "set-groups", ada.id, "x" * 129).exit_code == 1
    assert doorcode("users", "set-groups", ada.id).exit_code == 0
    assert "0 of 0 groups." in doorcode("groups").stderr


def test_sign_in_link_is_printed_alone(doorcode: Command, on_instance: Run) -> None:
    doorcode("jwt", "enable")
    doorcode("users", "create", "crm-1")
    ran = doorcode("users", "sign-in-link", "crm-1", "--lifetime", "300", public_url="https://id.example.com")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("https://id.example.com/?externalAuthCode=")
    assert len(ran.stdout.splitlines()) == 1
    assert "It signs in as crm-1 until" in ran.stderr
    assert [by for by, _ in audited(on_instance, "user.sign_in_link_made")] == ["cli"]
    refused = doorcode("users", "sign-in-link", "crm-1", "--lifetime", "60")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "between 300 seconds (5 minutes) and 604800 seconds (7 days)" in refused.stderr


def test_person_is_erased_and_the_pseudonym_is_the_result(doorcode: Command, on_instance: Run) -> None:
    doorcode("users", "create", "crm-1", "--email", "ada@example.com")
    assert doorcode("users", "erase", "crm-1").exit_code == 2
    ran = doorcode("users", "erase", "crm-1", "--yes")
    assert ran.exit_code == 0
    assert on_instance(lambda _: AuditEvent.get(action="user.erased")).user_id == ran.stdout.strip()
    assert doorcode("users", "erase", "crm-1", "--yes").exit_code == 1
