"""`doorcode audit list`, and the events that other commands leave."""

import asyncio

import pytest

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
