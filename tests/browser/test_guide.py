"""The guide in Chromium: every page in light and dark, narrow and wide, without JavaScript and with the keyboard alone."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, expect

from service.web.guide.chapters import CHAPTERS
from tests.browser.page_checks import LOOKS, looking
from tests.programs import Programs
from tests.site import Site, served


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background) as site:
        yield site


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("path", ["/guide", *(f"/guide/{name}" for name in CHAPTERS)])
def test_page_is_flawless(browser: Browser, site: Site, path: str, scheme: str, width: int) -> None:
    with looking(browser, site.server.url, scheme, width) as watched:
        watched.page.goto(path)
        watched.assert_flawless()


@pytest.mark.parametrize("width", [390, 1280])
def test_reader_without_javascript_finds_a_section(browser: Browser, site: Site, width: int) -> None:
    with browser.new_context(
        java_script_enabled=False, base_url=site.server.url, viewport={"width": width, "height": 800}
    ) as context:
        page = context.new_page()
        page.goto("/guide")
        page.get_by_role("main").get_by_role("link", name="For the operator").click()
        if width == 390:
            page.get_by_text("On this page").locator("visible=true").click()
        page.get_by_role("link", name="Backups", exact=True).locator("visible=true").click()

        expect(page).to_have_url(f"{site.server.url}/guide/operator#backups")
        expect(page.get_by_role("heading", name="Backups")).to_be_in_viewport()


def test_wide_code_scrolls_in_its_own_box_by_the_keyboard(browser: Browser, site: Site) -> None:
    with looking(browser, site.server.url, "light", 390) as watched:
        watched.page.goto("/guide/integrator#sign-your-first-code")
        code = watched.page.locator("pre").nth(1)
        code.focus()
        watched.page.keyboard.press("ArrowRight")

        watched.page.wait_for_function("code => code.scrollLeft > 0", arg=code.element_handle())
        assert watched.page.evaluate("scrollX") == 0
