"""The commands of contract §6: what each does, what it alone writes to stdout, and how it refuses."""

import asyncio
import re
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from service.encryption import key_of
from service.instance import open_instance
from service.refusal_texts import SignInErrorCode
from service.settings import load_settings
from tests.actions import code_of, rows, sign_in
from tests.branding.logos import SVG
from tests.cli.conftest import Command
from tests.processes import ROOT

SECRET = re.compile(r"[A-Za-z0-9_-]{43}\n")
CODE = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}\n")
COMMANDS = [
    ["migrate"],
    ["api-key", "create", "x"],
    ["jwt", "status"],
    ["jwt", "enable"],
    ["jwt", "rotate"],
    ["jwt", "revoke", "x"],
    ["jwt", "disable"],
    ["jwt", "sign-in-url", "none"],
    ["jwt", "sign-out-url", "none"],
    ["code", "sign", "--id", "x"],
    ["code", "inspect", "x"],
    ["users", "list"],
    ["seats"],
    ["signing-key", "rotate"],
]


def test_version_is_that_of_the_package(doorcode: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert doorcode("--version").stdout == f"{project['version']}\n"


def test_settings_are_shown_without_secrets(doorcode: Command) -> None:
    shown = doorcode("settings", smtp_url="smtps://user:pass-of-mail@mail.example.com:465")

    assert shown.exit_code == 0
    assert "smtps://mail.example.com:465" in shown.stdout
    assert "pass-of-mail" not in shown.stdout + shown.stderr


def enabled(doorcode: Command) -> str:
    return doorcode("jwt", "enable").stdout.strip()


def secret_ids(doorcode: Command) -> list[str]:
    return re.findall(r"jws_[0-9a-f]{32}", doorcode("jwt", "status").stdout)


# ---------------------------------------------------------------- jwt


def test_enable_prints_the_secret_alone_and_only_where_one_was_made(doorcode: Command) -> None:
    first = doorcode("jwt", "enable")
    assert (first.exit_code, bool(SECRET.fullmatch(first.stdout))) == (0, True)
    assert first.stderr
    assert first.stdout.strip() not in first.stderr
    again = doorcode("jwt", "enable")
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr


def test_rotate_prints_the_new_secret_alone(doorcode: Command) -> None:
    old = enabled(doorcode)
    ran = doorcode("jwt", "rotate", "--grace", "0")
    assert (ran.exit_code, bool(SECRET.fullmatch(ran.stdout))) == (0, True)
    assert ran.stdout.strip() != old
    assert ran.stdout.strip() not in ran.stderr
    status = doorcode("jwt", "status").stdout
    assert "CURRENT" in status
    assert "RETIRED" in status
    for text in (old, ran.stdout.strip()):
        assert text not in status
        assert text[:4] in status


@pytest.mark.parametrize("grace", ["-1", "2592001"])
def test_grace_that_cannot_be_is_said_and_changes_nothing(doorcode: Command, grace: str) -> None:
    enabled(doorcode)
    ran = doorcode("jwt", "rotate", "--grace", grace)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "30 days" in ran.stderr
    assert len(secret_ids(doorcode)) == 1


def test_revoke_and_disable_say_what_they_did_on_stderr(doorcode: Command) -> None:
    enabled(doorcode)
    [secret_id] = secret_ids(doorcode)
    for arguments in (["jwt", "revoke", secret_id], ["jwt", "disable"], ["jwt", "disable", "--end-sessions"]):
        ran = doorcode(*arguments)
        assert (ran.exit_code, ran.stdout) == (0, "")
        assert ran.stderr
    status = doorcode("jwt", "status").stdout
    assert status.startswith("JWT sign-in is disabled.")
    assert "REVOKED" in status
    ran = doorcode("jwt", "revoke", "nobody")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "There is no JWT secret with this id.\n"


def test_sign_in_and_sign_out_urls_are_set_and_cleared(doorcode: Command) -> None:
    ran = doorcode(
        "jwt", "sign-in-url", "https://crm.example.com/login?a=b", "--require-state", "--start-automatically"
    )
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "Sign-in starts at https://crm.example.com/login?a=b\n"
    assert doorcode("jwt", "sign-out-url", "http://localhost:3000/bye").exit_code == 0
    expected = (
        "Sign-in: signInUrl https://crm.example.com/login?a=b, signOutUrl http://localhost:3000/bye,"
        " startAutomatically yes, requireState yes\n"
    )
    assert expected in doorcode("jwt", "status").stdout
    ran = doorcode("jwt", "sign-in-url", "http://crm.example.com/")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("`signInUrl` must be an https URL")
    doorcode("jwt", "sign-in-url", "none", "--no-start-automatically")
    doorcode("jwt", "sign-out-url", "none")
    expected = "Sign-in: signInUrl none, signOutUrl none, startAutomatically no, requireState yes\n"
    assert expected in doorcode("jwt", "status").stdout


def test_branding_is_shown_and_changed(doorcode: Command, tmp_path: Path) -> None:
    (tmp_path / "shop.svg").write_text(SVG)
    ran = doorcode("branding", "name=Corner Shop", "accentColor=#2563eb", "logo=shop.svg")
    assert ran.exit_code == 0
    assert "Corner Shop" in ran.stdout
    doorcode("branding", "accentColor=none")
    lines = dict(line.split(maxsplit=1) for line in doorcode("branding").stdout.splitlines())
    assert (lines["name"], lines["accentColor"], lines["logoDark"]) == ("Corner Shop", "none", "none")
    assert lines["logo"].startswith("image/svg+xml, ")
    ran = doorcode("branding", "accentColor=#ffff00")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "with the light theme" in ran.stderr
    assert doorcode("branding", "logo=nowhere.png").exit_code == 1
    assert "one of these names" in doorcode("branding", "css=x").stderr


# ---------------------------------------------------------------- code


def test_signed_code_is_alone_on_stdout_and_says_what_was_asked(doorcode: Command) -> None:
    secret = enabled(doorcode)
    ran = doorcode(
        "code", "sign", "--user-id", "crm-42", "--email", "ada@example.com", "--meta", "plan=gold", "--meta", "a=b=c"
    )
    assert (ran.exit_code, bool(CODE.fullmatch(ran.stdout)), ran.stderr) == (0, True, "")
    claims = jwt.decode(ran.stdout.strip(), secret, ["HS256"])
    assert claims["user"] == {"id": "crm-42", "email": "ada@example.com", "plan": "gold", "a": "b=c"}
    assert claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(ran.stdout.strip())["kid"] == secret_ids(doorcode)[0]

    for arguments, expected in (
        (["--id", "crm-42"], {"id": "crm-42"}),
        (["--email", "a@b.cd"], {"email": "a@b.cd"}),
        (["--user-id", "1"], {"user": {"id": "1"}}),
    ):
        claims = jwt.decode(doorcode("code", "sign", *arguments).stdout.strip(), secret, ["HS256"])
        assert {name: claims[name] for name in ("user", "id", "email") if name in claims} == expected
    claims = jwt.decode(doorcode("code", "sign", "--id", "x", "--expires-in", "5").stdout.strip(), secret, ["HS256"])
    assert claims["exp"] - claims["iat"] == 5


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["--meta", "a=b"], 2),
        (["--id", "x", "--meta", "a=b"], 2),
        (["--user-id", "x", "--meta", "a"], 2),
        (["--user-id", "x", "--meta", "=b"], 2),
        (["--user-id", "x", "--meta", "id=b"], 2),
        (["--user-id", "x", "--expires-in", "x"], 2),
        (["--user-id", "x", "--expires-in", "0"], 1),
    ],
    ids=repr,
)
def test_code_that_cannot_be_signed_prints_nothing(doorcode: Command, arguments: list[str], status: int) -> None:
    enabled(doorcode)
    ran = doorcode("code", "sign", *arguments)
    assert (ran.exit_code, ran.stdout) == (status, "")
    assert ran.stderr


