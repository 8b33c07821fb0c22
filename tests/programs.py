"""Programs and libraries that some tests need besides Python: which this machine has, and how to install the rest.

`python3 tests/programs.py` prints the Debian packages that are missing. It needs nothing but Python's standard library.
"""

import ctypes
import functools
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LIST = Path(__file__).with_name("programs.txt")


@dataclass(frozen=True)
class Requirement:
    """A line of `programs.txt`. Each alternative is a program, a shared library or the absolute path of a file."""

    alternatives: tuple[str, ...]
    package: str
    tests: str

    @property
    def name(self) -> str:
        """What the tests and Debian's package call it."""
        return self.alternatives[0]

    def is_met(self) -> bool:
        """Returns whether this machine has one of the alternatives."""
        return any(_is_installed(name) for name in self.alternatives)


class Programs:
    """Finds programs for the tests. A test or fixture that starts a program requests the fixture `programs`."""

    def path(self, name: str) -> str:
        """Returns the path of a program. Skips the test if the program is not installed."""
        self.require(name)
        path = _path_of(name)
        assert path, f"{name} is not on the PATH"
        return path

    def require(self, *names: str) -> None:
        """Skips the test if one of these, each the first name of a line in `programs.txt`, is not installed."""
        import pytest

        unknown = set(names) - {requirement.name for requirement in requirements()}
        assert not unknown, f"not in {_LIST.name}: {unknown}"
        if absent := [requirement for requirement in missing() if requirement.name in names]:
            pytest.skip(f"not installed: {_names(absent)}")


@functools.cache
def requirements() -> tuple[Requirement, ...]:
    """Returns the lines of `programs.txt`."""
    lines = [line.split(maxsplit=2) for line in _LIST.read_text().splitlines() if not line.startswith("#")]
    return tuple(Requirement(tuple(names.split("|")), package, tests) for names, package, tests in lines)


@functools.cache
def missing() -> tuple[Requirement, ...]:
    """Returns what this machine lacks."""
    return tuple(requirement for requirement in requirements() if not requirement.is_met())


def packages() -> str:
    """Returns the Debian packages of what is missing, separated by spaces."""
    return " ".join(requirement.package for requirement in missing())


def notice() -> list[str]:
    """Returns which tests cannot run on this machine, why, and what to install for them; empty if all can run."""
    verb = "Fail" if os.environ.get("CI") else "Skipped"
    lines = [
        f"{verb}: {tests} (not installed: {_names(requirement for requirement in missing() if requirement.tests == tests)})"
        for tests in dict.fromkeys(requirement.tests for requirement in missing())
    ]
    return [*lines, installation()] if missing() else []


def installation() -> str:
    """Returns how to install what is missing; empty if nothing is."""
    return f"To run them too, on Debian: apt-get install --no-install-recommends {packages()}" if missing() else ""


def _names(absent: Iterable[Requirement]) -> str:
    return ", ".join(requirement.name for requirement in absent)


def _is_installed(name: str) -> bool:
    if name.startswith("/"):
        return Path(name).exists()
    if ".so." in name:  # what Linux builds load; those of other systems bring it
        return sys.platform != "linux" or _loads(name)
    return _path_of(name) is not None


def _path_of(program: str) -> str | None:
    """Debian keeps servers in /usr/sbin, which is not on an ordinary user's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(f"{packages()}\n")
