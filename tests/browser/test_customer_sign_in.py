"""Sign-in that starts at the customer's, in Chromium: nginx with forward auth, the demo's shop, and the way back."""

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, BrowserType, Page, expect

from service.external_auth.configuration import update_sign_in
from tests.actions import TESTER
from tests.browser.frontend import Frontend
from tests.browser.test_cookies import APP, AUTH, SUBDOMAINS, behind_nginx, chromium_at, new_page
from tests.processes import ROOT, free_port
from tests.programs import Programs
from tests.proxies.proxy import Application
from tests.site import Site, new_user_id, served

DEEP = "/orders/7?page=2&q=a%26b&empty=&r=%2Fx%3Fy"
AS_A_FORM = """<h1>Shop</h1><script>
  const given = new URLSearchParams(location.search);
  const form = Object.assign(document.createElement("form"), {method: "post", action: "%s/"});
  for (const [name, value] of [...given, ["externalAuthCode", "%s"]])
    form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  document.body.append(form);
  form.submit();
</script>"""


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, **SUBDOMAINS) as site:
        yield site


@pytest.fixture(scope="module")
def browser(
    site: Site,
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> Iterator[Browser]:
    """A browser with nginx in front of Doorcode, and of an application that only signed-in users reach."""
    names = ("tls.nginx.conf", "forward-auth.nginx.conf")
    with (
        Application() as application,
        behind_nginx(programs.path("nginx"), site, application, tmp_path_factory.mktemp("nginx"), *names) as proxy,
    ):
        yield from chromium_at(proxy, browser_type, browser_type_launch_args)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    yield from new_page(browser)


@pytest.fixture(scope="module")
def shop(site: Site) -> Iterator[str]:
    """The shop of `scripts/demo`, on another site than Doorcode; its address."""
    sys.path.insert(0, str(ROOT / "scripts" / "demo.d"))
    try:
        shop_module = importlib.import_module("shop")
    finally:
        sys.path.pop(0)
    port = free_port()
    with shop_module.Shop(port, AUTH, site.secret.text):
        yield f"http://shop.demo.localhost:{port}"


@pytest.fixture
def starts_at(site: Site) -> Iterator[Callable[..., None]]:
    """Lets sign-in start at a page, until the end of the test."""

    def change(url: str | None, **changes: object) -> None:
        site.call(lambda _: update_sign_in({"sign_in_url": url, **changes}, TESTER))

    yield change
    change(None, sign_out_url=None, start_automatically=False, require_state=False)


def expect_signed_in(page: Page, path: str, email: str) -> None:
    """The application shows the page that was wanted, and was told who is signed in."""
    expect(page).to_have_url(APP + path)
    expect(page.locator("body")).to_contain_text(f'["X-Auth-Email", "{email}"]')


def test_person_comes_back_signed_in_at_the_page_that_was_wanted(
    page: Page, shop: str, starts_at: Callable[..., None]
) -> None:
    starts_at(f"{shop}/login", require_state=True)
    page.goto(APP + DEEP)
    assert page.url == f"{AUTH}/login?returnTo={quote(DEEP, safe='')}"
    page.get_by_role("link", name="Sign in", exact=True).click()
    assert page.url.startswith(f"{shop}/login?returnTo={quote(DEEP, safe='')}&state=")
    page.get_by_role("link", name="Ana").click()
    expect_signed_in(page, DEEP, "ana@example.com")


def test_it_starts_by_itself_and_signing_out_ends_at_the_shop(
    page: Page, shop: str, starts_at: Callable[..., None]
) -> None:
    starts_at(f"{shop}/login", sign_out_url=f"{shop}/logout", start_automatically=True, require_state=True)
    page.goto(APP + DEEP)
    page.get_by_role("link", name="Ben").click()
    expect_signed_in(page, DEEP, "ben@example.com")
    page.goto(f"{AUTH}/login")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out of the sample shop")).to_be_visible()
    page.goto(APP)
    expect(page.get_by_role("heading", name="Sign in to the sample shop")).to_be_visible()


def test_two_tabs_at_once_both_come_back(page: Page, shop: str, starts_at: Callable[..., None]) -> None:
    starts_at(f"{shop}/login", start_automatically=True, require_state=True)
    other = page.context.new_page()
    page.goto(f"{APP}/first?x=1&y=2")
    other.goto(f"{APP}/second?x=1&y=2")
    for tab, path in ((page, "/first?x=1&y=2"), (other, "/second?x=1&y=2")):
        tab.get_by_role("link", name="Ana").click()
        expect_signed_in(tab, path, "ana@example.com")


def test_page_of_the_customer_may_send_a_form(
    page: Page, site: Site, application: Frontend, starts_at: Callable[..., None]
) -> None:
    """A cross-site form carries no Lax cookie: a page of this origin goes on by itself, with the state's cookie."""
    code = site.sign({"user": {"id": (user_id := new_user_id()), "email": f"{user_id}@example.com"}})
    starts_at(application.show(AS_A_FORM % (AUTH, code), "/login"), start_automatically=True, require_state=True)
    page.goto(APP + DEEP, wait_until="commit")
    expect_signed_in(page, DEEP, f"{user_id}@example.com")


def test_link_that_another_person_started_signs_no_one_in(
    page: Page, site: Site, shop: str, starts_at: Callable[..., None]
) -> None:
    starts_at(f"{shop}/login", require_state=True)
    for state in ("", "&state=", f"&state={'A' * 43}"):
        page.goto(f"{AUTH}/?externalAuthCode={site.code_for(stranger := new_user_id())}&returnTo=/x%3Fy=1{state}")
        expect(page.get_by_role("heading", name="Please start again")).to_be_visible()
        assert site.find(stranger) is None
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Ana").click()
    expect_signed_in(page, "/x?y=1", "ana@example.com")
    finished = page.evaluate("performance.getEntriesByType('navigation')[0].name")
    assert "externalAuthCode" not in finished


def test_state_that_was_used_signs_no_one_in(page: Page, shop: str, starts_at: Callable[..., None]) -> None:
    starts_at(f"{shop}/login", require_state=True)
    returns: list[str] = []
    page.on("request", lambda request: returns.append(request.url) if "externalAuthCode" in request.url else None)
    page.goto(f"{AUTH}/login/start")
    page.get_by_role("link", name="Ana").click()
    expect(page).to_have_url(f"{APP}/")
    [used] = returns
    page.context.clear_cookies(name="doorcode")
    page.goto(used)
    expect(page.get_by_role("heading", name="Please start again")).to_be_visible()


def test_expired_link_reaches_the_shop_by_one_click(
    page: Page, site: Site, shop: str, starts_at: Callable[..., None]
) -> None:
    starts_at(f"{shop}/login")
    page.goto(f"{AUTH}/?externalAuthCode={site.code_for(new_user_id(), exp=1)}&returnTo={quote(DEEP, safe='')}")
    expect(page.get_by_role("heading", name="This sign-in link has expired")).to_be_visible()
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Ana").click()
    expect_signed_in(page, DEEP, "ana@example.com")


def test_loop_ends_at_a_page(page: Page, application: Frontend, starts_at: Callable[..., None]) -> None:
    """The customer's page sends the person back to the application without a code."""
    back = application.show(f"<h1>Shop</h1><script>location.replace('{APP}/again')</script>", "/back")
    starts_at(back, start_automatically=True)
    shown: list[str] = []
    page.on("framenavigated", lambda frame: shown.append(frame.url))
    page.goto(f"{APP}/again", wait_until="commit")
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert page.url == f"{AUTH}/login?returnTo=%2Fagain"
    assert len([url for url in shown if url.startswith(back)]) == 2
    page.get_by_role("link", name="Sign in by email").click()
    expect(page.get_by_label("Email address")).to_be_visible()


def test_wrong_sign_in_url_keeps_no_admin_out(page: Page, starts_at: Callable[..., None]) -> None:
    starts_at("https://nowhere.invalid/login", start_automatically=True, require_state=True)
    for path in ("/admin", "/login?method=email"):
        page.goto(AUTH + path)
        expect(page.get_by_label("Email")).to_be_visible()
