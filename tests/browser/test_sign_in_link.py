"""A sign-in link in Chromium: an admin makes it, a phone opens it, and revoking the user's codes ends it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_admin import enable, look_at, set_up
from tests.processes import Server


@pytest.fixture
def served(server: Callable[..., Server], sqlite_url: str, tmp_path: Path) -> Server:
    """A new Doorcode, without an admin."""
    return server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(request: pytest.FixtureRequest, browser: Browser, served: Server) -> Iterator[Page]:
    yield from look_at(browser, served, script=request.param)


def test_link_signs_in_on_a_phone_and_dies_with_the_codes_of_the_user(
    page: Page, browser: Browser, served: Server
) -> None:
    set_up(page, served)
    enable(page)
    page.goto("/admin/users")
    page.get_by_label("External ID").fill("crm 42/ü")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("The user is created, and uses one seat.")).to_be_visible()
    user_page = page.url
    page.locator("summary", has_text="Create a sign-in link").click()
    page.get_by_label("It works for").select_option(label="1 day")
    page.get_by_role("button", name="Create a sign-in link").click()
    link = page.get_by_label("Sign-in link").input_value()
    until = int(time.time()) + 1
    page.reload()
    assert page.get_by_label("Sign-in link").input_value() == link
    assert phone_sees(browser, link, "crm 42/ü")

    while time.time() < until:  # codes of the second in which they are revoked stay valid
        page.reload()
    page.goto(user_page)
    page.locator("summary", has_text="Make this person's links invalid").click()
    page.get_by_role("button", name="Make links invalid").click()
    expect(page.get_by_text("Links that were made before now are refused.")).to_be_visible()
    assert phone_sees(browser, link, "expired")


def phone_sees(browser: Browser, link: str, text: str) -> bool:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        phone = context.new_page()
        phone.goto(link)
        expect(phone.get_by_text(text).first).to_be_visible()
        assert "externalAuthCode" not in phone.url
    return True


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_qr_code_is_black_on_white_and_the_page_is_accessible(browser: Browser, served: Server, colours: str) -> None:
    for page in look_at(browser, served):
        page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
        set_up(page, served)
        enable(page)
        page.goto("/admin/users")
        page.get_by_label("External ID").fill("crm-42")
        page.get_by_role("button", name="Create", exact=True).click()
        page.locator("summary", has_text="Create a sign-in link").click()
        page.get_by_role("button", name="Create a sign-in link").click()
        code = page.get_by_role("img", name="QR code of the sign-in link")
        expect(code).to_be_visible()
        ground, modules = code.locator("path").all()
        assert ground.evaluate("each => getComputedStyle(each).fill") == "rgb(255, 255, 255)"
        assert modules.evaluate("each => getComputedStyle(each).stroke") == "rgb(0, 0, 0)"
        margin = modules.evaluate("each => each.getBBox().x")
        assert margin == 4, "the quiet zone"
        found = Axe().run(page).response["violations"]
        assert not found, found
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
