"""Runs every program in the guide that signs a code. The strictest policy accepts its code."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.programs import Programs
from tests.readme.conftest import PATIENCE, Doorcode, NodeDirectory, node_program
from tests.readme.document import Program
from tests.readme.document import programs as documented_programs

EXCHANGE = """
    mutation ($code: String!) {
      exchangeExternalAuthCode(externalAuthCode: $code) {
        ... on SessionGrant { user { id email metadata } }
        ... on SignInError { code message }
      }
    }
"""
ADA = {"id": "crm-42", "email": "ada@example.com", "metadata": {"name": "Ada"}}


def words_of(program: Program) -> list[str]:
    """How to run it, once what the guide says to install is installed."""
    assert program.command
    return program.command.rpartition("&& ")[2].split()


SIGNING = [program for program in documented_programs().values() if program.command]
FOR_ALL = [program for program in SIGNING if words_of(program)[0] in ("node", "python")]
FOR_SOME = [program for program in SIGNING if program not in FOR_ALL]
MONO_LIBRARY = "/usr/lib/mono/4.5/System.Web.Extensions.dll"
REQUIRED = {
    "php": ["php"],
    "ruby": ["ruby"],
    "go": ["go"],
    "java": ["javac"],  # a Java that cannot compile runs no source file
    "dotnet": ["mcs", "mono", MONO_LIBRARY],  # Mono if there is no .NET: Debian has no .NET
}
JSON_FOR_MONO = Path(__file__).with_name("JsonForMono.cs")


@pytest.fixture(scope="module", autouse=True)
def _strictest_policy(doorcode: Doorcode) -> Iterator[None]:
    doorcode.set_policy(requireExpiry=True, maxLifetimeSeconds=300, singleUse=True)
    yield
    doorcode.set_policy(requireExpiry=False, maxLifetimeSeconds=None, singleUse=False)


def test_there_is_one_in_every_language_that_the_guide_promises() -> None:
    assert [program.name for program in SIGNING] == [
        "sign-jsonwebtoken.mjs",
        "sign-jose.mjs",
        "sign.py",
        "sign.php",
        "sign.rb",
        "sign.go",
        "Sign.java",
        "Program.cs",
    ]


@pytest.mark.parametrize("program", FOR_ALL, ids=str)
def test_code_is_let_in(program: Program, doorcode: Doorcode, node: NodeDirectory) -> None:
    check_code_of(program, doorcode, node.path)


@pytest.mark.parametrize("program", FOR_SOME, ids=str)
def test_code_is_let_in_where_the_language_is_installed(
    program: Program, doorcode: Doorcode, tmp_path: Path, programs: Programs
) -> None:
    programs.require(*REQUIRED[words_of(program)[0]])
    check_code_of(program, doorcode, tmp_path)


def check_code_of(program: Program, doorcode: Doorcode, directory: Path) -> None:
    code = run(program, doorcode.secret, directory)

    assert exchange(doorcode, code) == {"user": ADA}
    assert exchange(doorcode, code)["code"] == "CODE_ALREADY_USED"


def run(program: Program, secret: str, directory: Path) -> str:
    (directory / program.name).write_text(program.text)
    done = subprocess.run(
        prepared(program, directory),
        cwd=directory,
        env={**os.environ, "DOORCODE_JWT_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def prepared(program: Program, directory: Path) -> list[str]:
    """The command that runs the program, once what compiles it has done its part."""
    runtime, *arguments = words_of(program)
    if runtime != "dotnet":
        return [path_of(runtime), *arguments]
    if shutil.which("dotnet"):
        make(directory, "bash", "-ec", (program.command or "").rpartition(" && ")[0])
        return [runtime, *arguments]
    make(directory, "mcs", "-r:System.Web.Extensions", "-out:program.exe", program.name, str(JSON_FOR_MONO))
    return ["mono", "program.exe"]


def make(directory: Path, *command: str) -> None:
    subprocess.run(command, cwd=directory, check=True, timeout=PATIENCE)


def path_of(runtime: str) -> str:
    if runtime == "python":
        return sys.executable
    return node_program("node") if runtime == "node" else runtime


def exchange(doorcode: Doorcode, code: str) -> Any:
    body = {"query": EXCHANGE, "variables": {"code": code}}
    answer = httpx2.post(f"{doorcode.url}/graphql", json=body, timeout=30).json()
    return answer["data"]["exchangeExternalAuthCode"]
