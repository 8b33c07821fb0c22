"""Signing in by email in Chromium: asking, pasting, waiting, with JavaScript and without; and how the pages look."""

import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, BrowserContext, Page, expect

from service.accounts import administration
from service.accounts.models import User, UserRole
from service.database import Statement, write
from service.email_login.configuration import update_configuration
from service.email_login.links import make_invitation_token
from tests.actions import TESTER, add_invited
from tests.browser.frontend import Frontend
from tests.browser.page_checks import LOOKS, Watched, looking
from tests.mail_server import MailServer, code_in
from tests.programs import Programs
from tests.site import Site, served


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
def site(
    background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, mails: MailServer, programs: Programs
) -> Iterator[Site]:
    """Without an application."""
    smtp = f"smtp://127.0.0.1:{mails.port}"
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_SMTP_URL=smtp) as site:
        yield site


@pytest.fixture(scope="module")
def app_site(
    background: BlockingPortal,
    tmp_path_factory: pytest.TempPathFactory,
    mails: MailServer,
    application: Frontend,
    programs: Programs,
) -> Iterator[Site]:
    settings = {
        "DOORCODE_SMTP_URL": f"smtp://127.0.0.1:{mails.port}",
        "DOORCODE_APP_URL": f"{application.origin}/start",
    }
    with served(tmp_path_factory.mktemp("site"), background, **settings) as site:
        yield site


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def either(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser with JavaScript on, and one with it off."""
    context: BrowserContext = browser.new_context(java_script_enabled=request.param)
    yield context.new_page()
    context.close()


def new_member(site: Site, email: str | None = None) -> User:
    address = email or f"{uuid.uuid4().hex}@example.com"
    return site.call(lambda _: add_invited(address, UserRole.MEMBER))


def ask(page: Page, site: Site, email: str, path: str = "/login") -> None:
    """From the page to the one that asks for the code."""
    site.call(lambda _: write(Statement("DELETE FROM email_code_allowances")))
    page.goto(f"{site.server.url}{path}")
    page.get_by_label("Email address").fill(email)
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_person_signs_in(either: Page, site: Site, mails: MailServer) -> None:
    page, email = either, str(new_member(site).email)
    ask(page, site, email)
    expect(page.get_by_text(email)).to_be_visible()
    expect(page.get_by_label("Code")).to_be_focused()
    page.get_by_label("Code").fill(code_in(mails.mail_to(email)))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    expect(page.get_by_text(email)).to_be_visible()
    cookies = page.context.cookies(site.server.url)
    assert {cookie.get("name") for cookie in cookies} == {"doorcode", "doorcode-device"}
    assert {(cookie.get("httpOnly"), cookie.get("sameSite")) for cookie in cookies} == {(True, "Lax")}


def test_person_goes_on_to_where_they_wanted_to_in_the_application(
    either: Page, app_site: Site, application: Frontend, mails: MailServer
) -> None:
    """The policy of the page lets its form be redirected there, which Chromium would refuse otherwise."""
    page, email = either, str(new_member(app_site).email)
    ask(page, app_site, email, "/login?returnTo=/rooms/7")
    page.get_by_label("Code").fill(code_in(mails.mail_to(email)))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Room 7")).to_be_visible()
    assert page.url == f"{application.origin}/rooms/7"


def test_code_is_pasted_as_it_was_copied(page: Page, site: Site, mails: MailServer) -> None:
    email = str(new_member(site).email)
    ask(page, site, email)
    code = code_in(mails.mail_to(email))
    page.get_by_label("Code").focus()
    page.keyboard.insert_text(f" {code[:3]} {code[3:]} ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()


def test_wrong_code_is_told_and_the_right_one_still_works(either: Page, site: Site, mails: MailServer) -> None:
    page, email = either, str(new_member(site).email)
    ask(page, site, email)
    code = code_in(mails.mail_to(email))
    page.get_by_label("Code").fill(f"{(int(code) + 1) % 1_000_000:06}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text(
        "This code is not right, or no longer valid. Check it, or request a new one."
    )
    expect(page.get_by_label("Code")).to_be_focused()
    expect(page.get_by_label("Code")).to_have_value("")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()


def test_code_page_survives_reload_and_back(either: Page, site: Site, mails: MailServer) -> None:
    """It is a page with an address, and sends nothing again."""
    page, email = either, str(new_member(site).email)
    ask(page, site, email)
    page.reload()
    page.go_back()
    page.go_forward()
    expect(page.get_by_text(email)).to_be_visible()
    page.get_by_label("Code").fill(code_in(mails.mail_to(email)))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    assert len([mail for mail in mails.mails if mail["To"] == email]) == 1


def test_another_code_can_be_asked_for_without_scripts_at_any_time(
    browser: Browser, site: Site, mails: MailServer
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, email = context.new_page(), str(new_member(site).email)
    ask(page, site, email)
    expect(page.get_by_text(re.compile(r"You can request another code in \d\d seconds"))).to_be_visible()
    mails.mail_to(email)
    page.get_by_role("button", name="Send another code").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    codes: list[str] = []
    for _ in range(200):
        if len(codes := [code_in(mail) for mail in mails.mails if mail["To"] == email]) == 2:
            break
        page.wait_for_timeout(50)
    page.get_by_label("Code").fill(codes[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    context.close()


def test_seconds_are_counted_down_with_scripts(page: Page, site: Site) -> None:
    page.clock.install()
    ask(page, site, f"{uuid.uuid4().hex}@example.com")
    again = page.get_by_role("button", name="Send another code")
    expect(again).to_be_disabled()
    left = page.get_by_text("You can request another code in")
    expect(left).to_have_text(re.compile(r" (60|59|58) seconds"))
    page.clock.run_for(30_000)
    expect(left).to_have_text(re.compile(r" (30|29|28) seconds"))
    expect(again).to_be_disabled()
    page.clock.run_for(31_000)
    expect(again).to_be_enabled()
    expect(left).to_be_hidden()
    again.click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_another_address_can_be_used(either: Page, site: Site) -> None:
    page = either
    ask(page, site, f"{uuid.uuid4().hex}@example.com", "/login?returnTo=/rooms/7")
    page.get_by_role("link", name="Use another address").click()
    expect(page.get_by_label("Email address")).to_be_focused()
    expect(page.get_by_label("Email address")).to_have_value("")
    assert page.url == f"{site.server.url}/login?method=email&returnTo=%2Frooms%2F7"


def test_known_and_unknown_people_see_the_same(either: Page, site: Site) -> None:
    seen = []
    for email in (str(new_member(site).email), f"{uuid.uuid4().hex}@example.com"):
        ask(either, site, email)
        text = either.locator("main").inner_text().replace(email, "EMAIL")
        seen.append(re.sub(r"\d+", "N", text))
    assert seen[0] == seen[1]


def test_another_site_signs_nobody_in(page: Page, site: Site, application: Frontend, mails: MailServer) -> None:
    """With a code of its own author, who would like to read what people write in their name."""
    email = str(new_member(site).email)
    ask(page, site, email)
    request_id = page.url.partition("request=")[2]
    form = (
        f'<form method="post" action="{site.server.url}/login/code"><input name="request" value="{request_id}">'
        f'<input name="code" value="{code_in(mails.mail_to(email))}"><button>Win a prize</button></form>'
    )
    page.goto(application.show(form, "/trap"))
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="You were not signed in")).to_be_visible()
    assert page.context.cookies(site.server.url) == []


def test_invitation_is_accepted_by_a_button(either: Page, site: Site) -> None:
    user = new_member(site)
    token = site.call(lambda _: make_invitation_token(user))
    either.goto(f"{site.server.url}/invitation?token={token}")
    assert either.context.cookies(site.server.url) == []
    either.get_by_role("button", name="Sign in").click()
    expect(either.get_by_role("heading", name="You are signed in")).to_be_visible()
    either.goto(f"{site.server.url}/invitation?token={token}")
    expect(either.get_by_role("heading", name="This link no longer works")).to_be_visible()


# ---------------------------------------------------------------- how the pages look

LONG = f"{'very-long-name-' * 4}@{'international-subsidiary-of.' * 5}example.com"


def sign_in_page(watched: Watched, _: Site) -> None:
    watched.page.goto("/login")
    expect(watched.page.get_by_label("Email address")).to_be_focused()


def no_address(watched: Watched, _: Site) -> None:
    watched.page.goto("/login")
    watched.page.get_by_label("Email address").fill("ada@localhost")
    watched.page.keyboard.press("Enter")
    expect(watched.page.get_by_role("alert")).to_be_visible()


def code_page(watched: Watched, site: Site) -> None:
    ask(watched.page, site, LONG)


def wrong_code(watched: Watched, site: Site) -> None:
    ask(watched.page, site, LONG)
    watched.page.get_by_label("Code").fill("000 000")
    watched.page.keyboard.press("Enter")
    expect(watched.page.get_by_role("alert")).to_be_visible()


def over(watched: Watched, _: Site) -> None:
    watched.page.goto("/login/code?request=unknown")
    expect(watched.page.get_by_role("alert")).to_be_visible()


def invited(watched: Watched, site: Site) -> None:
    user = new_member(site)
    token = site.call(lambda _: make_invitation_token(user))
    watched.page.goto(f"/invitation?token={token}")
    expect(watched.page.get_by_role("heading", name="You are invited")).to_be_visible()


def dead_link(watched: Watched, _: Site) -> None:
    watched.page.goto("/invitation?token=used")
    expect(watched.page.get_by_role("heading", name="This link no longer works")).to_be_visible()


def deactivated(watched: Watched, site: Site) -> None:
    boss = f"{uuid.uuid4().hex}@example.com"
    site.call(lambda _: add_invited(boss, UserRole.ADMIN))
    user = new_member(site)
    token = site.call(lambda _: make_invitation_token(user))
    watched.page.goto(f"/invitation?token={token}")
    site.call(lambda _: administration.deactivate_user(user.id, TESTER))
    watched.page.get_by_role("button", name="Sign in").click()
    expect(watched.page.get_by_role("heading", name="Your account has been deactivated")).to_be_visible()


PAGES: dict[str, Callable[[Watched, Site], None]] = {
    "sign in": sign_in_page,
    "no address": no_address,
    "code": code_page,
    "wrong code": wrong_code,
    "over": over,
    "invited": invited,
    "dead link": dead_link,
    "deactivated": deactivated,
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_page_is_flawless(browser: Browser, site: Site, name: str, scheme: str, width: int) -> None:
    with looking(browser, site.server.url, scheme, width) as watched:
        PAGES[name](watched, site)
        watched.assert_flawless()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_page_is_flawless_while_it_is_off(browser: Browser, site: Site, scheme: str, width: int) -> None:
    with looking(browser, site.server.url, scheme, width) as watched:
        watched.page.goto("/login")
        watched.page.get_by_label("Email address").fill("ada@example.com")
        site.call(lambda _: update_configuration(TESTER, enabled=False))
        try:
            watched.page.keyboard.press("Enter")
            expect(watched.page.get_by_role("heading", name="Signing in by email is switched off")).to_be_visible()
            watched.assert_flawless()
        finally:
            site.call(lambda _: update_configuration(TESTER, enabled=True))
