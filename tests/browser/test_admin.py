"""The panel in Chromium, with JavaScript on and off: from the set-up link to a deactivated user, on every page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.processes import Server
from tests.web.admin.test_sign_in import code_mailed_to, setup_token

PAGES = [
    "/admin",
    "/admin/users",
    "/admin/users?search=nobody-at-all",
    "/admin/authentication",
    "/admin/authentication/snippets",
    "/admin/users/import",
    "/admin/authentication/recommended",
    "/admin/authentication/leaked",
    "/admin/authentication/debugger",
    "/admin/seats",
    "/admin/audit",
    "/admin/api-keys",
    "/admin/refusals",
    "/admin/branding",
    "/admin/settings",
]
ODD = "a/b?c#d ü"


@pytest.fixture
def served(server: Callable[..., Server], sqlite_url: str, tmp_path: Path) -> Server:
    """A new Doorcode, without an admin."""
    return server({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})


def look_at(browser: Browser, served: Server, *, script: bool = True) -> Iterator[Page]:
    """A page of a new browser. It must write nothing to the console, and send no request to another host."""
    with browser.new_context(java_script_enabled=script, base_url=served.url) as context:
        page = context.new_page()
        said: list[str] = []
        elsewhere: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request", lambda request: None if request.url.startswith(served.url) else elsewhere.append(request.url)
        )
        yield page
        # Chromium itself says where a page answered 4xx, as a form does that refuses.
        assert [text for text in said if "the server responded with a status of 4" not in text] == []
        assert elsewhere == []


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def either(request: pytest.FixtureRequest, browser: Browser, served: Server) -> Iterator[Page]:
    yield from look_at(browser, served, script=request.param)


@pytest.fixture
def page(browser: Browser, served: Server) -> Iterator[Page]:
    yield from look_at(browser, served)


def set_up(page: Page, served: Server, email: str = "boss@example.com") -> None:
    page.goto(f"/admin/setup?token={setup_token(served)}")
    page.get_by_label("Your email").fill(email)
    page.get_by_role("button", name="Open the panel").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def enable(page: Page) -> str:
    """The secret that this shows."""
    page.get_by_role("link", name="User Authentication").click()
    page.get_by_role("button", name="Enable JWT sign-in").click()
    expect(page.get_by_role("heading", name="Your new secret")).to_be_visible()
    return page.get_by_label("Secret", exact=True).input_value()


def sign(secret: str, user_id: str = ODD, **user: object) -> str:
    return jwt.encode({"user": {"id": user_id, **user}}, secret, "HS256")


def test_seconds_until_another_code_are_counted_down(page: Page) -> None:
    page.clock.install()
    page.goto("/admin/login")
    page.get_by_label("Email").fill("boss@example.com")
    page.get_by_role("button", name="Send me a code").click()
    again = page.get_by_role("button", name="Send another code")
    expect(again).to_be_disabled()
    page.clock.run_for(61_000)
    expect(again).to_be_enabled()
    again.click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_without_a_script_no_button_stands_there_that_does_nothing(browser: Browser, served: Server) -> None:
    for page in look_at(browser, served, script=False):
        set_up(page, served)
        enable(page)
        for address in (page.url, "/admin/authentication/snippets"):
            page.goto(address)
            copies = page.locator("[data-copy]")
            assert copies.count()
            for copy in copies.all():
                expect(copy).to_be_hidden()


def test_esc_closes_what_is_open_wherever_the_focus_is(page: Page, served: Server) -> None:
    set_up(page, served)
    enable(page)
    page.goto("/admin/authentication")
    disable = page.get_by_role("button", name="Disable", exact=True)
    page.get_by_text("Disable JWT sign-in").click()
    expect(disable).to_be_visible()
    page.get_by_role("heading", name="User Authentication").click()
    page.keyboard.press("Escape")
    expect(disable).to_be_hidden()


def test_whole_story(either: Page, browser: Browser, served: Server) -> None:
    page = either
    set_up(page, served)
    secret = enable_and_keep(page)
    user_page = debug_and_let_in(page, browser, served, sign(secret, email="ada@example.com", name="Ada"))
    newest = rotate_and_revoke(page, secret)
    fill_the_seats(page, browser, served, newest)
    deactivate(page, user_page)
    sign_out_and_in(page, served)


def enable_and_keep(page: Page) -> str:
    """The secret, which survives reload and Back."""
    secret = enable(page)
    page.reload()
    assert page.get_by_label("Secret", exact=True).input_value() == secret
    page.get_by_role("link", name="Done, I have saved it").click()
    page.go_back()
    assert page.get_by_label("Secret", exact=True).input_value() == secret
    page.get_by_role("link", name="How to sign a code").click()
    expect(page.get_by_role("heading", name="Code snippets")).to_be_visible()
    page.get_by_text("PHP", exact=True).click()
    expect(page.locator("details[open] pre").filter(has_text="<?php")).to_be_visible()
    return secret


def debug_and_let_in(page: Page, browser: Browser, served: Server, code: str) -> str:
    """The address of the page of the user whom the code made."""
    page.goto("/admin/authentication/debugger")
    page.get_by_label("externalAuthCode").fill(code)
    page.get_by_role("button", name="Inspect the code").click()
    expect(page.get_by_role("heading", name="The code would create a user and sign it in")).to_be_visible()
    assert code not in page.url

    # A user signs in by a link, and is in the list.
    with browser.new_context(base_url=served.url) as visitors:
        visitor = visitors.new_page()
        visitor.goto(f"/?externalAuthCode={code}")
        expect(visitor.get_by_text("ada@example.com").first).to_be_visible()
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("searchbox", name="Search").fill("a/b?c#")
    page.get_by_role("button", name="Apply").click()
    assert "search=a%2Fb%3Fc%23" in page.url
    page.get_by_role("link", name="Ada", exact=True).click()
    expect(page.locator("pre")).to_contain_text('"name": "Ada"')
    return page.url


def rotate_and_revoke(page: Page, secret: str) -> str:
    """The secret that took the place of the one that was revoked."""
    page.get_by_role("link", name="User Authentication").click()
    page.get_by_text("Rotate", exact=True).first.click()
    page.get_by_label("in 1 hour").check()
    page.get_by_role("button", name="Rotate").click()
    second = page.get_by_label("Secret", exact=True).input_value()
    assert second != secret
    page.get_by_role("link", name="Done, I have saved it").click()
    expect(page.get_by_text("Retiring")).to_be_visible()
    page.get_by_role("link", name=re.compile(f"Revoke {re.escape(second[:4])}")).click()
    expect(page.get_by_text("It is the current secret")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    third = page.get_by_label("Secret", exact=True).input_value()
    assert third not in {secret, second}
    return third


def fill_the_seats(page: Page, browser: Browser, served: Server, secret: str) -> None:
    page.get_by_role("link", name="Seats", exact=True).click()
    page.get_by_label("Maximum active users").fill("2")
    page.get_by_role("button", name="Save the limit").click()
    expect(page.get_by_text("All seats are used.")).to_be_visible()
    with browser.new_context(base_url=served.url) as visitors:
        visitor = visitors.new_page()
        answer = visitor.goto(f"/?externalAuthCode={sign(secret, 'crm-43')}")
        assert answer
        assert answer.status == 403


def deactivate(page: Page, user_page: str) -> None:
    page.goto(user_page)
    page.locator("summary", has_text="Deactivate").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("the seat is free.").first).to_be_visible()
    expect(page.get_by_text("Deactivated", exact=True)).to_be_visible()
    expect(page.get_by_text("All seats are used.")).to_have_count(0)


def sign_out_and_in(page: Page, served: Server) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Email").fill("boss@example.com")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code", exact=True).fill(code_mailed_to("boss@example.com", served, before=0))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_is_accessible_and_fits(page: Page, served: Server, colours: str) -> None:
    page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
    examined: list[str] = []

    def examine() -> None:
        page.wait_for_load_state()  # a form may still be leading to its next page
        found = Axe().run(page).response["violations"]
        assert not found, (page.url, [(each["id"], [node["html"] for node in each["nodes"]]) for each in found])
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
        page.set_viewport_size({"width": 1280, "height": 900})
        examined.append(page.url)

    page.goto(f"/admin/setup?token={setup_token(served)}")
    examine()
    set_up(page, served)
    secret = enable(page)
    examine()
    code = sign(secret, ODD * 12, email="long" * 12 + "@example.com", note="x" * 300)
    page.goto(f"/?externalAuthCode={code}")
    page.goto("/admin/users?search=long")
    page.get_by_role("link", name="longlong").click()
    examine()
    for text in (sign(secret, "crm-1"), "x"):
        page.goto("/admin/authentication/debugger")
        page.get_by_label("externalAuthCode").fill(text)
        page.get_by_role("button", name="Inspect the code").click()
        examine()
    page.goto("/admin/authentication")
    page.get_by_role("link", name=re.compile("Revoke")).click()
    examine()
    page.goto("/admin/api-keys")
    page.get_by_label("Name").fill("reports")
    page.get_by_role("button", name="Create API key").click()
    examine()
    page.goto("/admin/seats")
    page.get_by_label("Maximum active users").fill("1")
    page.get_by_role("button", name="Save the limit").click()
    for path in PAGES:
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.name = '', each.open = true")
        examine()
    page.get_by_role("button", name="Sign out").click()
    examine()
    page.get_by_label("Email").fill("boss@example.com")
    page.get_by_role("button", name="Send me a code").click()
    examine()
    page.goto("/admin/setup?token=x")
    examine()
    assert len(examined) == 25


def test_keyboard_and_copying(page: Page, served: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    set_up(page, served)
    page.goto("/admin/users")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("a/b")
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("a/b")
    expect(page.locator("tbody time").first).not_to_contain_text("UTC")

    secret = enable(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret

    page.goto("/admin/authentication")
    summary = page.locator("summary", has_text="Rotate")
    summary.click()
    page.get_by_label("immediately", exact=True).focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Rotate")).to_be_hidden()
    expect(summary).to_be_focused()

    page.get_by_role("link", name=re.compile("Revoke")).click()
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("This cannot be undone")).to_have_count(0)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_event_is_found_on_the_day_on_which_it_is_shown(browser: Browser, served: Server, zone: str) -> None:
    """At any time, one of these zones has another day than UTC."""
    with browser.new_context(base_url=served.url, timezone_id=zone) as context:
        page = context.new_page()
        set_up(page, served)
        enable(page)
        page.goto("/admin/audit")
        expect(page.get_by_text(f"Times and days are in {zone}.")).to_be_visible()
        shown = page.locator("tbody time").first.get_attribute("datetime")
        day = page.evaluate("moment => new Date(moment).toLocaleDateString('en-CA')", shown)

        page.get_by_label("From").fill(day)
        page.get_by_label("Until").fill(day)
        page.get_by_role("button", name="Apply").click()

        expect(page.locator(f'tbody time[datetime="{shown}"]')).to_have_count(1)
