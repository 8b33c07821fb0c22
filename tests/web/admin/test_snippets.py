"""The programs of the panel are those of the guide, which tests run, and print the whole link. The page says what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.web.admin.snippets import LANGUAGES, SNIPPETS, program_of
from tests.programs import Programs
from tests.readme.document import programs
from tests.site import Site, set_cookies
from tests.web.admin.panel import Panel

URL = "https://id.example.com"


def test_panel_shows_every_program_that_signs_with_nothing_changed_but_what_it_prints() -> None:
    signing = {program.text.rstrip() for program in programs().values() if "DOORCODE_JWT_SECRET" in program.text}
    shown = [program_of(language, URL) for language in LANGUAGES]
    links = [language.link.format(link=f"{URL}/?externalAuthCode=") for language in LANGUAGES]

    assert all(text.count(link) == 1 for text, link in zip(shown, links, strict=True))
    assert {text.replace(link, "") for text, link in zip(shown, links, strict=True)} == signing


@pytest.mark.parametrize(("file", "program"), [("sign.py", sys.executable), ("sign.php", "php"), ("sign.rb", "ruby")])
def test_program_prints_a_link_that_signs_in(
    file: str, program: str, panel: Panel, tmp_path: Path, programs: Programs
) -> None:
    if program != sys.executable:
        programs.require(program)
    secret, _ = panel.secret_made("/admin/authentication", action="rotate", gracePeriodSeconds="3600")
    language = next(one for one in LANGUAGES if one.file == file)
    (tmp_path / file).write_text(program_of(language, panel.site.settings.public_url))
    done = subprocess.run(
        [program, file],
        cwd=tmp_path,
        env={**os.environ, "DOORCODE_JWT_SECRET": secret},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert signs_in(panel.site, done.stdout.strip())


def signs_in(site: Site, link: str) -> bool:
    assert link.startswith(f"{site.settings.public_url}/?externalAuthCode=")
    with site.client() as client:
        return "doorcode" in set_cookies(client.get(link.removeprefix(site.settings.public_url)))


def test_page_says_which_settings_are_missing_and_how_to_set_them(panel: Panel) -> None:
    page = panel.page(SNIPPETS)
    assert "<code>DOORCODE_APP_URL</code> is not set" in page
    assert "DOORCODE_ALLOWED_ORIGINS=https://" in page
