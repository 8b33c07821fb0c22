"""The pages of link login in Chromium: how they look, and what a person can do with them, with JavaScript or without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect

from service.external_auth.configuration import update_sign_in
from service.external_auth.held_codes import HeldLink, hold
from service.refusal_texts import SignInErrorCode
from tests.actions import TESTER
from tests.browser.frontend import Frontend
from tests.browser.page_checks import LOOKS, Watched, looking
from tests.programs import Programs
from tests.site import Site, new_user_id, served
from tests.web.test_destination import ACCEPTED, REFUSED

LONG_DOMAIN = f"{'international-subsidiary-of.' * 4}example.com"


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    """Without an application."""
    with served(tmp_path_factory.mktemp("site"), background) as site:
        yield site


@pytest.fixture(scope="module")
def app_site(
    background: BlockingPortal,
    tmp_path_factory: pytest.TempPathFactory,
    application: Frontend,
    programs: Programs,
) -> Iterator[Site]:
    """With an application on another site."""
    url = f"{application.origin}/start"
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_APP_URL=url) as site:
        yield site


@pytest.fixture
def without_scripts(browser: Browser) -> Iterator[Page]:
    """A browser with JavaScript off."""
    context: BrowserContext = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def link(site: Site, code: str, return_to: str | None = None) -> str:
    """A link as a company's page has it. No character of a code or of these paths has to be escaped."""
    query = f"externalAuthCode={code}" + ("" if return_to is None else f"&returnTo={return_to}")
    return f"{site.server.url}/?{query}"


def signed_in(watched: Watched, site: Site) -> None:
    user_id = f"{new_user_id()}-{'x' * 180}"
    email = f"{user_id[4:36]}.von-und-zu-hohenstein@{LONG_DOMAIN}"
    watched.page.goto(link(site, site.sign({"user": {"id": user_id, "email": email}})))
    expect(watched.page.get_by_role("heading", name="You are signed in")).to_be_visible()


