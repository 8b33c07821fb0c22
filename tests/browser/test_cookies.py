"""Cookies in Chromium, behind a real nginx that speaks TLS: across subdomains, and on one host with the application."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect

from service.audit.log import COMMAND_LINE
from service.email_login.invitations import invite_admin
from tests.processes import free_port
from tests.programs import Programs
from tests.proxies.proxy import Application, Proxy, nginx
from tests.site import Site, new_user_id, served

AUTH, APP = "https://auth.example.com", "https://app.example.com"
NEARBY, ELSEWHERE = "https://evil.example.com", "https://shop.example.net"
CHAT = "https://chat.example.com"

SUBDOMAINS = {
    "DOORCODE_PUBLIC_URL": AUTH,
    "DOORCODE_APP_URL": f"{APP}/",
    "DOORCODE_COOKIE_DOMAIN": "example.com",
    "DOORCODE_ALLOWED_ORIGINS": f"{APP},{ELSEWHERE}",
    "DOORCODE_TRUSTED_PROXIES": "127.0.0.1",
}
ONE_HOST = {
    "DOORCODE_PUBLIC_URL": CHAT,
    "DOORCODE_APP_URL": f"{CHAT}/",
    "DOORCODE_TRUSTED_PROXIES": "127.0.0.1",
}
# As a single-page application asks who is signed in, and signs them out.
PAGE = """<!doctype html><title>Application</title><h1>Application</h1>
<script>
  async function ask(endpoint, credentials) {
    const response = await fetch(endpoint, {
      method: "POST", credentials,
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify({query: "{currentSession{user{id} adminRights}}"}),
    });
    return (await response.json()).data.currentSession;
  }
