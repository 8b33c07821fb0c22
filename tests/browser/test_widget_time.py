"""The widget as time goes by: renewing, expiring, trying again. The page's clock is the test's; the server's is real."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Page, Route

from service.audit.log import SYSTEM
from service.errors import SignInErrorCode
from service.sessions.administration import end_user_sessions
from tests.browser.frontend import Frontend
from tests.browser.widget import events, eventually, operations_sent, wait_for
from tests.serving import served
from tests.web.site import Site, new_user_id


@pytest.fixture(scope="module")
def shop() -> Iterator[Frontend]:
    with Frontend() as frontend:
        yield frontend


@pytest.fixture(scope="module")
def site(shop: Frontend, background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_ALLOWED_ORIGINS=shop.origin) as site:
        yield site


@pytest.fixture
def signed_in(page: Page, shop: Frontend, site: Site) -> str:
    """`page` has just signed this user in, and its clock stands still."""
    user_id = new_user_id()
    page.clock.install()
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id)))
    wait_for(page, "ready")
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    return user_id


@pytest.fixture
def waiting(page: Page, shop: Frontend, site: Site) -> Page:
    """`page` has the widget without a code, and its clock stands still."""
    page.clock.install()
    page.goto(shop.show_widget(site.server.url, None))
    page.evaluate("Doorcode.getSession()")
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    return page


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
    site.call(lambda _: end_user_sessions(signed_in, SYSTEM))
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
    after = page.evaluate("Doorcode.getSession()")
    assert after["user"] == before["user"]
    assert after["id"] != before["id"]


@pytest.mark.usefixtures("signed_in")
def test_whoever_says_late_how_to_get_a_code_is_asked_all_the_same(page: Page) -> None:
    page.clock.run_for(minutes(59.5))
    page.evaluate("Doorcode.onCodeNeeded(() => { window.asked = true })")
    page.clock.run_for(minutes(0.4))

    assert page.evaluate("asked")


@pytest.mark.usefixtures("signed_in")
def test_without_a_fresh_code_the_session_expires(page: Page) -> None:
    page.evaluate("Doorcode.onCodeNeeded(() => null)")
    page.clock.run_for(minutes(61))

    assert events(page) == ["ready", "expired"]
    assert page.evaluate("Promise.all([Doorcode.getSession(), Doorcode.getAccessToken()])") == [None, None]


@pytest.mark.usefixtures("signed_in")
def test_fresh_code_that_is_refused_leaves_the_session_to_its_end(page: Page, site: Site) -> None:
    page.evaluate("code => Doorcode.onCodeNeeded(() => code)", site.code_for(new_user_id(), exp=1))

    page.clock.run_for(minutes(59.5))
    assert wait_for(page, "error")["code"] == "CODE_EXPIRED"
    assert page.evaluate("Doorcode.getSession()") is not None

    page.clock.run_for(minutes(1))
    assert events(page) == ["ready", "error", "expired"]


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


def test_computer_that_was_asleep_knows_that_the_time_is_over(page: Page, site: Site, signed_in: str) -> None:
    """And asks for a code as soon as its timers run again."""
    page.expose_function("freshCode", lambda: site.code_for(signed_in))
    page.evaluate("() => Doorcode.onCodeNeeded(freshCode)")

    page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=3))
    assert page.evaluate("Doorcode.getSession()") is None
    assert events(page) == ["ready", "expired"]

    page.clock.run_for(minutes(61))
    eventually(page, lambda: events(page) == ["ready", "expired", "ready"])


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


# ---------------------------------------------------------------- trying again

UNREACHABLE: dict[str, Any] = {}
TOO_MANY = SignInErrorCode.TOO_MANY_ATTEMPTS


def refusal(code: str, retry_after: int | None = None) -> dict[str, Any]:
    error = {"code": code, "message": "No.", "reference": "23456789AB", "retryAfterSeconds": retry_after}
    return {"json": {"data": {"exchangeExternalAuthCode": error}}}


def request_error(code: str, status: int = 200) -> dict[str, Any]:
    errors = [{"message": "No.", "extensions": {"code": code, "reference": "23456789AB"}}]
    return {"status": status, "json": {"data": None, "errors": errors}}


@pytest.fixture
def answers(page: Page, shop: Frontend) -> Callable[..., list[int]]:
    """`answers(…)` gives these answers in turn to the page's requests, then lets the server answer; counts the requests."""

    def give(*answers: Mapping[str, Any]) -> list[int]:
        left, count = list(answers), [0]

        def answer(route: Route) -> None:
            count[0] += 1
            if not left:
                route.continue_()
            elif (given := left.pop(0)) is UNREACHABLE:
                route.abort()
            else:
                cors = {"Access-Control-Allow-Origin": shop.origin, "Access-Control-Expose-Headers": "Retry-After"}
                route.fulfill(**{**given, "headers": {**cors, **given.get("headers", {})}})

        page.route("**/graphql", answer)
        return count

    return give


