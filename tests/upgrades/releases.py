"""Which code the upgrade tests take for the last release."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT

LAST_SWAP = "0022_claimed_emails"
"""The last migration that old code does not survive: it gives two columns each other's names."""

RULE_BEGINS = "9c027e40984c62c1dc87050a46baac406fa2387a"
"""The commit that added it. It stands for the last release until there is one."""


def last_release() -> str:
    """Returns the newest tag `v*`, or the commit with which the rule begins."""
    tags = _git("tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD").stdout.split()
    return tags[0] if tags else RULE_BEGINS


def unpack(release: str, directory: Path) -> None:
    """Puts the code of a release into the directory. Skips the test if a shallow clone does not have the release."""
    if _git("cat-file", "-e", f"{release}^{{commit}}").returncode != 0:
        # A shallow clone may still be able to ask for the one commit.
        _git("fetch", "--quiet", "--depth=1", "origin", release)
    archive = _git("archive", "--format=tar", release, "service", text=False)
    if archive.returncode != 0:
        pytest.skip(f"this clone is without {release}: clone with its history and tags (fetch-depth: 0)")
    subprocess.run(["tar", "-x", "-C", directory], input=archive.stdout, check=True)


def _git(*arguments: str, text: bool = True) -> "subprocess.CompletedProcess[Any]":
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=text, check=False)
