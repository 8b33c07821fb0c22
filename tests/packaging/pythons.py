"""The supported versions of Python that this machine has."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT

NEWEST = 14  # the minor version of Python 3 up to which is looked


@dataclass(frozen=True)
class Python:
    """An interpreter with its `venv` module."""

    version: str
    path: str


def supported_pythons() -> list[Python]:
    """Finds them on the PATH and where pyenv keeps them, and tries each out: version managers leave stubs."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    oldest = int(re.fullmatch(r">=3\.(\d+)", required)[1])  # type: ignore[index]
    found = []
    for version in (f"3.{minor}" for minor in range(oldest, NEWEST + 1)):
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python3"))
        for path in filter(None, (shutil.which(f"python{version}"), *map(str, kept))):
            question = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, {version[2:]}))"
            if subprocess.run([path, "-c", question], capture_output=True, check=False).returncode == 0:
                found.append(Python(version, path))
                break
    return found
