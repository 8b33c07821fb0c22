"""The README's tables, operations and links say what the service has, and all of it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from graphql import build_schema, parse, validate
from prometheus_client import REGISTRY, generate_latest

from service.cli import app
from service.errors import ErrorCode, SignInErrorCode
from service.external_auth.policy import Policy
from service.graphql.server import limits, requests
from service.paging import DEFAULT_PAGE, MAX_PAGE_SIZE
from service.settings import PREFIX, Settings
from tests.readme.document import NOT_RUN, README, blocks, operations, table
from tests.servers import ROOT

# Where a default is worked out, the README says how.
WORKED_OUT = {
    "database_url": "sqlite://<data dir>/doorcode.sqlite3",
    "data_dir": "./data",
    "encryption_keys": "the file <data dir>/encryption.key",
    "public_url": "http://HOST:PORT on loopback",
    "insecure_http": "0",
    "log_format": "console on a terminal, else json",
    "mail_from": "no-reply@<host of the public URL>",
}


def written_default(name: str) -> str:
    default = Settings.model_fields[name].default
    if name in WORKED_OUT:
        return WORKED_OUT[name]
    if isinstance(default, bool):
        return "on" if default else "off"
    return "none" if default in (None, ()) else str(default)


def test_settings_table_is_the_settings() -> None:
    rows = table("Settings", "Name")

    assert {name: default for name, default, _ in rows} == {
        f"{PREFIX}{name.upper()}": written_default(name) for name in Settings.model_fields
    }


def test_error_table_has_every_code_with_the_remedies_that_are_explained() -> None:
    remedies = {row[0] for row in table("What to do on every error code", "Do")}
    codes = table("What to do on every error code", "code")

    assert [code for code, *_ in codes] == [code.value for code in SignInErrorCode]
    assert {remedy for _, remedy, _ in codes} == remedies


def test_table_of_errors_has_every_code() -> None:
    codes = table("What to do on every error code", "extensions.code")

    assert [code for code, *_ in codes] == [code.value for code in ErrorCode]


def test_metrics_table_has_every_result_of_a_mail() -> None:
    [about_mails] = [about for name, about in table("Health and metrics", "Metric") if name == "doorcode_mails_total"]

    assert [result for result in ("sent", "retried", "dropped", "unwanted") if result not in about_mails] == []


def test_policy_table_has_every_switch() -> None:
    switches = [name for row in table("Policy", "Switch") for name in row[0].split(", ")]

    assert sorted(switches) == sorted(_camel(name) for name in Policy.__slots__)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def test_command_table_has_every_command() -> None:
    commands = [name for name, _ in table("Commands", "Command")]

    assert sorted(commands) == sorted(_commands_of(typer.main.get_command(app), "doorcode"))


def _commands_of(command: Any, name: str) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield name
        return
    for inner, subcommand in command.commands.items():
        yield from _commands_of(subcommand, f"{name} {inner}")


def test_script_table_has_every_script_that_a_developer_runs() -> None:
    scripts = [name for name, _ in table("Working on Doorcode", "Command")]

    assert sorted(scripts) == sorted(
        f"./scripts/{path.name}" for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix
    )


def test_metrics_table_has_every_metric() -> None:
    metrics = {name for row in table("Health and metrics", "Metric") for name in row[0].split(", ")}
    families = re.findall(r"^# TYPE (doorcode_\w+)", generate_latest(REGISTRY).decode(), re.MULTILINE)

    assert metrics == {name for name in families if not name.endswith("_created")}


def test_limits_table_has_the_limits() -> None:
    assert [limit for _, limit in table("GraphQL limits", "What")] == [
        f"{requests.MAX_BODY // 1024} KiB",
        f"{limits.MAX_DEPTH}",
        f"{limits.MAX_TOKENS:,}",
        f"{limits.MAX_ALIASES}",
        f"{limits.MAX_NODES:,}",
        f"{MAX_PAGE_SIZE} nodes; {DEFAULT_PAGE} unless you say",
    ]


@pytest.mark.parametrize(("line", "document"), operations())
def test_operation_is_valid(line: int, document: str) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())

    assert validate(schema, parse(document)) == [], f"the block in line {line}"


def test_operations_are_found_wherever_they_stand() -> None:
    languages = {block.line: block.language for block in blocks()}

    assert {languages[line] for line, _ in operations()} >= {"bash", "graphql", "js"}


def test_every_link_leads_somewhere() -> None:
    text = README.read_text()
    anchors = {_anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(([^)\s]+)\)", text)

    assert [link for link in links if link.startswith("#") and link not in anchors] == []
    assert [link for link in links if not link.startswith(("#", "https://")) and not (ROOT / link).exists()] == []


def _anchor_of(heading: str) -> str:
    return "#" + re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower()


def test_every_shell_block_is_run_or_says_why_not() -> None:
    remarks = [block.remark for block in blocks() if block.language == "bash" and not block.is_run]

    assert all(len(remark) > len(NOT_RUN) + 10 for remark in remarks)
    assert not [block.line for block in blocks() if block.language in {"sh", "shell", "console", "zsh"}]