def test_without_a_secret_no_code_is_signed(doorcode: Command) -> None:
    ran = doorcode("code", "sign", "--id", "x")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "doorcode jwt enable" in ran.stderr


def test_inspection_ends_with_0_where_it_would_sign_in_and_with_1_where_not(doorcode: Command) -> None:
    secret = enabled(doorcode)
    good = doorcode("code", "sign", "--user-id", "crm-42").stdout
    ran = doorcode("code", "inspect", good.strip())
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "crm-42" in ran.stdout
    assert "creates the user" in ran.stdout
    piped = doorcode("code", "inspect", "-", stdin=good)
    assert (piped.exit_code, re.sub(r"\d", "", piped.stdout)) == (0, re.sub(r"\d", "", ran.stdout))
    assert "0 used" in doorcode("seats").stdout, "and nothing was done"

    ran = doorcode("code", "inspect", code_of(secret, {"user": {"id": "x"}, "exp": int(time.time() * 1000) - 10**14}))
    assert ran.exit_code == 1
    assert "CODE_EXPIRED" in ran.stdout
    ran = doorcode("code", "inspect", code_of(secret + "\n", {"user": {"id": "x"}}))
    assert ran.exit_code == 1
    assert "line end" in ran.stdout


@pytest.mark.parametrize(
    "claims",
    [
        {"\ud800": 1, "id": "x"},
        {"\x1b[31m": 1, "\x07": 2, "id": "x"},
        {"[bold]": 1, "[/]": 2, ":warning:": 3, "id": "x"},
        {"user": {"id": "[/red]x", "email": "ada@example.com"}},
        {"user": {"id": ":key:", "\x1b[31m": 1, "[/]": 2}},
        {"iss": "\ud800\x1b[2J"},
        {"user": {"id": "\u202ecrm"}},
    ],
    ids=ascii,
)
def test_inspection_of_odd_claims_is_shown_and_drives_no_terminal(doorcode: Command, claims: dict[str, Any]) -> None:
    secret = enabled(doorcode)
    ran = doorcode("code", "inspect", code_of(secret, claims))
    assert ran.exit_code in (0, 1), ran.exception
    assert "signature" in ran.stdout
    assert "\x1b" not in ran.stdout
    assert "\x07" not in ran.stdout
    ran.stdout.encode()


