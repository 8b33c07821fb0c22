"""`doorcode audit list`, and the events that other commands leave."""

import asyncio
import csv
import json
from pathlib import Path

import pytest

from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import Actor
from service.instance import open_instance
from service.settings import load_settings
from tests.actions import CLIENT, code_of, refusal_of, sign_in
from tests.cli.conftest import Command


def listed(doorcode: Command, *arguments: str) -> list[str]:
    """The rows below the heading."""
    ran = doorcode("audit", "list", *arguments)
    assert ran.exit_code == 0, ran.output
    return [line for line in ran.stdout.splitlines() if " UTC " in line]


def test_leaked_secret_is_asked_for_on_the_command_line(doorcode: Command, environ: dict[str, str]) -> None:
    text = doorcode("jwt", "enable").stdout.strip()

    async def leak() -> tuple[str, str]:
        async with open_instance(load_settings(environ)) as instance:
            result = await sign_in(instance, code_of(text, {"user": {"id": "ada"}}))
            refused = await refusal_of(instance, code_of(text, {"id": "unknown"}))
            return str(result.session.secret_id), refused.reference

    secret, reference = asyncio.run(leak())
    [row] = listed(doorcode, "--secret", secret, "--action", "session.opened", "--ip", str(CLIENT.ip_address))
    assert "ada" in row
    assert f"code:{secret}" in row
    assert '"count": 1' in row
    [row] = listed(doorcode, "--reference", reference)
    assert "sign_in.refused" in row
    assert listed(doorcode, "--user", "ada", "--before", "2001-01-01") == []
    assert len(listed(doorcode, "--actor", "cli", "--after", "2001-01-01T00:00:00")) == 1
    ran = doorcode("audit", "list", "--first", "1")
    assert "There are older events. Show them with: --before " in ran.stderr
    before = ran.stderr.rsplit("--before ", 1)[1].strip()
    assert len(listed(doorcode, "--before", before)) == len(listed(doorcode)) - 1


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--action", "no.action"], 2), (["--before", "soon"], 2), (["--ip", "x"], 1)], ids=repr
)
def test_filter_that_is_not_valid_lists_nothing(doorcode: Command, arguments: list[str], status: int) -> None:
    ran = doorcode("audit", "list", *arguments)
    assert (ran.exit_code, ran.stdout) == (status, "")


def test_codes_that_the_operator_signs_and_inspects_are_events_without_the_code(doorcode: Command) -> None:
    doorcode("jwt", "enable")
    code = doorcode("code", "sign", "--user-id", "ada", "--email", "ada@example.com").stdout.strip()
    doorcode("code", "inspect", code)
    doorcode("code", "inspect", "junk")
    [signed] = listed(doorcode, "--action", "code.signed", "--user", "ada")
    assert "ada@example.com" in signed
    assert [row.count("MALFORMED_CODE") for row in listed(doorcode, "--action", "code.inspected")] == [1, 0]
    assert code.split(".")[1] not in "".join(listed(doorcode))


def test_reference_is_looked_up_on_the_command_line(doorcode: Command, environ: dict[str, str]) -> None:
    doorcode("jwt", "enable")

    async def refuse() -> str:
        async with open_instance(load_settings(environ)) as instance:
            return (await refusal_of(instance, "junk")).reference

    reference = asyncio.run(refuse())
    ran = doorcode("refusal", reference.lower())
    assert ran.exit_code == 0
    for text in (reference, "MALFORMED_CODE", str(CLIENT.ip_address), "This sign-in link is damaged or incomplete"):
        assert text in ran.stdout
    ran = doorcode("refusal", "K7XA249Z5R")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "K7XA249Z5R" in ran.stderr
    assert reference in doorcode("refusals", "--code", "malformed_code", "--ip", str(CLIENT.ip_address)).stdout
    assert reference not in doorcode("refusals", "--code", "CODE_EXPIRED").stdout
    assert doorcode("refusals", "--ip", "x").exit_code == 1
    shown = doorcode("overview", "--days", "2").stdout
    assert "MALFORMED_CODE 1" in shown
    assert "Mails: 0 waiting, 0 sent, 0 tried again, 0 given up." in shown


def test_export_writes_what_the_filters_let_through_in_both_formats(
    doorcode: Command, environ: dict[str, str], tmp_path: Path
) -> None:
    async def fill() -> None:
        async with open_instance(load_settings(environ)):
            for number in range(450):
                await record_hourly(
                    Action.CODE_INSPECTED, Actor("=1+1"), person=str(number), reason="x", user_id=f"{number:03}"
                )

    asyncio.run(fill())
    csv_path, lines_path = tmp_path / "log.csv", tmp_path / "log.jsonl"
    ran = doorcode("audit", "export", str(csv_path), "--action", "code.inspected")
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.output
    with csv_path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert sorted(row["userId"] for row in found) == [f"{number:03}" for number in range(450)]
    assert {row["actor"] for row in found} == {"'=1+1"}
    assert doorcode("audit", "export", str(lines_path), "--format", "jsonl", "--user", "007").exit_code == 0
    [event] = map(json.loads, lines_path.read_text().splitlines())
    assert (event["userId"], event["actor"], event["detail"]) == ("007", "=1+1", {"count": 1})
    ran = doorcode("audit", "export", "-", "--format", "jsonl", "--action", "audit.exported")
    assert [json.loads(line)["detail"]["filter"] for line in ran.stdout.splitlines()] == [
        {"action": "audit.exported"},
        {"user_id": "007"},
        {"action": "code.inspected"},
    ]


def test_export_that_cannot_be_made_is_refused(doorcode: Command, tmp_path: Path) -> None:
    assert doorcode("audit", "export", str(tmp_path / "x"), "--ip", "x").exit_code == 1
    assert not (tmp_path / "x").exists()
    assert doorcode("audit", "export", str(tmp_path / "no" / "x")).exit_code == 1
    assert doorcode("audit", "export", str(tmp_path / "x"), "--format", "xml").exit_code == 2