</script>
<form method="post" action="https://auth.example.com/logout"><button>Sign out</button></form>
"""


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as application:
        application.pages.update({"/": PAGE, "/orders": PAGE})
        yield application


def behind_nginx(program: str, site: Site, application: Application, directory: Path, *names: str) -> Any:
    return nginx(
        program, *names, port=free_port(), doorcode=site.server.port, application=application.port, directory=directory
    )


@pytest.fixture(scope="module")
def subdomains(
    background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, **SUBDOMAINS) as site:
        yield site


@pytest.fixture(scope="module")
def one_host(
    background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, **ONE_HOST) as site:
        yield site


def chromium_at(proxy: Proxy, browser_type: BrowserType, launch: dict[str, Any]) -> Iterator[Browser]:
    browser = browser_type.launch(**{**launch, "args": [*launch["args"], proxy.resolver_rules]})
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def browser_across_subdomains(
    subdomains: Site,
    application: Application,
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> Iterator[Browser]:
    names = ("tls.nginx.conf", "applications.nginx.conf")
    with behind_nginx(
        programs.path("nginx"), subdomains, application, tmp_path_factory.mktemp("nginx"), *names
    ) as proxy:
        yield from chromium_at(proxy, browser_type, browser_type_launch_args)


@pytest.fixture(scope="module")
def browser_on_one_host(
    one_host: Site,
    application: Application,
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> Iterator[Browser]:
    with behind_nginx(
        programs.path("nginx"), one_host, application, tmp_path_factory.mktemp("nginx"), "one-host.nginx.conf"
    ) as proxy:
        yield from chromium_at(proxy, browser_type, browser_type_launch_args)


def new_page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(ignore_https_errors=True) as context:
        yield context.new_page()


@pytest.fixture
def across(browser_across_subdomains: Browser) -> Iterator[Page]:
    """A page of a new browser, with nginx in front of Doorcode and of applications on other hosts."""
    yield from new_page(browser_across_subdomains)


@pytest.fixture
def on_one_host(browser_on_one_host: Browser) -> Iterator[Page]:
    """A page of a new browser, with nginx in front of Doorcode and of an application on the same host."""
    yield from new_page(browser_on_one_host)


def session(page: Page, endpoint: str, credentials: str = "include") -> Any:
    """The session that a script of the page is told of, or why it is told nothing."""
    return page.evaluate(
        "([endpoint, credentials]) => ask(endpoint, credentials).catch(error => error.name)", [endpoint, credentials]
    )


def cookies(context: BrowserContext) -> list[dict[str, Any]]:
    return [{**cookie, "value": None, "expires": None} for cookie in context.cookies()]


def test_single_page_application_on_another_subdomain_finds_the_session(across: Page, subdomains: Site) -> None:
    user_id = new_user_id()
    across.goto(f"{AUTH}/?externalAuthCode={subdomains.code_for(user_id)}&returnTo=/orders?page=2")

    assert across.url == f"{APP}/orders?page=2"
    assert session(across, f"{AUTH}/graphql") == {"user": {"id": user_id}, "adminRights": False}
    assert session(across, f"{AUTH}/graphql", "omit") is None
    assert across.evaluate("document.cookie") == ""
    assert cookies(across.context) == [
        {
            "name": "doorcode",
            "value": None,
            "domain": ".example.com",
            "path": "/",
            "expires": None,
            "httpOnly": True,
            "secure": True,
            "sameSite": "Lax",
        }
    ]


def test_application_on_another_subdomain_signs_out(across: Page, subdomains: Site) -> None:
    across.goto(f"{AUTH}/?externalAuthCode={subdomains.code_for(new_user_id())}")
    across.get_by_role("button", name="Sign out").click()

    expect(across).to_have_url(f"{APP}/")
    assert session(across, f"{AUTH}/graphql") is None
    assert across.context.cookies() == []


def test_origin_nearby_that_nobody_named_learns_nothing(across: Page, subdomains: Site) -> None:
    """Its requests have the cookie, because every subdomain is the same site for a browser."""
    across.goto(f"{AUTH}/?externalAuthCode={subdomains.code_for(new_user_id())}")
    across.goto(f"{NEARBY}/")

    assert session(across, f"{AUTH}/graphql") == "TypeError"
    assert session(across, f"{AUTH}/graphql", "omit") == "TypeError"
    across.get_by_role("button", name="Sign out").click()
    expect(across).to_have_url(f"{AUTH}/logout")
    across.goto(f"{APP}/")
    assert session(across, f"{AUTH}/graphql") is not None


def test_allowed_origin_of_another_site_may_ask_without_cookies_alone(across: Page, subdomains: Site) -> None:
    across.goto(f"{AUTH}/?externalAuthCode={subdomains.code_for(new_user_id())}")
    across.goto(f"{ELSEWHERE}/")

    assert session(across, f"{AUTH}/graphql") == "TypeError"
    assert session(across, f"{AUTH}/graphql", "omit") is None


def test_widget_works_where_third_party_cookies_are_blocked(across: Page, subdomains: Site) -> None:
    """They are blocked here: Chromium sends no cookies from a page inside another site, not even SameSite=None ones."""
    across.context.add_cookies(
        [{"name": "third", "value": "party", "url": APP, "secure": True, "sameSite": "None", "httpOnly": True}]
    )
    across.goto(f"{APP}/headers")
    assert "third=party" in across.content()
    across.goto(f"{ELSEWHERE}/")
    across.evaluate(f"document.body.append(Object.assign(document.createElement('iframe'), {{src: '{APP}/headers'}}))")
    inside = across.frame_locator("iframe").locator("body")
    expect(inside).to_contain_text("headers")
    assert "third=party" not in inside.inner_text()

    user_id = new_user_id()
    across.evaluate(
        """([src, code]) => new Promise(done => {
          const script = document.createElement("script");
          Object.assign(script, {src, onload: done});
          script.dataset.externalAuthCode = code;
          document.body.append(script);
        })""",
        [f"{AUTH}/widget.js", subdomains.code_for(user_id)],
    )
    assert across.evaluate("Doorcode.getSession()")["user"]["id"] == user_id


def test_application_and_doorcode_share_a_host(on_one_host: Page, one_host: Site, application: Application) -> None:
    user_id = new_user_id()
    application.asked_for.clear()
    on_one_host.goto(f"{CHAT}/?externalAuthCode={one_host.code_for(user_id)}&returnTo=/orders")

    assert on_one_host.url == f"{CHAT}/orders"
    expect(on_one_host.get_by_role("heading", name="Application")).to_be_visible()
    assert session(on_one_host, "/graphql", "same-origin") == {"user": {"id": user_id}, "adminRights": False}
    [cookie] = cookies(on_one_host.context)
    assert (cookie["name"], cookie["domain"], cookie["secure"]) == ("__Host-doorcode", "chat.example.com", True)
    assert not [path for path in application.asked_for if "externalAuthCode" in path]


def test_on_a_shared_host_all_but_doorcodes_own_is_the_applications(
    on_one_host: Page, application: Application
) -> None:
    application.asked_for.clear()
    for path in ("/", "/?page=2", "/orders", "/headers?externalAuthCode=x", "/login-help", "/graphql2", "/administer"):
        on_one_host.goto(CHAT + path)
    assert [path for path in application.asked_for if path != "/favicon.ico"] == [
        "/",
        "/?page=2",
        "/orders",
        "/headers?externalAuthCode=x",
        "/login-help",
        "/graphql2",
        "/administer",
    ]


def test_on_a_shared_host_the_application_gets_none_of_doorcodes_cookies(
    on_one_host: Page, one_host: Site, application: Application
) -> None:
    context = on_one_host.context
    others = {"first": "1", "x__Host-doorcode": "2", "last": "3"}
    secrets = {
        "__Host-doorcode-admin": "dcs_admins",
        "__Host-doorcode-state": "hashes",
        "__Host-doorcode-device": "token",
    }
    on_one_host.goto(f"{CHAT}/?externalAuthCode={one_host.code_for(user_id := new_user_id())}&returnTo=/orders")
    assert session(on_one_host, "/graphql", "same-origin")["user"]["id"] == user_id
    context.add_cookies(
        [{"name": name, "value": value, "url": CHAT, "secure": True} for name, value in {**others, **secrets}.items()]
    )
    for path in ("/headers", "/", "/?page=2"):
        application.pages.pop("/", None)
        on_one_host.goto(CHAT + path)
        told = json.loads(on_one_host.locator("body").inner_text())["headers"]
        [cookies_told] = [value for name, value in told if name.lower() == "cookie"]
        names = {pair.partition("=")[0] for pair in cookies_told.replace(" ", "").split(";") if pair}
        assert names == {"first", "x__Host-doorcode", "last"}, path
    application.pages["/"] = PAGE


def test_panel_has_a_host_of_its_own_beside_a_shared_host(on_one_host: Page, one_host: Site) -> None:
    """A script of the application reaches no page of the panel, not even its sign-in page."""
    on_one_host.goto(f"{CHAT}/orders")
    read = "path => fetch(path).then(answer => answer.text(), error => error.name)"
    for path in ("/admin", "/admin/login", "/admin/authentication"):
        assert on_one_host.evaluate(read, path) == "TypeError", path
    link = one_host.call(
        lambda instance: invite_admin("root@example.com", COMMAND_LINE, instance.email_login.page_urls)
    ).url
    on_one_host.goto(link)
    assert on_one_host.url.startswith("https://panel.example.com/admin/invitation?")
    on_one_host.get_by_role("button", name="Open the panel").click()
    expect(on_one_host).to_have_url("https://panel.example.com/admin")
    names = {cookie["name"]: cookie["domain"] for cookie in on_one_host.context.cookies()}
    assert names == dict.fromkeys(("__Host-doorcode-admin", "__Host-doorcode-device"), "panel.example.com")
    on_one_host.get_by_role("link", name="User Authentication").first.click()
    expect(on_one_host.get_by_role("heading", name="User Authentication")).to_be_visible()
    on_one_host.get_by_role("button", name="Save email login").click()
    expect(on_one_host).to_have_url("https://panel.example.com/admin/authentication?done=email-login-updated")


def test_on_a_shared_host_a_refusal_is_shown_in_full(on_one_host: Page, one_host: Site) -> None:
    failed: list[str] = []
    on_one_host.on("response", lambda answer: failed.append(answer.url) if answer.status == 404 else None)
    on_one_host.goto(f"{CHAT}/?externalAuthCode={one_host.code_for(new_user_id(), exp=1)}")

    assert on_one_host.url.startswith(f"{CHAT}/login/refused?error=CODE_EXPIRED")
    expect(on_one_host.get_by_role("heading", name="This sign-in link has expired")).to_be_visible()
    assert [url for url in failed if not url.endswith("/favicon.ico")] == []
