"""Each sample is one file, which the guide includes once and tests run."""

import re

import pytest

from tests.libraries.node import SAMPLES
from tests.readme.document import DOCUMENTS, GUIDE, README

LINK = re.compile(r"\(samples/([\w.-]+)\)")
CHAPTERS = [name for name in DOCUMENTS if name != README]


def test_every_sample_is_included_once() -> None:
    included = [name for chapter in CHAPTERS for name in LINK.findall((GUIDE / chapter).read_text())]

    assert sorted(included) == sorted(path.name for path in SAMPLES.iterdir())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_link_to_a_sample_becomes_the_sample(chapter: str) -> None:
    assert LINK.findall(DOCUMENTS[chapter]) == []
    for name in LINK.findall((GUIDE / chapter).read_text()):
        last_line = (SAMPLES / name).read_text().splitlines()[-1]
        assert f"\n{last_line}\n```\n" in DOCUMENTS[chapter]