def test_kid_of_a_stranger_drives_no_terminal(doorcode: Command) -> None:
    secret = enabled(doorcode)
    doorcode("jwt", "rotate")
    code = code_of(secret, {"id": "x"}, kid=secret_ids(doorcode)[0])
    ran = doorcode("code", "inspect", code)
    assert ran.exit_code == 1
    ran = doorcode("code", "inspect", code_of(secret, {"id": "x"}, kid="\x1b[31m[/red]\ud800"))
    assert "\x1b" not in ran.stdout
    assert SignInErrorCode.UNKNOWN_USER in ran.stdout


# ---------------------------------------------------------------- api-key


def test_key_is_alone_on_stdout(doorcode: Command) -> None:
    for arguments in (["create", "deploys"], ["create", "x", "--scope", "admin"], ["create", "x", "--days", "30"]):
        ran = doorcode("api-key", *arguments)
        assert ran.exit_code == 0
        assert re.fullmatch(r"dck_[A-Za-z0-9_-]{43}\n", ran.stdout)
        assert ran.stdout.strip() not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["x", "--scope", "root"], 2),
        (["x", "--days", "0"], 2),
        (["x", "--days", "x"], 2),
        ([""], 1),
        (["x" * 101], 1),
    ],
    ids=repr,
)
def test_key_that_cannot_be_made_prints_nothing(doorcode: Command, arguments: list[str], status: int) -> None:
    ran = doorcode("api-key", "create", *arguments)
    assert (ran.exit_code, ran.stdout) == (status, "")


# ---------------------------------------------------------------- users, seats, signing keys, schema


def test_seats_are_shown_and_limited(doorcode: Command) -> None:
    assert doorcode("seats").stdout.startswith("0 used, no limit\n")
    assert doorcode("seats", "--limit", "5").stdout.startswith("0 of 5 used, 5 free\n")
    assert doorcode("seats").stdout.startswith("0 of 5 used, 5 free\n")
    assert doorcode("seats", "--limit", "none").stdout.startswith("0 used, no limit\n")
    for limit, status in (("x", 2), ("-1", 2), ("1.5", 2), ("", 2), ("\u00b2", 2), ("99999999999", 1)):
        ran = doorcode("seats", "--limit", limit)
        assert (ran.exit_code, ran.stdout) == (status, ""), limit


