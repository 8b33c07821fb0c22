"""The widget keeps its user signed in through sleep, outages and failing backends, and signs out everywhere at once.

The page's clock is the test's; the server's is real, so a renewal here continues the session of before.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.frontend import Frontend
from tests.browser.widget import events, eventually, is_live, operations_sent, wait_for
from tests.site import Site, new_user_id


def minutes(number: float) -> int:
    """In milliseconds, as the page's clock counts."""
    return round(number * 60_000)


@pytest.fixture
def user_id() -> str:
    return new_user_id()


@pytest.fixture
def fresh_code(site: Site, user_id: str) -> Callable[[], str]:
    """Signs a code that differs from those before."""
    numbers = count()
    return lambda: site.code_for(user_id, number=next(numbers))


@pytest.fixture
def signed_in(page: Page, shop: Frontend, site: Site, fresh_code: Callable[[], str]) -> Page:
    """The page has just signed the user in, its clock is stopped, and its server has a fresh code: `freshCode()`."""
    page.clock.install()
    page.expose_function("freshCode", fresh_code)
    page.goto(shop.show_widget(site.server.url, fresh_code()))
    wait_for(page, "ready")
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    return page


def sleep(page: Page, how_long: timedelta) -> None:
    """The computer sleeps: its clock goes on, timers do not. Then the user looks at the page."""
    page.clock.set_system_time(datetime.now(UTC) + how_long)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def cut_off(page: Page) -> None:
    page.route("**/graphql", lambda route: route.abort())


def reconnect(page: Page) -> None:
    page.unroute("**/graphql")
    page.evaluate("dispatchEvent(new Event('online'))")


def test_waking_after_the_end_of_the_session_asks_for_a_code(signed_in: Page) -> None:
    signed_in.evaluate("Doorcode.onCodeNeeded(freshCode)")

    sleep(signed_in, timedelta(hours=2))

    eventually(signed_in, lambda: events(signed_in) == ["ready", "ready"])
    assert signed_in.evaluate("Doorcode.getAccessToken()")


def test_timers_that_are_late_together_show_no_signed_out_state(signed_in: Page) -> None:
    signed_in.evaluate("Doorcode.onCodeNeeded(freshCode)")

    signed_in.clock.fast_forward(minutes(120))

    eventually(signed_in, lambda: events(signed_in) == ["ready", "ready"])


def test_waking_before_the_end_changes_nothing(signed_in: Page) -> None:
    sent = operations_sent(signed_in)
    signed_in.evaluate("Doorcode.onCodeNeeded(() => { window.asked = true; return freshCode() })")

    sleep(signed_in, timedelta(minutes=20))
    signed_in.wait_for_timeout(50)

    assert signed_in.evaluate("window.asked") is None
    assert (sent, events(signed_in)) == ([], ["ready"])


def test_outage_at_the_renewal_is_waited_out(signed_in: Page) -> None:
    signed_in.evaluate("Doorcode.onCodeNeeded(freshCode)")
    cut_off(signed_in)
    signed_in.clock.run_for(minutes(59.1))
    for _ in range(4):
        signed_in.wait_for_timeout(50)
        signed_in.clock.run_for(6_100)
    eventually(signed_in, lambda: "error" in events(signed_in))
    signed_in.unroute("**/graphql")
    signed_in.wait_for_timeout(50)
    signed_in.clock.run_for(9_100)

    eventually(signed_in, lambda: events(signed_in) == ["ready", "error", "ready"])


@pytest.mark.parametrize("answer", ["'<h1>Internal Server Error</h1>'", "Promise.reject(new TypeError('failed'))"])
def test_one_failing_answer_of_the_pages_server_is_asked_for_again(signed_in: Page, answer: str) -> None:
    signed_in.evaluate(f"() => {{ window.asked = 0; Doorcode.onCodeNeeded(() => asked++ ? freshCode() : {answer}) }}")

    signed_in.clock.run_for(minutes(59.05))
    eventually(signed_in, lambda: signed_in.evaluate("asked") == 1)
    eventually(signed_in, lambda: "TypeError" in answer or "error" in events(signed_in))
    signed_in.wait_for_timeout(50)
    signed_in.clock.run_for(9_100)

    eventually(signed_in, lambda: events(signed_in)[-1] == "ready" and len(events(signed_in)) > 1)
    assert "expired" not in events(signed_in)


def test_user_who_may_not_sign_in_is_not_asked_for_again(signed_in: Page, site: Site) -> None:
    signed_in.evaluate("() => { window.asked = 0; Doorcode.onCodeNeeded(() => (asked++, freshCode())) }")
    refusal = {"code": "USER_DEACTIVATED", "message": "No.", "reference": "23456789AB", "retryAfterSeconds": None}
    signed_in.route("**/graphql", lambda route: route.fulfill(json={"data": {"exchangeExternalAuthCode": refusal}}))

    signed_in.clock.run_for(minutes(59.2))
    assert wait_for(signed_in, "error")
    signed_in.clock.run_for(minutes(0.5))

    assert signed_in.evaluate("asked") == 1


