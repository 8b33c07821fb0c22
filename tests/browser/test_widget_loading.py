"""The ways in which a page may load the widget, and what the widget says where it cannot work."""

import pytest
from playwright.sync_api import Page

from tests.browser.frontend import Frontend
from tests.browser.widget import events, operations_sent, wait_for
from tests.site import Site, new_user_id


def console_of(page: Page) -> list[str]:
    """Grows with every line in the console of the page."""
    lines: list[str] = []
    page.on("console", lambda message: lines.append(message.text))
    return lines


def show(shop: Frontend, body: str, **headers: str) -> str:
    """A page with this body, which records the events of the widget."""
    recorder = """<script>
      window.seen = [];
      for (const name of ["ready", "error", "expired", "signout"])
        document.addEventListener("doorcode:" + name, ({detail}) => seen.push([name, detail && {...detail}]));
    </script>"""
    return shop.show(recorder + body, "/loading", **headers)


TAG = 'data-external-auth-code="$CODE" src="$DOORCODE/widget.js"'


@pytest.mark.parametrize(
    "body",
    [
        f"<script {TAG}></script>",
        f"<script async {TAG}></script>",
        f'<script type="module" {TAG}></script>',
        """<div id="host"></div><script>
          host.attachShadow({mode: "open"}).innerHTML = "<p></p>";
          const tag = document.createElement("script");
          tag.dataset.externalAuthCode = "$CODE";
          tag.src = "$DOORCODE/widget.js";
          host.shadowRoot.append(tag);
        </script>""",
        '<script>import("$DOORCODE/widget.js").then(() => Doorcode.authenticate("$CODE"))</script>',
        '<script defer data-external-auth-code="\n    $CODE\n  " src="$DOORCODE/widget.js"></script>',
        f'<form name="Doorcode"><input name="on"></form><script defer {TAG}></script>',
        f'<div id="Doorcode"></div><script defer {TAG}></script>',
        f"<script>delete AbortSignal.timeout</script><script defer {TAG}></script>",
        f"<script defer {TAG.replace('widget.js', 'widget.js?v=1')}></script>",
    ],
    ids=["sync", "async", "module", "shadow root", "import", "white space", "form", "div", "old browser", "query"],
)
def test_it_signs_in_however_it_is_loaded(page: Page, shop: Frontend, site: Site, body: str) -> None:
    user_id = new_user_id()
    body = body.replace("$CODE", site.code_for(user_id)).replace("$DOORCODE", site.server.url)

    page.goto(show(shop, body))

    assert wait_for(page, "ready")["user"]["id"] == user_id
    assert events(page) == ["ready"]
    assert page.locator("[data-external-auth-code]").count() == 0  # also looks into open shadow roots


def test_tag_that_is_evaluated_twice_uses_its_code_once(page: Page, shop: Frontend, site: Site) -> None:
    code = site.code_for(new_user_id(), jti=new_user_id())
    tag = f'<script defer data-external-auth-code="{code}" src="{site.server.url}/widget.js"></script>'
    sent = operations_sent(page)

    page.goto(show(shop, tag + tag))
    wait_for(page, "ready")

    assert page.evaluate("Doorcode.getSession()") is not None
    assert events(page) == ["ready"]
    assert len(sent) == 1


def test_module_without_a_tag_says_what_to_call(page: Page, shop: Frontend, site: Site) -> None:
    lines = console_of(page)
    page.goto(show(shop, f'<script>import("{site.server.url}/widget.js").then(() => (window.loaded = true))</script>'))
    page.wait_for_function("window.loaded")

    assert any("data-external-auth-code" in line and "authenticate" in line for line in lines)
    assert events(page) == []


def test_empty_code_is_named_in_the_event_and_in_the_console(page: Page, shop: Frontend, site: Site) -> None:
    lines, sent = console_of(page), operations_sent(page)
    page.goto(show(shop, f'<script defer data-external-auth-code="" src="{site.server.url}/widget.js"></script>'))

    assert wait_for(page, "error")["code"] == "NO_CODE"
    assert any("data-external-auth-code" in line for line in lines)
    assert sent == []


