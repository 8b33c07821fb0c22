"""Every link of the README within this repository leads somewhere."""

import re

import pytest

from tests.readme.document import README
from tests.servers import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What the usual renderers make of headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


TEXT = README.read_text()
HERE = sorted({link for link in LINK.findall(TEXT) if "://" not in link})


def test_there_are_some() -> None:
    assert "#run-it" in HERE
    assert "tests/readme/screenshots/users.png" in HERE


@pytest.mark.parametrize("link", HERE)
def test_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    assert not path or (ROOT / path).is_file()
    assert not anchor or anchor in anchors(TEXT)
