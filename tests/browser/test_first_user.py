"""The way from the set-up link to the first user who is signed in by a code: how many clicks, and no command."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server
from tests.web.admin.test_sign_in import setup_token

CLICKS = 5


@pytest.fixture
def served(server: Callable[..., Server], sqlite_url: str, tmp_path: Path) -> Server:
    """A new Doorcode, without an admin."""
    return server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


def test_test_user_is_signed_in_after_five_clicks_and_no_command(page: Page, served: Server) -> None:
    page.add_init_script("addEventListener('click', (event) => event.isTrusted && event.detail && noteClick())")
    clicks: list[str] = []
    page.expose_function("noteClick", lambda: clicks.append(page.url))

    page.goto(f"{served.url}/admin/setup?token={setup_token(served)}")
    page.get_by_label("Your email").fill("boss@example.com")
    page.get_by_role("button", name="Open the panel").click()
    page.get_by_role("link", name="Enable JWT sign-in").click()
    page.get_by_role("button", name="Enable JWT sign-in").click()
    page.get_by_role("button", name="Make a test link").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the link in a new tab").click()
    expect(opened.value.get_by_text("doorcode-test-user").first).to_be_visible()

    assert len(clicks) == CLICKS
    page.goto(f"{served.url}/admin")
    expect(page.get_by_role("listitem").filter(has_text="Sign in a test user").get_by_text("Done")).to_be_visible()
