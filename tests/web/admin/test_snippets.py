"""The programs that the panel shows are the ones that the guide shows and that tests run."""

from service.web.admin import snippets
from tests.readme.document import programs


def test_panel_shows_every_program_that_signs_and_nothing_else() -> None:
    shown = {snippet.text for snippet in snippets._PROGRAMS}
    signing = {program.text.rstrip() for program in programs().values() if "DOORCODE_JWT_SECRET" in program.text}

    assert len(shown) == len(snippets._PROGRAMS)
    assert shown == signing