def signed_out(watched: Watched, _: Site) -> None:
    watched.page.goto("/")
    expect(watched.page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def asked_to_continue(watched: Watched, site: Site) -> None:
    with site.policy(single_use=True):
        watched.page.goto(link(site, site.code_for(new_user_id(), jti=new_user_id())))
    expect(watched.page.get_by_role("button", name="Continue")).to_be_focused()


def asked_to_change_the_user(watched: Watched, site: Site) -> None:
    watched.page.goto(link(site, site.code_for(f"{new_user_id()}-{'x' * 180}")))
    email = f"{new_user_id()}.von-und-zu-hohenstein@{LONG_DOMAIN}"
    code = site.sign({"user": {"id": new_user_id(), "email": email}})
    held_id = site.call(lambda _: hold(HeldLink(code, "/x", None)))
    watched.page.goto(f"/login/continue?id={held_id}")
    expect(watched.page.get_by_role("button", name="Continue")).to_be_visible()


def asked_to_start_again(watched: Watched, site: Site) -> None:
    with sign_in_at_the_customers(site):
        watched.page.goto("/login/continue?id=unknown")
    expect(watched.page.get_by_role("heading", name="Please start again")).to_be_visible()


def asked_how_to_sign_in(watched: Watched, site: Site) -> None:
    with sign_in_at_the_customers(site):
        watched.page.goto("/login?returnTo=/x?y=1")
    expect(watched.page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


@contextmanager
def sign_in_at_the_customers(site: Site) -> Iterator[None]:
    site.call(lambda _: update_sign_in({"sign_in_url": "https://crm.example.com/login"}, TESTER))
    yield
    site.call(lambda _: update_sign_in({"sign_in_url": None}, TESTER))


def nowhere(watched: Watched, _: Site) -> None:
    watched.page.goto("/nowhere")
    expect(watched.page.get_by_role("heading", name="This page does not exist")).to_be_visible()


def refused(error: str) -> Callable[[Watched, Site], None]:
    def go(watched: Watched, _: Site) -> None:
        response = watched.page.goto(f"/login/refused?error={error}&reference=ABCDEFGHJK&retryAfter=42")
        assert response
        assert response.status in (401, 403, 429)
        expect(watched.page.get_by_text("ABCDEFGHJK")).to_be_visible()

    return go


PAGES = {
    "signed in": signed_in,
    "signed out": signed_out,
    "continue": asked_to_continue,
    "nowhere": nowhere,
    "change the user": asked_to_change_the_user,
    "start again": asked_to_start_again,
    "ways": asked_how_to_sign_in,
}
REFUSALS = [error for error in SignInErrorCode if "EMAIL_CODE" not in error and "EMAIL_LOGIN" not in error]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_page_is_flawless(browser: Browser, site: Site, name: str, scheme: str, width: int) -> None:
    with looking(browser, site.server.url, scheme, width) as watched:
        PAGES[name](watched, site)
        watched.assert_flawless()


@pytest.mark.parametrize("error", REFUSALS)
def test_refusal_is_flawless(browser: Browser, site: Site, error: str) -> None:
    for scheme, width in LOOKS:
        with looking(browser, site.server.url, scheme, width) as watched:
            refused(error)(watched, site)
            watched.assert_flawless()


def test_link_on_another_site_signs_in_and_leaves_no_code_behind(page: Page, site: Site, application: Frontend) -> None:
    user_id = new_user_id()
    page.goto(application.show(f'<a href="{link(site, site.code_for(user_id))}">Open the chat</a>', "/links"))
    page.get_by_role("link").click()
    expect(page.get_by_text(user_id)).to_be_visible()
    assert page.url == f"{site.server.url}/"
    assert page.evaluate("document.referrer") == ""
    page.go_back()
    assert page.url == f"{application.origin}/links"


def test_application_is_not_told_where_people_came_from(page: Page, app_site: Site, application: Frontend) -> None:
    page.goto(link(app_site, app_site.code_for(new_user_id()), "/rooms/7"))
    expect(page.get_by_role("heading", name="Room 7")).to_be_visible()
    assert page.url == f"{application.origin}/rooms/7"
    assert page.evaluate("document.referrer") == ""


def test_second_link_on_another_site_continues_the_session(page: Page, site: Site, application: Frontend) -> None:
    user_id = new_user_id()
    page.goto(application.show(f'<a href="{link(site, site.code_for(user_id))}">Open the chat</a>', "/links"))
    tokens = set()
    for _ in range(2):
        page.goto(f"{application.origin}/links")
        page.get_by_role("link").click()
        expect(page.get_by_text(user_id)).to_be_visible()
        [cookie] = page.context.cookies(site.server.url)
        tokens.add(cookie.get("value"))
    assert len(tokens) == 1


def test_form_on_another_site_signs_in(page: Page, site: Site, application: Frontend) -> None:
    user_id = new_user_id()
    form = (
        f'<form method="post" action="{site.server.url}/">'
        f'<input type="hidden" name="externalAuthCode" value="{site.code_for(user_id)}"><button>Open</button></form>'
    )
    page.goto(application.show(form, "/form"))
    page.get_by_role("button").click()
    expect(page.get_by_text(user_id)).to_be_visible()
    assert page.url == f"{site.server.url}/"


def test_continue_button_leads_to_the_application(without_scripts: Page, app_site: Site, application: Frontend) -> None:
    """The policy of the page lets its form be redirected there, which Chromium would refuse otherwise."""
    page = without_scripts
    with app_site.policy(single_use=True):
        page.goto(link(app_site, app_site.code_for(user_id := new_user_id(), jti=new_user_id()), "/rooms/7"))
        assert app_site.find(user_id) is None
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Room 7")).to_be_visible()
    assert page.url == f"{application.origin}/rooms/7"
    assert app_site.find(user_id) is not None


def test_signing_out_works_without_scripts(without_scripts: Page, site: Site) -> None:
    page = without_scripts
    page.goto(link(site, site.code_for(new_user_id())))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    assert page.url == f"{site.server.url}/"
    assert page.context.cookies(site.server.url) == []


def test_another_site_signs_nobody_out(page: Page, site: Site, application: Frontend) -> None:
    page.goto(link(site, site.code_for(user_id := new_user_id())))
    form = f'<form method="post" action="{site.server.url}/logout"><button>Win a prize</button></form>'
    page.goto(application.show(form, "/trap"))
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="You were not signed out")).to_be_visible()
    page.goto(site.server.url)
    expect(page.get_by_text(user_id)).to_be_visible()


