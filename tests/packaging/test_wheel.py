"""The wheel, installed without a checkout from the locked packages: it serves, and signs a user in."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from tests.packaging.pythons import supported_pythons
from tests.processes import ROOT, free_port
from tests.programs import Programs

PATIENCE = 600.0  # seconds; pip loads and unpacks some 50 packages
EXCHANGE = (
    "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) {"
    " ... on SessionGrant { token user { id } } ... on SignInError { code } } }"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Path:
    """What `scripts/wheel` builds, from this checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    build = f"import os; os.chdir({str(ROOT)!r}); from flit_core.buildapi import build_wheel; print(build_wheel({str(directory)!r}))"
    name = subprocess.run([sys.executable, "-c", build], check=True, capture_output=True, text=True).stdout.strip()
    return directory / name


def test_wheel_has_every_file_of_the_service(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "service"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = set(listed.stdout.splitlines())
    assert len(files) > 300
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_installed_wheel_signs_a_user_in_on_each_supported_python(wheel: Path, tmp_path: Path) -> None:
    pythons = supported_pythons()
    assert pythons
    for python in pythons:
        directory = tmp_path / python.version
        directory.mkdir()
        _install_and_sign_in(python.path, wheel, directory)


def _install_and_sign_in(python: str, wheel: Path, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DOORCODE_", "PYTHON"))}

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            arguments, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run(python, "-m", "venv", "env")
    pip: list[str | Path] = [
        tmp_path / "env/bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    run(*pip, "--require-hashes", "-r", ROOT / "scripts/requirements.txt")
    run(*pip, "--no-index", "--no-deps", wheel)
    doorcode = tmp_path / "env/bin/doorcode"
    secret_shown = run(doorcode, "jwt", "enable")
    assert len(secret_shown) == 43
    code = run(doorcode, "code", "sign", "--user-id", "crm-42")
    port = str(free_port())
    with (tmp_path / "errors").open("w") as errors:
        server = subprocess.Popen([doorcode, "serve", "--port", port], cwd=tmp_path, env=environ, stderr=errors)
    try:
        health: list[str | Path] = [doorcode, "health", "--ready", "--port", port]
        while subprocess.run(health, cwd=tmp_path, env=environ, capture_output=True, check=False).returncode:
            assert server.poll() is None, (tmp_path / "errors").read_text()
        url = f"http://127.0.0.1:{port}"
        answer = httpx2.post(f"{url}/graphql", json={"query": EXCHANGE, "variables": {"code": code}}, timeout=30).json()
        assert answer["data"]["exchangeExternalAuthCode"]["user"] == {"id": "crm-42"}
        for path in ("/login", "/widget.js", "/guide/operator", "/admin"):
            assert httpx2.get(f"{url}{path}", timeout=30, follow_redirects=True).status_code == 200, path
    finally:
        server.terminate()
        server.wait(60)
