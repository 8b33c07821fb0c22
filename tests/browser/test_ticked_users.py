"""Bulk actions on the list of users in Chromium, and the import before them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_admin import look_at, set_up
from tests.processes import Server


@pytest.fixture
def served(server: Callable[..., Server], sqlite_url: str, tmp_path: Path) -> Server:
    """A new Doorcode, without an admin."""
    return server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def page(browser: Browser, served: Server) -> Iterator[Page]:
    yield from look_at(browser, served)


def test_users_are_imported_after_a_preview_and_changed_by_tick_boxes(page: Page, served: Server) -> None:
    set_up(page, served)
    page.goto("/admin/users")
    page.get_by_role("link", name="Import", exact=True).click()
    content = b"external_id,email\ncrm-1,ada@example.com\ncrm-2,lin@example.com\ncrm-3,no address\n"
    page.get_by_role("button", name="File").set_input_files(
        {"name": "users.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.get_by_role("heading", name="What the import will do")).to_be_visible()
    expect(page.get_by_text("is not a well-formed email address")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_text("Import the other rows").click()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="The users are imported")).to_be_visible()
    page.get_by_role("link", name="Go to the users").click()

    page.get_by_label("Select ada@example.com").check()
    page.get_by_label("Select lin@example.com").check()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("All sessions of these users are ended")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Deactivated")).to_have_count(2)
    page.get_by_label("Select lin@example.com").check()
    page.get_by_role("button", name="Reactivate").click()
    expect(page.get_by_role("row").filter(has_text="Deactivated")).to_have_count(1)
    page.get_by_role("link", name="lin@example.com").click()
    expect(page.get_by_text("JWT").first).to_be_visible()
