"""What the code says of the contract can be looked up: every section that it names exists in the guide."""

import re

from tests.processes import ROOT
from tests.readme.document import DOCUMENTS

SECTIONS = set(re.findall(r"^##+ (\d+[a-z]?)\. ", DOCUMENTS["contract.md"], re.MULTILINE))
REFERENCE = re.compile(r"contract §(\d+[a-z]?)(?: and §(\d+[a-z]?))?")
MENTION = re.compile(r"(?<!\")\bcontract\b(?! §\d|[\"#])", re.IGNORECASE)
FILES = [
    path
    for folder in ("service", "tests")
    for suffix in ("py", "html", "graphql", "js", "css")
    for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))
    if path.name != "test_contract.py"
]


def test_contract_has_its_sections() -> None:
    assert set("1234567") <= SECTIONS


def test_every_reference_names_a_section_that_exists() -> None:
    found = {(path, section) for path in FILES for groups in REFERENCE.findall(path.read_text()) for section in groups}

    assert len({path for path, _ in found}) > 40
    assert [(path.name, section) for path, section in found if section and section not in SECTIONS] == []


def test_every_mention_of_the_contract_names_a_section() -> None:
    """A reader without the history of the code cannot look up "the contract" as such."""
    vague = {
        path.relative_to(ROOT).as_posix(): MENTION.findall(path.read_text())
        for path in FILES
        if path.is_relative_to(ROOT / "service")
    }

    assert {name: found for name, found in vague.items() if found} == {}
