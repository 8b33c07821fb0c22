"""Node.js, with the packages of `package-lock.json` installed once, next to the Python of the tests."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.processes import ROOT

HERE = Path(__file__).parent
SAMPLES = ROOT / "service" / "guide" / "samples"
PATIENCE = 600.0  # seconds; installing takes a while on a busy machine

# The address of this service in the samples of the guide.
ADDRESS = "https://auth.example.com"


class NodeDirectory:
    """A directory to run modules in, where they find the packages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "node_modules").symlink_to(_packages())
        shutil.copy(HERE / "package.json", path)

    def add(self, *files: Path, address: str = ADDRESS) -> None:
        """Copies files there. `address` replaces the one in the samples."""
        for file in files:
            (self.path / file.name).write_text(file.read_text().replace(ADDRESS, address))

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """What `node …` prints."""
        done = subprocess.run(
            [node_program("node"), *arguments],
            cwd=self.path,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def node_program(name: str) -> str:
    """Node.js and npm as the environment of the tests brings them, else the system's."""
    local = Path(sys.executable).with_name(name)
    found = str(local) if local.exists() else shutil.which(name)
    assert found, f"there is no {name}: run scripts/test, which installs it"
    return found


def _packages() -> Path:
    """Where they are installed, under a name that changes with the lock file. Only what is complete gets that name."""
    version = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    kept = Path(sys.prefix) / "node-packages"
    kept.mkdir(exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / version).exists():
            directory = Path(tempfile.mkdtemp(dir=kept))
            _install(directory)
            directory.rename(kept / version)
    return kept / version / "node_modules"


def _install(directory: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, directory)
    npm = [node_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=directory, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