async def _sign_in(environ: dict[str, str], secret: str, *people: Mapping[str, object]) -> None:
    async with open_instance(load_settings(environ)) as instance:
        for person in people:
            await sign_in(instance, code_of(secret, {"user": person}))


def test_users_are_listed_whatever_they_are_called(doorcode: Command, environ: dict[str, str]) -> None:
    secret = enabled(doorcode)
    names = ["crm-42", "[/red]", "[bold]x[/bold]", ":key:", "\U0001f600", "x" * 255, "a\u202eback", "a b"]
    asyncio.run(_sign_in(environ, secret, *({"id": name, "email": f"{n}@example.com"} for n, name in enumerate(names))))
    ran = doorcode("users", "list")
    assert ran.exit_code == 0, ran.exception
    for name in names:
        assert name in ran.stdout
    assert "8 of 8 users." in ran.stderr
    assert "crm-42" not in doorcode("users", "list", "--search", "5@example").stdout
    assert "crm-42" in doorcode("users", "list", "--search", "CRM").stdout
    assert doorcode("users", "list", "--first", "3").stderr == "3 of 8 users.\n"
    assert "0 of 0 users." in doorcode("users", "list", "--origin", "email").stderr
    assert "0 of 0 users." in doorcode("users", "list", "--status", "deactivated").stderr
    for arguments in (["--first", "0"], ["--first", "201"], ["--origin", "x"]):
        assert doorcode("users", "list", *arguments).exit_code == 2
    assert doorcode("users", "list", "--search", "x" * 256).exit_code == 1


def test_signing_key_s_id_is_alone_on_stdout(doorcode: Command) -> None:
    first, second = doorcode("signing-key", "rotate"), doorcode("signing-key", "rotate")
    for ran in (first, second):
        assert ran.exit_code == 0
        assert re.fullmatch(r"sk_[0-9a-f]{32}\n", ran.stdout)
    assert first.stdout != second.stdout


def test_schema_is_alone_on_stdout(doorcode: Command) -> None:
    ran = doorcode("schema")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.strip() == (ROOT / "schema.graphql").read_text().strip()


def test_migrate_says_on_stderr_that_it_is_done(doorcode: Command) -> None:
    ran = doorcode("migrate")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "The database is up to date.\n")


# ---------------------------------------------------------------- how commands fail


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_setting_that_is_wrong_is_one_line_and_status_1(doorcode: Command, command: list[str]) -> None:
    ran = doorcode(*command, session_lifetime="x")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert re.fullmatch(r"DOORCODE_SESSION_LIFETIME: .+\n", ran.stderr)


@pytest.mark.parametrize("command", COMMANDS[1:], ids=" ".join)
def test_key_that_does_not_fit_is_one_line_and_status_1(doorcode: Command, command: list[str], tmp_path: Path) -> None:
    doorcode("jwt", "status")
    key_of(tmp_path / "other")
    ran = doorcode(*command, data_dir=str(tmp_path / "other"))
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert re.fullmatch(r"DOORCODE_ENCRYPTION_KEYS: .+\n", ran.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["jwt", "nonsense"], ["jwt", "enable", "x"], ["--nonsense"], ["serve", "--port", "0"]],
    ids=repr,
)
def test_usage_error_is_status_2_on_stderr(doorcode: Command, arguments: list[str]) -> None:
    ran = doorcode(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr


def test_every_command_says_what_it_is_for(doorcode: Command) -> None:
    for command in ([], ["serve"], ["jwt"], ["code"], ["users"], ["api-key"], ["signing-key"], ["admin"], *COMMANDS):
        ran = doorcode(*[word for word in command if word not in ("x", "--id")], "--help")
        assert ran.exit_code == 0
        assert "Usage: doorcode" in ran.stdout


def test_what_a_command_does_is_said_in_the_audit_log_to_be_the_command_line_s(
    doorcode: Command, environ: dict[str, str]
) -> None:
    enabled(doorcode)
    doorcode("seats", "--limit", "5")

    async def actors() -> list[tuple[str, str, str | None]]:
        async with open_instance(load_settings(environ)):
            return [
                (row["action"], row["actor"], row["ip_address"]) for row in await rows("audit_events", "ORDER BY id")
            ]

    assert asyncio.run(actors()) == [("jwt.enabled", "cli", None), ("seats.limit_set", "cli", None)]