def start(page: Page, code: str) -> None:
    page.evaluate("code => { Doorcode.authenticate(code).catch(() => {}) }", code)


@pytest.mark.parametrize(
    "trouble",
    [
        UNREACHABLE,
        {"status": 500, "body": "<h1>Oops</h1>"},
        {"status": 502, "body": ""},
        {"status": 200, "body": "<h1>Not JSON</h1>"},
        {"status": 429, "body": "slow down"},
        request_error("INTERNAL_SERVER_ERROR", 500),
        request_error("INTERNAL_SERVER_ERROR", 200),
        refusal(TOO_MANY),
    ],
    ids=["no network", "500", "502", "no JSON", "429", "crash", "crash of a field", "too many"],
)
def test_passing_trouble_is_waited_out_with_jitter(
    waiting: Page, site: Site, answers: Callable[..., list[int]], trouble: Mapping[str, Any]
) -> None:
    requests = answers(trouble, trouble)
    start(waiting, site.code_for(new_user_id()))
    eventually(waiting, lambda: requests == [1])

    waiting.clock.run_for(480)
    waiting.wait_for_timeout(50)
    assert requests == [1]
    waiting.clock.run_for(300)
    eventually(waiting, lambda: requests == [2])

    waiting.wait_for_timeout(50)
    waiting.clock.run_for(950)
    waiting.wait_for_timeout(50)
    assert requests == [2]
    waiting.clock.run_for(600)
    wait_for(waiting, "ready")

    assert requests == [3]
    assert events(waiting) == ["ready"]


@pytest.mark.parametrize(
    "asked_to_wait",
    [refusal(TOO_MANY, 7), {"status": 503, "body": "", "headers": {"Retry-After": "7"}}],
    ids=["as data", "as a header"],
)
def test_retry_after_is_obeyed(
    waiting: Page, site: Site, answers: Callable[..., list[int]], asked_to_wait: Mapping[str, Any]
) -> None:
    requests = answers(asked_to_wait)
    start(waiting, site.code_for(new_user_id()))
    eventually(waiting, lambda: requests == [1])
    waiting.wait_for_timeout(50)

    waiting.clock.run_for(6_950)
    waiting.wait_for_timeout(50)
    assert requests == [1]
    waiting.clock.run_for(3_600)
    wait_for(waiting, "ready")


def test_it_gives_up_after_five_tries(waiting: Page, site: Site, answers: Callable[..., list[int]]) -> None:
    warnings: list[str] = []
    waiting.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    requests = answers(*[UNREACHABLE] * 10)
    start(waiting, site.code_for(new_user_id()))
    for tries in range(1, 6):
        eventually(waiting, lambda: requests == [tries])  # noqa: B023  # called at once
        waiting.wait_for_timeout(50)
        assert events(waiting) == ([] if tries < 5 else ["error"])
        waiting.clock.run_for(6_100)

    error = wait_for(waiting, "error")
    assert (error["code"], error["retryable"]) == ("NETWORK_ERROR", True)
    assert requests == [5]
    assert any("DOORCODE_ALLOWED_ORIGINS" in warning for warning in warnings)


def test_it_does_not_keep_people_waiting_for_minutes(
    waiting: Page, site: Site, answers: Callable[..., list[int]]
) -> None:
    requests = answers(refusal(TOO_MANY, 3600))
    start(waiting, site.code_for(new_user_id()))
    error = wait_for(waiting, "error")

    assert (error["code"], error["retryable"], error["retryAfterSeconds"]) == (TOO_MANY, True, 3600)
    assert requests == [1]


def test_no_other_refusal_is_tried_again(waiting: Page, answers: Callable[..., list[int]]) -> None:
    final = [
        *[refusal(code) for code in SignInErrorCode if code is not TOO_MANY],
        request_error("BAD_USER_INPUT"),
        {"status": 413, "body": "too large"},
        {"status": 403, "body": "<h1>a firewall</h1>"},
    ]
    requests = answers(*final)
    for number in range(1, len(final) + 1):
        start(waiting, "a code")
        eventually(waiting, lambda: requests == [number])  # noqa: B023  # called at once
        waiting.clock.run_for(minutes(1))
        waiting.wait_for_timeout(20)
        assert requests == [number]

    errors = [detail for _, detail in waiting.evaluate("seen")]
    assert [error["retryable"] for error in errors] == [False] * len(final)
    assert [error["code"] for error in errors[-3:]] == ["BAD_USER_INPUT", "HTTP_413", "HTTP_403"]


def test_nobody_waits_for_a_sign_in_that_was_given_up(
    waiting: Page, site: Site, answers: Callable[..., list[int]]
) -> None:
    requests = answers(*[UNREACHABLE] * 10)
    start(waiting, site.code_for(new_user_id()))
    eventually(waiting, lambda: requests == [1])
    waiting.evaluate("Doorcode.signOut()")
    waiting.clock.run_for(minutes(1))
    waiting.wait_for_timeout(50)

    assert requests == [1]
    assert events(waiting) == ["signout"]
