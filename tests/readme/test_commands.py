"""A reader follows the README, or a chapter: every shell block is run as it is written, in order, in one shell, in a fresh checkout.

A chapter assumes a server that runs, as the README starts it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, free_port
from tests.programs import Programs
from tests.readme.conftest import PATIENCE
from tests.readme.document import ADDRESS, DOCUMENTS, README, Block, shell

POSTGRES = "postgres://doorcode:secret@127.0.0.1:5432/doorcode"

# The first server stays, as in a reader's first shell. Those after it show that they get ready and end well.
PRELUDE = """
set -euo pipefail

serve() {
  local port=$FIRST_PORT pid
  [ -z "${server-}" ] || port=$SECOND_PORT
  ./scripts/serve --port "$port" "$@" >>server.out 2>>server.err &
  pid=$!
  until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do
    kill -0 "$pid"
    sleep 0.1
  done
  if [ -z "${server-}" ]; then
    server=$pid
  else
    kill "$pid"
    wait "$pid" || [ $? -eq 143 ]
  fi
}
trap '[ -z "${server-}" ] || { kill "$server"; wait "$server" || [ $? -eq 143 ]; }' EXIT
"""


@pytest.fixture
def checkout(tmp_path: Path, programs: Programs) -> Path:
    """A checkout with the scripts as they are, and an environment that takes what it needs from the one of these tests."""
    programs.require("curl")
    path = tmp_path / "doorcode"
    binaries = path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", path / "scripts", ignore=shutil.ignore_patterns("*.d", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", path)
    python = f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)}"
    for name, arguments in (("python", ""), ("doorcode", " -m service")):
        (binaries / name).write_text(f'{python}{arguments} "$@"\n')
        (binaries / name).chmod(0o755)
    made_from = ". scripts/venv.sh && sources runtime >.venv/made-from"
    subprocess.run(["bash", "-c", made_from], cwd=path, check=True)
    return path


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if shell(document)])
def test_every_command_works_as_it_is_written(document: str, checkout: Path, empty_postgres_url: str) -> None:
    port = free_port()
    blocks = shell(document)
    script = [PRELUDE] if document == README else [PRELUDE, "serve"]
    for number, (block, _) in enumerate(blocks):
        text = block.text.replace(ADDRESS, f"127.0.0.1:{port}").replace(POSTGRES, empty_postgres_url)
        text = re.sub(r"^(\w+=\S+ )*\./scripts/serve\b", r"\1serve", text, flags=re.MULTILINE)
        script += [f"{{\n{text}\n}} >{number}.out 2>{number}.err", f"touch {number}.done"]
    follow(checkout, "\n".join(script), port)

    for number, (block, expected) in enumerate(blocks):
        check(checkout, number, block, expected)


def follow(checkout: Path, script: str, port: int) -> None:
    (checkout / "follow.sh").write_text(script)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
    ports = {"FIRST_PORT": str(port), "SECOND_PORT": str(free_port())}
    reader = subprocess.Popen(
        ["bash", "follow.sh"],
        cwd=checkout,
        env={**environ, **ports},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        reader.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(reader.pid, signal.SIGKILL)
        reader.wait()


def check(checkout: Path, number: int, block: Block, expected: str | None) -> None:
    def said(name: str) -> str:
        path = checkout / name
        return path.read_text() if path.exists() else ""

    output, errors = said(f"{number}.out"), said(f"{number}.err")
    where = f"the block in {block}:\n{block.text}\nprinted:\n{output}\nand said:\n{errors}"
    assert (checkout / f"{number}.done").exists(), f"{where}\nthe server said:\n{said('server.err')}"
    assert "Traceback" not in errors, where
    assert '"errors":' not in output, where
    if expected is not None:
        for line in expected.splitlines():
            assert re.search(re.escape(line).replace("…", ".*"), output), f"{where}\nand not this:\n{line}"