def test_end_of_the_session_without_a_network_is_made_up_for_when_it_is_back(signed_in: Page) -> None:
    signed_in.evaluate("Doorcode.onCodeNeeded(() => navigator.onLine ? freshCode() : Promise.reject(new Error()))")
    signed_in.context.set_offline(True)
    signed_in.clock.run_for(minutes(61))
    eventually(signed_in, lambda: events(signed_in) == ["ready", "expired"])

    signed_in.context.set_offline(False)

    eventually(signed_in, lambda: events(signed_in) == ["ready", "expired", "ready"])


def test_page_that_was_loaded_without_a_network_signs_in_when_it_is_back(
    page: Page, shop: Frontend, site: Site, fresh_code: Callable[[], str]
) -> None:
    page.clock.install()
    cut_off(page)
    page.goto(shop.show_widget(site.server.url, fresh_code()))
    for _ in range(6):
        page.wait_for_timeout(100)
        page.clock.run_for(6_100)
    assert wait_for(page, "error")["code"] == "NETWORK_ERROR"

    reconnect(page)

    eventually(page, lambda: events(page) == ["error", "ready"])


def test_token_that_is_still_valid_is_handed_out_while_the_server_is_away(signed_in: Page) -> None:
    first = signed_in.evaluate("Doorcode.getAccessToken()")
    cut_off(signed_in)
    signed_in.clock.run_for(minutes(9.3))
    signed_in.evaluate("() => { Doorcode.getAccessToken().then(token => (window.token = token)) }")
    signed_in.wait_for_timeout(50)
    signed_in.clock.run_for(3_100)
    signed_in.wait_for_function("window.token")

    assert signed_in.evaluate("token") == first


def test_fresh_code_of_the_same_user_continues_the_session(signed_in: Page, fresh_code: Callable[[], str]) -> None:
    before = wait_for(signed_in, "ready")

    after = signed_in.evaluate("code => Doorcode.authenticate(code)", fresh_code())

    assert (after["id"], after["token"]) == (before["id"], before["token"])


def test_clock_that_is_set_back_does_not_keep_an_old_token(signed_in: Page) -> None:
    first = signed_in.evaluate("Doorcode.getAccessToken()")
    signed_in.clock.run_for(minutes(5))
    signed_in.clock.set_system_time(datetime.now(UTC) - timedelta(hours=2))
    signed_in.clock.run_for(minutes(5))

    renewed = signed_in.evaluate("Doorcode.getAccessToken()")

    assert renewed
    assert renewed != first


def test_sign_out_when_no_user_is_signed_in_is_no_event(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, None))

    assert page.evaluate("Doorcode.signOut()") is False
    assert events(page) == []


def test_sign_out_reaches_the_other_tabs_of_the_same_user_only(
    context: BrowserContext, shop: Frontend, site: Site, fresh_code: Callable[[], str]
) -> None:
    here, there, other = context.new_page(), context.new_page(), context.new_page()
    for page, code in ((here, fresh_code()), (there, fresh_code()), (other, site.code_for(new_user_id()))):
        page.goto(shop.show_widget(site.server.url, code))
        wait_for(page, "ready")
    token = there.evaluate("Doorcode.getSession()")["token"]

    here.evaluate("Doorcode.signOut()")

    eventually(there, lambda: events(there) == ["ready", "signout"])
    eventually(there, lambda: not is_live(site, token))
    assert is_live(site, other.evaluate("Doorcode.getSession()")["token"])
    assert events(other) == ["ready"]
    there.evaluate("code => Doorcode.authenticate(code)", fresh_code())
    assert events(there) == ["ready", "signout", "ready"]


def test_page_from_the_back_forward_cache_knows_that_its_user_has_signed_out(
    context: BrowserContext, shop: Frontend, site: Site, fresh_code: Callable[[], str]
) -> None:
    """Such a page gets no event while it is in the cache. The test keeps the events of storage from it."""
    kept, here = context.new_page(), context.new_page()
    kept.add_init_script("addEventListener('storage', (event) => event.stopImmediatePropagation(), true)")
    for page in (kept, here):
        page.goto(shop.show_widget(site.server.url, fresh_code()))
        wait_for(page, "ready")
    token = kept.evaluate("Doorcode.getSession()")["token"]
    here.evaluate("Doorcode.signOut()")
    assert events(kept) == ["ready"]

    kept.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    eventually(kept, lambda: events(kept) == ["ready", "signout"])
    eventually(kept, lambda: not is_live(site, token))


def test_what_a_sign_out_leaves_in_the_browser_names_no_user(signed_in: Page, user_id: str) -> None:
    signed_in.evaluate("Doorcode.signOut()")

    kept = signed_in.evaluate("JSON.stringify({...localStorage})")
    assert user_id not in kept
    assert signed_in.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [1, 0, ""]


def test_sign_out_works_where_the_browser_refuses_storage(
    page: Page, shop: Frontend, site: Site, fresh_code: Callable[[], str]
) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no') }})")
    page.goto(shop.show_widget(site.server.url, fresh_code()))
    token = wait_for(page, "ready")["token"]

    assert page.evaluate("Doorcode.signOut()") is True
    assert events(page) == ["ready", "signout"]
    assert not is_live(site, token)
