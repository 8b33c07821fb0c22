"""The widget as time goes by: renewing and expiring. The page's clock is the test's; the server's is real."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page

from service.sessions.administration import end_user_sessions
from tests.actions import TESTER
from tests.browser.frontend import Frontend
from tests.browser.widget import events, eventually, operations_sent, wait_for
from tests.site import Site, new_user_id


@pytest.fixture
def signed_in(page: Page, shop: Frontend, site: Site) -> str:
    """`page` has just signed this user in, and its clock is stopped."""
    user_id = new_user_id()
    page.clock.install()
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id)))
    wait_for(page, "ready")
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    return user_id


def minutes(number: float) -> int:
    """In milliseconds, as the page's clock counts."""
    return round(number * 60_000)


def token(page: Page) -> str | None:
    text: str | None = page.evaluate("Doorcode.getAccessToken()")
    return text


@pytest.mark.usefixtures("signed_in")
def test_access_token_is_renewed_near_its_end(page: Page) -> None:
    first = token(page)
    sent = operations_sent(page)

    page.clock.run_for(minutes(8))
    assert token(page) == first
    assert sent == []

    page.clock.run_for(minutes(1.5))
    renewed = page.evaluate("Promise.all([Doorcode.getAccessToken(), Doorcode.getAccessToken()])")
    assert renewed[0] == renewed[1] != first
    assert len(sent) == 1
    assert "issueAccessToken" in sent[0]["query"]
    assert events(page) == ["ready"]


def test_session_that_was_ended_elsewhere_is_found_out_with_the_next_access_token(
    page: Page, site: Site, signed_in: str
) -> None:
    site.call(lambda _: end_user_sessions(signed_in, TESTER))
    page.clock.run_for(minutes(9.5))

    assert token(page) is None
    assert events(page) == ["ready", "expired"]
    assert page.evaluate("Doorcode.getSession()") is None


def test_fresh_code_is_asked_for_shortly_before_the_end(page: Page, site: Site, signed_in: str) -> None:
    page.expose_function("freshCode", lambda: site.code_for(signed_in))
    page.evaluate("() => { window.asked = 0; Doorcode.onCodeNeeded(() => (asked++, freshCode())) }")
    before = page.evaluate("Doorcode.getSession()")

    page.clock.run_for(minutes(58))
    assert page.evaluate("asked") == 0
    page.clock.run_for(minutes(1.5))
    eventually(page, lambda: len(events(page)) == 2)
    page.clock.run_for(minutes(20))

    assert page.evaluate("asked") == 1
    assert events(page) == ["ready", "ready"]
    assert page.evaluate("Doorcode.getSession()")["user"] == before["user"]


@pytest.mark.usefixtures("signed_in")
def test_whoever_says_late_how_to_get_a_code_is_asked_all_the_same(page: Page) -> None:
    page.clock.run_for(minutes(59.5))
    page.evaluate("Doorcode.onCodeNeeded(() => { window.asked = true })")
    page.clock.run_for(minutes(0.4))

    assert page.evaluate("asked")


@pytest.mark.usefixtures("signed_in")
def test_page_that_fails_to_get_a_code_is_asked_again(page: Page, site: Site) -> None:
    """The page's own server may be unreachable for a moment."""
    page.expose_function("freshCode", lambda: site.code_for(new_user_id()))
    failing = "async () => { if (++asked < 3) throw new TypeError('Failed to fetch'); return freshCode() }"
    page.evaluate(f"() => {{ window.asked = 0; Doorcode.onCodeNeeded({failing}) }}")

    page.clock.run_for(minutes(59.6))
    eventually(page, lambda: events(page) == ["ready", "ready"])

    assert page.evaluate("asked") == 3


@pytest.mark.usefixtures("signed_in")
def test_page_that_never_gets_a_code_is_not_asked_after_the_end(page: Page) -> None:
    page.evaluate("() => { window.asked = 0; Doorcode.onCodeNeeded(async () => { asked++; throw new Error() }) }")
    page.clock.run_for(minutes(61))
    asked = page.evaluate("asked")
    page.clock.run_for(minutes(5))

    assert events(page) == ["ready", "expired"]
    assert 1 < page.evaluate("asked") == asked < 10


@pytest.mark.usefixtures("signed_in")
def test_without_a_fresh_code_the_session_expires(page: Page) -> None:
    page.evaluate("Doorcode.onCodeNeeded(() => null)")
    page.clock.run_for(minutes(61))

    assert events(page) == ["ready", "expired"]
    assert wait_for(page, "expired") == {"signInUrl": None}
    assert page.evaluate("Promise.all([Doorcode.getSession(), Doorcode.getAccessToken()])") == [None, None]


@pytest.mark.usefixtures("signed_in")
def test_fresh_code_that_is_refused_leaves_the_session_to_its_end(page: Page, site: Site) -> None:
    page.evaluate("code => Doorcode.onCodeNeeded(() => code)", site.code_for(new_user_id(), exp=1))

    page.clock.run_for(minutes(59.5))
    assert wait_for(page, "error")["code"] == "CODE_EXPIRED"
    assert page.evaluate("Doorcode.getSession()") is not None

    page.clock.run_for(minutes(1))
    eventually(page, lambda: events(page) == ["ready", "error", "expired"])


@pytest.mark.usefixtures("signed_in")
def test_nobody_is_asked_for_a_code_after_signing_out(page: Page) -> None:
    page.evaluate("Doorcode.onCodeNeeded(() => { window.asked = true })")
    page.evaluate("Doorcode.signOut()")
    page.clock.run_for(minutes(61))

    assert page.evaluate("window.asked") is None
    assert events(page) == ["ready", "signout"]


@pytest.mark.usefixtures("signed_in")
def test_code_that_arrives_after_signing_out_signs_nobody_in(page: Page, site: Site) -> None:
    page.evaluate("() => Doorcode.onCodeNeeded(() => new Promise(done => (window.deliver = done)))")
    page.clock.run_for(minutes(59.5))
    page.evaluate("Doorcode.signOut()")
    sent = operations_sent(page)

    page.evaluate("code => deliver(code)", site.code_for(new_user_id()))
    page.wait_for_timeout(200)

    assert sent == []
    assert events(page) == ["ready", "signout"]


def test_computer_that_was_asleep_has_a_session_again_before_the_page_hears_of_the_end(
    page: Page, site: Site, signed_in: str
) -> None:
    page.expose_function("freshCode", lambda: site.code_for(signed_in, jti=new_user_id()))
    page.evaluate("() => Doorcode.onCodeNeeded(freshCode)")

    page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=3))
    assert page.evaluate("Doorcode.getSession()")["user"]["id"] == signed_in
    assert token(page)
    assert events(page) == ["ready", "ready"]


@pytest.mark.parametrize("wrong_by", [timedelta(days=-400), timedelta(hours=5)])
def test_clock_that_is_wrong_does_no_harm(page: Page, shop: Frontend, site: Site, wrong_by: timedelta) -> None:
    page.clock.install(time=datetime.now(UTC) + wrong_by)
    sent = operations_sent(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    wait_for(page, "ready")

    first = token(page)
    assert first
    page.clock.run_for(minutes(8))
    assert token(page) == first
    assert len(sent) == 1
    page.clock.run_for(minutes(50))
    assert events(page) == ["ready"]
    page.clock.run_for(minutes(3))
    assert events(page) == ["ready", "expired"]
