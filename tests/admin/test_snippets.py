"""The programs that the panel shows are the README's, which its own tests run."""

from pathlib import Path

import pytest

from service.web.admin import snippets
from tests.readme.document import programs

DIRECTORY = Path(snippets.__file__).parent / "snippets"
NAMES = sorted(path.name for path in DIRECTORY.iterdir() if path.is_file())


@pytest.mark.parametrize("name", NAMES)
def test_program_is_the_one_in_the_readme(name: str) -> None:
    assert (DIRECTORY / name).read_bytes() == programs()[name].text.encode()


def test_every_program_is_shown() -> None:
    shown = [snippet.text for snippet in snippets._PROGRAMS]
    assert sorted(shown) == sorted((DIRECTORY / name).read_text().rstrip() for name in NAMES)


def test_every_program_of_the_readme_that_signs_is_here() -> None:
    signing = {name for name, program in programs().items() if "DOORCODE_JWT_SECRET" in program.text}
    assert signing == set(NAMES)
