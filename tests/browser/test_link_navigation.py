"""What other pages can do with a link login in Chromium: they load it, frame it, fetch it, link to it and send it."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, Page, expect

from tests.browser.frontend import Frontend
from tests.programs import Programs
from tests.site import Site, new_user_id, served


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background) as site:
        yield site


@pytest.fixture(scope="module", params=["same site", "another site"])
def attacker(request: pytest.FixtureRequest) -> Iterator[Frontend]:
    """A page on another port of the same machine, which is the same site for a browser, and one of another site."""
    with Frontend("127.0.0.1" if request.param == "same site" else "evil.localhost") as frontend:
        yield frontend


@pytest.fixture
def victim(page: Page, site: Site) -> str:
    """The ID of the user who is signed in in the browser."""
    user_id = new_user_id()
    page.goto(f"{site.server.url}/?externalAuthCode={site.code_for(user_id)}")
    assert who_is_signed_in(page, site) == user_id
    return user_id


def who_is_signed_in(page: Page, site: Site) -> str:
    page.goto(f"{site.server.url}/login")
    return page.locator("dt", has_text="User ID").locator("xpath=../dd").inner_text()


def link(site: Site, user_id: str) -> str:
    return f"{site.server.url}/?externalAuthCode={site.code_for(user_id)}"


LOADED = {
    "image": "<img src='{url}'>",
    "frame": "<iframe src='{url}'></iframe>",
    "object": "<object data='{url}'></object>",
    "embed": "<embed src='{url}'>",
    "stylesheet": "<link rel='stylesheet' href='{url}'>",
    "script": "<script src='{url}'></script>",
    "video": "<video src='{url}' preload='auto'></video>",
}


@pytest.mark.parametrize("how", LOADED)
def test_page_that_loads_a_link_signs_no_one_in(
    page: Page, site: Site, attacker: Frontend, victim: str, how: str
) -> None:
    stranger = new_user_id()
    with page.expect_request(lambda request: request.url.startswith(f"{site.server.url}/?")):
        page.goto(attacker.show(LOADED[how].format(url=link(site, stranger))))
    assert who_is_signed_in(page, site) == victim
    assert site.find(stranger) is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_script_that_fetches_a_link_signs_no_one_in(
    page: Page, site: Site, attacker: Frontend, victim: str, method: str
) -> None:
    stranger = new_user_id()
    page.goto(attacker.show("<h1>Attack</h1>"))
    page.evaluate(
        """([url, method]) => {
          const [address, query] = url.split("?");
          const body = method === "POST" ? new URLSearchParams(query) : undefined;
          return fetch(body ? address : url, {method, body, mode: "no-cors", credentials: "include"}).catch(() => {});
        }""",
        [link(site, stranger), method],
    )
    assert who_is_signed_in(page, site) == victim
    assert site.find(stranger) is None


def expect_question(page: Page, site: Site, victim: str, stranger: str) -> None:
    expect(page.get_by_role("heading", name="Change the signed-in user?")).to_be_visible()
    expect(page.get_by_text(f"You are signed in as {victim}. Go on as {stranger}?")).to_be_visible()
    assert "eyJ" not in page.url, "the address has no code"
    assert "eyJ" not in page.evaluate("document.referrer")
    assert site.find(stranger) is None


def test_link_asks_before_it_replaces_another_user(page: Page, site: Site, attacker: Frontend, victim: str) -> None:
    page.goto(attacker.show(f"<a href='{link(site, stranger := new_user_id())}'>A picture of a cat</a>"))
    page.get_by_role("link").click()
    expect_question(page, site, victim, stranger)
    assert who_is_signed_in(page, site) == victim


def test_form_asks_before_it_replaces_another_user(page: Page, site: Site, attacker: Frontend, victim: str) -> None:
    """A cross-site form carries no Lax cookie. The page that finishes the sign-in finds out who is signed in."""
    code = site.code_for(stranger := new_user_id())
    form = f"<form method='post' action='{site.server.url}/'><input name='externalAuthCode' value='{code}'></form>"
    page.goto(attacker.show(f"{form}<script>document.forms[0].submit()</script>"), wait_until="commit")
    expect_question(page, site, victim, stranger)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(stranger)).to_be_visible()
    assert who_is_signed_in(page, site) == stranger


def test_link_and_form_of_the_same_user_ask_nothing(page: Page, site: Site, attacker: Frontend, victim: str) -> None:
    code = site.code_for(victim)
    form = f"<form method='post' action='{site.server.url}/'><input name='externalAuthCode' value='{code}'><button>Go"
    page.goto(attacker.show(f"<a href='{link(site, victim)}'>Sign in</a>{form}"))
    for role in ("link", "button"):
        page.get_by_role(role).click()
        expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
        page.goto(attacker.origin)


def test_form_of_another_site_works_without_scripts(browser: Browser, site: Site, attacker: Frontend) -> None:
    code = site.code_for(user_id := new_user_id())
    form = f"<form method='post' action='{site.server.url}/'><input name='externalAuthCode' value='{code}'><button>Go"
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(attacker.show(form))
        page.get_by_role("button").click()
        if page.get_by_role("button", name="Continue").count():
            page.get_by_role("button", name="Continue").click()
        assert who_is_signed_in(page, site) == user_id
