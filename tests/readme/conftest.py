"""A served instance to try the README's programs on, and a directory for those that run in Node.js."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.processes import ROOT, Server
from tests.programs import Programs

PATIENCE = 600.0  # seconds; installing and compiling take a while on a busy machine


class Doorcode:
    """A running instance: its commands, and GraphQL with a key of scope ADMIN."""

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
        self._directory = directory
        self._environ = {**inherited, "PYTHONPATH": str(ROOT), **(environ or {})}
        self.server = Server(directory, environ or {})
        self.server.wait_until_ready()
        self.url = self.server.url
        self.secret = self.run("jwt", "enable")
        self._key = self.run("api-key", "create", "tests", "--scope", "admin")

    def run(self, *command: str) -> str:
        """What `doorcode …` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "service", *command],
            cwd=self._directory,
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def ask(self, document: str, variables: Mapping[str, object] | None = None) -> Any:
        """The data of an answer that has no errors."""
        answer = httpx2.post(
            f"{self.url}/graphql",
            json={"query": document, "variables": dict(variables or {})},
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=30,
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def set_policy(self, **policy: object) -> None:
        """Asks this of codes."""
        document = "mutation ($policy: JwtPolicyInput!) { updateJwtPolicy(policy: $policy) { enabled } }"
        self.ask(document, {"policy": policy})


@pytest.fixture(scope="package")
def doorcode(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Doorcode]:
    """One for all; a test that changes the policy or the seats puts them back."""
    running = Doorcode(tmp_path_factory.mktemp("doorcode"))
    yield running
    running.server.close()


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> "NodeDirectory":
    """A directory where Node.js finds the packages that the README's programs import."""
    return NodeDirectory(tmp_path_factory.mktemp("node"))


class NodeDirectory:
    """A directory to run modules in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("package.json", "package-lock.json"):
            shutil.copy(Path(__file__).with_name(name), path)
        npm = [node_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=path, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)

    def run(self, name: str, text: str, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """What a module with this name and text prints."""
        (self.path / name).write_text(text)
        done = subprocess.run(
            [node_program("node"), name, *arguments],
            cwd=self.path,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def node_program(name: str) -> str:
    """Node.js and npm as the environment of the tests brings them, else the system's."""
    local = Path(sys.executable).with_name(name)
    found = str(local) if local.exists() else shutil.which(name)
    assert found, f"there is no {name}: run scripts/test, which installs it"
    return found
