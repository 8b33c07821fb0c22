"""Commands of this process: quicker than a process for each. `test_in_a_shell.py` has those of their own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import command_line
from service.encryption import key_of
from tests.logging_state import restored_logging

Command = Callable[..., Result]


@pytest.fixture
def doorcode(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """`doorcode("jwt", "enable")` runs the command on `database_url`; keywords are settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DOORCODE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, stdin: str | None = None, **settings: str) -> Result:
        env = {**environ, **{f"DOORCODE_{name.upper()}": value for name, value in settings.items()}}
        return CliRunner().invoke(command_line(), list(arguments), input=stdin, env=env, prog_name="doorcode")

    key_of(Path(environ["DOORCODE_DATA_DIR"]))  # as a server has left it
    with restored_logging():
        yield run
