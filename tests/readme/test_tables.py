"""The tables, operations and links of the README and the guide say what the service has, and all of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from graphql import build_schema, parse, validate
from prometheus_client import REGISTRY, generate_latest

from service.audit.actions import Action
from service.cli import command_line
from service.errors import ErrorCode
from service.external_auth.policy import Policy
from service.graphql.server import limits, requests
from service.paging import DEFAULT_PAGE, MAX_PAGE_SIZE
from service.refusal_texts import SignInErrorCode
from service.setting_sources import PREFIX
from service.settings import SECRET_SETTINGS, Settings
from service.web.guide.chapters import PICTURES
from service.web.guide.markdown import anchor_of
from tests.processes import ROOT
from tests.readme.document import DOCUMENTS, GUIDE, NOT_RUN, README, Block, blocks, operations, table

# If a default is worked out, the tables say how.
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


@pytest.mark.parametrize("heading", ["Settings", "7. Settings"])
def test_settings_table_is_the_settings(heading: str) -> None:
    rows = table(heading, "Name")

    assert {name: default for name, default, _ in rows} == {
        f"{PREFIX}{name.upper()}": written_default(name) for name in Settings.model_fields
    }


@pytest.mark.parametrize("document", ["contract.md", "operator.md"])
def test_settings_that_may_be_files_are_named(document: str) -> None:
    [paragraph] = [text for text in DOCUMENTS[document].split("\n\n") if "`_FILE`" in text]

    named = {name.removeprefix(PREFIX).lower() for name in re.findall(r"`(DOORCODE_[A-Z_]+)`", paragraph)}
    assert named == SECRET_SETTINGS


def test_table_of_the_audit_log_has_every_action_once() -> None:
    named = [name for cell, _ in table("Audit log", "Action") for name in re.findall(r"[\w.]+", cell)]
    assert sorted(named) == sorted(Action)


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

    assert sorted(switches) == sorted(_camel(name) for name in Policy.model_fields)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def test_command_table_has_every_command() -> None:
    commands = [name for name, _ in table("Commands", "Command")]

    assert sorted(commands) == sorted(_commands_of(typer.main.get_command(command_line()), "doorcode"))


def test_contract_has_every_command_with_all_of_its_options() -> None:
    commands = _commands_of(typer.main.get_command(command_line()), "doorcode")
    written = {_name_of_command(usage): usage for usage, _ in table("6. Commands", "Command")}

    assert sorted(written) == sorted(commands)
    for name, usage in written.items():
        options = {parameter.opts[0] for parameter in commands[name].params if parameter.opts[0].startswith("--")}
        assert set(re.findall(r"--[\w-]+", usage)) == options - {"--help"}, usage


def _name_of_command(usage: str) -> str:
    """The words before the first argument, option or remark."""
    found = re.match(r"[a-z -]+\b(?= |$)", usage)
    assert found, usage
    return found[0].strip()


def _commands_of(command: Any, name: str) -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {name: command}
    found: dict[str, Any] = {}
    for inner, subcommand in command.commands.items():
        found |= _commands_of(subcommand, f"{name} {inner}")
    return found


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
        f"{MAX_PAGE_SIZE} nodes; {DEFAULT_PAGE} by default",
    ]


@pytest.mark.parametrize(("block", "document"), operations(), ids=str)
def test_operation_is_valid(block: Block, document: str) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())

    assert validate(schema, parse(document)) == [], str(block)


def test_operations_are_found_in_every_language() -> None:
    assert {block.language for block, _ in operations()} >= {"bash", "graphql", "js"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(document: str) -> None:
    here = (ROOT if document == README else GUIDE) / document
    links = [link for link in _links_of(here) if not link.startswith("https://")]

    for link in links:
        name, _, anchor = link.partition("#")
        target = here.parent / name if name else here
        assert target.exists(), link
        assert not anchor or anchor in _anchors_of(target), link


def _links_of(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", path.read_text())


def _anchors_of(path: Path) -> set[str]:
    outside_of_code = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", outside_of_code, re.MULTILINE)}


def test_links_of_chapters_lead_to_chapters_so_that_they_work_when_served() -> None:
    for name in DOCUMENTS:
        if name != README:
            links = [link for link in _links_of(GUIDE / name) if not link.startswith(("https://", "#", "samples/"))]
            links = [link for link in links if link.removesuffix(".svg") not in PICTURES]
            assert [link for link in links if link.partition("#")[0] not in DOCUMENTS] == []


def test_no_heading_stands_twice_in_a_document() -> None:
    for name, text in DOCUMENTS.items():
        headings = re.findall(
            r"^##+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
        )
        assert len(headings) == len(set(headings)), name


def test_every_shell_block_is_run_or_says_why_not() -> None:
    remarks = [block.remark for block in blocks() if block.language == "bash" and not block.is_run]

    assert all(len(remark) > len(NOT_RUN) + 10 for remark in remarks)
    assert not [str(block) for block in blocks() if block.language in {"sh", "shell", "console", "zsh"}]
