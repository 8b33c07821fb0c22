"""The form of the changelog and of versions, by which an operator sees what an upgrade changes."""

import re
import tomllib
from datetime import date
from itertools import pairwise

from tests.processes import ROOT

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # those of Keep a Changelog
UNRELEASED = "unreleased"

Version = tuple[int, int, int]


def sections() -> list[tuple[Version, str, str]]:
    """The version, the date and the text of each section, the newest first."""
    _, *parts = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    found = []
    for part in parts:
        heading = re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\S+)", part.partition("\n")[0])
        assert heading, part[:60]
        found.append(((int(heading[1]), int(heading[2]), int(heading[3])), heading[4], part))
    return found


def test_newest_section_is_that_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ".".join(map(str, sections()[0][0])) == version


def test_sections_go_back_in_versions_and_only_the_newest_may_be_unreleased() -> None:
    versions = [version for version, _, _ in sections()]
    assert all(newer > older for newer, older in pairwise(versions))
    days = [day for _, day, _ in sections()]
    released = days[1:] if days[0] == UNRELEASED else days
    assert [date.fromisoformat(day).isoformat() for day in released] == released


def test_each_kind_of_change_stands_once_in_a_section() -> None:
    for _, _, text in sections():
        kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds))
