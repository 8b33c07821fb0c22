"""What the widget tries again, when, and what it does not. The page's clock is the test's; the server's is real."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from service.refusal_texts import SignInErrorCode
from tests.browser.frontend import Frontend
from tests.browser.widget import events, eventually, hold, wait_for
from tests.site import Site, new_user_id


@pytest.fixture
def waiting(page: Page, shop: Frontend, site: Site) -> Page:
    """`page` has the widget without a code and a stopped clock. It counts in `pauses` what waits for the clock."""
    page.clock.install()
    page.goto(shop.show_widget(site.server.url, None))
    page.evaluate("""() => {
      const setTimeout = window.setTimeout;
      window.pauses = 0;
      window.setTimeout = (...how) => { pauses++; return setTimeout(...how); };
    }""")
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    return page


def minutes(number: float) -> int:
    """In milliseconds, as the page's clock counts."""
    return round(number * 60_000)


def wait_for_pause(page: Page, number: int) -> None:
    """Until the widget waits before it tries again, for the time with this number."""
    eventually(page, lambda: page.evaluate("pauses") == number)


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
        request_error("SERVICE_UNAVAILABLE", 503),
        request_error("INTERNAL_SERVER_ERROR", 500),
        request_error("INTERNAL_SERVER_ERROR", 200),
        refusal(TOO_MANY),
    ],
    ids=["no network", "500", "502", "no JSON", "429", "unavailable", "crash", "crash of a field", "too many"],
)
def test_passing_trouble_is_waited_out(
    waiting: Page, site: Site, answers: Callable[..., list[int]], trouble: Mapping[str, Any]
) -> None:
    requests = answers(trouble, trouble)
    start(waiting, site.code_for(new_user_id()))
    wait_for_pause(waiting, 1)

    waiting.clock.run_for(480)
    waiting.wait_for_timeout(50)
    assert requests == [1]
    waiting.clock.run_for(300)
    wait_for_pause(waiting, 2)
    assert requests == [2]

    waiting.clock.run_for(950)
    waiting.wait_for_timeout(50)
    assert requests == [2]
    waiting.clock.run_for(600)
    wait_for(waiting, "ready")

    assert requests == [3]
    assert events(waiting) == ["ready"]


@pytest.mark.parametrize(("chance", "wait"), [(0, 500), (0.5, 625), (0.98, 745)])
def test_jitter_keeps_pages_from_coming_back_all_at_once(
    waiting: Page, site: Site, answers: Callable[..., list[int]], chance: float, wait: int
) -> None:
    requests = answers(UNREACHABLE)
    waiting.evaluate("chance => { Math.random = () => chance }", chance)
    start(waiting, site.code_for(new_user_id()))
    wait_for_pause(waiting, 1)

    waiting.clock.run_for(wait - 10)
    waiting.wait_for_timeout(50)
    assert requests == [1]
    waiting.clock.run_for(20)
    wait_for(waiting, "ready")


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
    wait_for_pause(waiting, 1)

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
    for tries in range(1, 5):
        wait_for_pause(waiting, tries)
        assert (requests, events(waiting)) == ([tries], [])
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
        eventually(waiting, lambda: len(events(waiting)) == number)  # noqa: B023  # called at once
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


def test_server_that_does_not_answer_is_asked_again(waiting: Page, site: Site) -> None:
    held = hold(waiting)
    start(waiting, site.code_for(new_user_id()))
    eventually(waiting, lambda: held)

    waiting.clock.run_for(19_900)
    waiting.wait_for_timeout(50)
    assert waiting.evaluate("pauses") == 0
    waiting.clock.run_for(200)
    wait_for_pause(waiting, 1)
    waiting.clock.run_for(1_000)
    wait_for(waiting, "ready")