def test_refused_link_leads_to_a_page_without_the_code(page: Page, site: Site) -> None:
    code = site.code_for(new_user_id(), exp=1)
    page.goto(link(site, code))
    expect(page.get_by_role("heading", name="This sign-in link has expired")).to_be_visible()
    assert page.url.startswith(f"{site.server.url}/login/refused?error=CODE_EXPIRED&reference=")
    assert code not in page.content()


def test_link_that_was_fetched_ahead_still_works_when_it_is_followed(
    page: Page, site: Site, application: Frontend
) -> None:
    url = link(site, site.code_for(user_id := new_user_id()))
    rules = f'{{"prefetch": [{{"urls": ["{url}"], "eagerness": "immediate"}}]}}'
    script = f'<script type="speculationrules">{rules}</script>'
    before = requests_of_links(site)
    page.goto(application.show(f'{script}<a href="{url}">Open the chat</a>', "/ahead"))
    for _ in range(100):
        if requests_of_links(site) > before:
            break
        page.wait_for_timeout(100)
    assert requests_of_links(site) == before + 1, "Chromium has fetched nothing ahead"
    assert site.find(user_id) is None
    page.get_by_role("link").click()
    expect(page.get_by_text(user_id)).to_be_visible()


def requests_of_links(site: Site) -> int:
    """How often `/` was asked for."""
    with site.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith('doorcode_request_seconds_count{route="/"}')
    )


def test_signing_out_works_where_browsers_say_less(
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    background: BlockingPortal,
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> None:
    """On plain http, which the operator can allow, there is no `Sec-Fetch-Site`: the form's `Origin` has to do."""
    insecure = {"DOORCODE_PUBLIC_URL": "http://doorcode.test", "DOORCODE_INSECURE_HTTP": "1"}
    with served(tmp_path_factory.mktemp("insecure"), background, **insecure) as site:
        rule = f"--host-resolver-rules=MAP doorcode.test:80 127.0.0.1:{site.server.port}"
        arguments = [*browser_type_launch_args["args"], rule]
        browser = browser_type.launch(**{**browser_type_launch_args, "args": arguments})
        with looking(browser, "http://doorcode.test", "light", 390) as watched:
            page = watched.page
            page.goto(f"/?externalAuthCode={site.code_for(new_user_id())}")
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
            assert watched.complaints == []
        browser.close()


def test_browsers_agree_on_which_paths_stay_on_the_origin(page: Page, app_site: Site, application: Frontend) -> None:
    """Where the service sends people to is read by a browser's own rules."""
    with app_site.client() as client:
        locations = []
        for return_to in (*ACCEPTED, *REFUSED):
            query = {"externalAuthCode": app_site.code_for(new_user_id()), "returnTo": return_to}
            locations.append(client.get("/", params=query).headers["location"])
    origins = page.evaluate("locations => locations.map(location => new URL(location).origin)", locations)
    assert set(origins) == {application.origin}


def test_reference_is_copied_by_a_button(context: BrowserContext, page: Page, site: Site) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site.server.url}/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "ABCDEFGHJK"


def test_time_to_wait_is_counted_down(page: Page, site: Site) -> None:
    page.clock.install()
    page.goto(f"{site.server.url}/login/refused?error=TOO_MANY_ATTEMPTS&reference=ABCDEFGHJK&retryAfter=42")
    expect(page.locator("[data-wait]")).to_contain_text("You can try again in 42 seconds.")
    page.clock.run_for(41_000)
    expect(page.locator("[data-wait]")).to_contain_text("You can try again in 1 second.")
    page.clock.run_for(1_500)
    expect(page.locator("[data-wait]")).to_have_text("You can try again now.")
