"""Commands as processes, in a real shell: what a script can build on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from tests.actions import code_of
from tests.processes import ROOT
from tests.programs import Programs

Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(sqlite_url: str, tmp_path: Path, programs: Programs) -> Shell:
    """Runs a script that knows `doorcode`, which is this very service."""
    environ = {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    wrapper = tmp_path / "bin" / "doorcode"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service "$@"\n')
    wrapper.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
    path = f"{wrapper.parent}:{os.environ['PATH']}"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(ROOT), **environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_what_a_command_prints_can_be_put_into_a_variable(shell: Shell) -> None:
    ran = shell(
        """
        set -eu
        secret=$(doorcode jwt enable 2>/dev/null)
        code=$(doorcode code sign --user-id crm-42 --email ada@example.com)
        key=$(doorcode api-key create ci 2>/dev/null)
        doorcode code inspect "$code" >inspected
        printf '%s' "$code" | doorcode code inspect - >/dev/null
        printf '%s\\n%s\\n%s\\n' "$secret" "$code" "$key"
        """
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    secret, code, key = ran.stdout.splitlines()
    assert jwt.decode(code, secret, ["HS256"])["user"] == {"id": "crm-42", "email": "ada@example.com"}
    assert key.startswith("dck_")


def test_answer_no_stops_a_script_and_says_why_without_a_traceback(shell: Shell) -> None:
    ran = shell("set -e; doorcode seats --limit 5 >/dev/null; doorcode code sign --id nobody; echo went on")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "There is no current secret. Enable JWT sign-in, which makes one: doorcode jwt enable\n"


def test_reader_that_goes_away_is_no_error_of_ours(shell: Shell) -> None:
    ran = shell("doorcode schema | head -n 1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == 1


def test_code_from_a_file_in_whatever_encoding_the_terminal_has(shell: Shell, tmp_path: Path) -> None:
    secret = shell("doorcode jwt enable").stdout.strip()
    (tmp_path / "code").write_text(code_of(secret, {"id": "x", "\ud800": 1, "\u00e9": 2}))
    ran = shell("PYTHONUTF8=0 LC_ALL=C doorcode code inspect - <code")
    assert ran.returncode == 1
    assert "UNKNOWN_USER" in ran.stdout
    assert "Traceback" not in ran.stderr
    ran = shell("printf '\\377\\376' | doorcode code inspect -")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "MALFORMED_CODE" in ran.stdout


def test_settings_stand_in_a_file_of_the_working_directory_too(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DOORCODE_SESSION_LIFETIME=x\n")
    ran = shell("doorcode seats")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("DOORCODE_SESSION_LIFETIME: ")


def test_installed_command_is_the_same(programs: Programs) -> None:
    installed = Path(sys.executable).with_name("doorcode")
    assert installed.exists() or shutil.which("doorcode")
    for arguments in ([str(installed), "--help"], [sys.executable, "-m", "service", "--help"]):
        ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 0
        assert "signing-key" in ran.stdout