@pytest.mark.parametrize("nothing", ["", "undefined", "null", "'  '"])
def test_authenticate_without_a_code_asks_nothing_of_the_server(
    page: Page, shop: Frontend, site: Site, nothing: str
) -> None:
    page.goto(shop.show_widget(site.server.url, None))
    sent = operations_sent(page)

    failure = page.evaluate(f"Doorcode.authenticate({nothing}).catch(e => ({{...e}}))")

    assert (failure["code"], failure["retryable"]) == ("NO_CODE", False)
    assert sent == []


def test_policy_that_forbids_the_request_is_named(page: Page, shop: Frontend, site: Site) -> None:
    lines = console_of(page)
    here = site.server.url
    policy = f"default-src 'none'; script-src 'unsafe-inline' {here}"
    code = site.code_for(new_user_id())
    tag = f'<script defer data-external-auth-code="{code}" src="{here}/widget.js"></script>'

    page.goto(show(shop, tag, Content_Security_Policy=policy))

    assert wait_for(page, "error")["code"] == "BLOCKED_BY_CSP"
    assert any(line.startswith("Doorcode:") and "connect-src" in line for line in lines)
    assert not any("DOORCODE_ALLOWED_ORIGINS" in line for line in lines)


def test_sandbox_that_takes_the_origin_away_is_named(page: Page, shop: Frontend, site: Site) -> None:
    lines = console_of(page)
    inner = shop.show_widget(site.server.url, site.code_for(new_user_id()), path="/inner")
    page.goto(shop.show(f'<iframe sandbox="allow-scripts" src="{inner}"></iframe>', "/sandbox"))
    frame = next(frame for frame in page.frames if frame.url == inner)
    frame.wait_for_function("window.seen?.length")

    assert frame.evaluate("seen[0][1].code") == "SANDBOXED_FRAME"
    assert any("allow-same-origin" in line for line in lines)


def test_page_without_a_code_in_its_tag_is_asked_for_the_first_one(page: Page, shop: Frontend, site: Site) -> None:
    user_id = new_user_id()
    page.expose_function("freshCode", lambda: site.code_for(user_id))
    page.goto(shop.show_widget(site.server.url, None))

    session = page.evaluate("Doorcode.onCodeNeeded(freshCode) ?? Doorcode.getSession()")

    assert session["user"]["id"] == user_id
    assert events(page) == ["ready"]


@pytest.mark.parametrize("first", ["", "expired"])
def test_code_of_an_old_page_is_replaced_without_an_error(page: Page, shop: Frontend, site: Site, first: str) -> None:
    """As where the page came out of a cache."""
    user_id = new_user_id()
    page.expose_function("freshCode", lambda: site.code_for(user_id))
    queue = "<script>(window.Doorcode = window.Doorcode || []).push(d => d.onCodeNeeded(freshCode))</script>"

    code = first and site.code_for(user_id, exp=1)
    page.goto(shop.show_widget(site.server.url, code, before=queue))

    assert wait_for(page, "ready")["user"]["id"] == user_id
    assert events(page) == ["ready"]


def test_visitor_without_a_code_is_not_signed_in(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, None))
    page.evaluate("() => { window.asked = 0; Doorcode.onCodeNeeded(() => { asked++; return null }) }")

    assert page.evaluate("Doorcode.getSession()") is None
    assert page.evaluate("asked") == 1
    assert events(page) == []


def test_prerendered_page_signs_in_when_it_is_shown(page: Page, shop: Frontend, site: Site) -> None:
    """Doorcode answers no request that a browser sends ahead of time."""
    sent = operations_sent(page)
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true, configurable: true})")
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    page.wait_for_function("!!window.Doorcode?.authenticate")
    assert sent == []

    page.evaluate("delete document.prerendering; document.dispatchEvent(new Event('prerenderingchange'))")

    wait_for(page, "ready")
    assert events(page) == ["ready"]


def test_role_is_not_given_to_pages(page: Page, shop: Frontend, site: Site) -> None:
    """Pages would decide by it, although a session that a code opened never has admin rights."""
    sent = operations_sent(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))

    assert "role" not in wait_for(page, "ready")["user"]
    assert "role" not in sent[0]["query"]
