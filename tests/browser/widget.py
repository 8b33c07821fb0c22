"""Reads the state of a page with the widget."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Request, Route

from tests.site import Site


def events(page: Page) -> list[str]:
    """The names of the events so far."""
    return [name for name, _ in page.evaluate("seen")]


def wait_for(page: Page, event: str) -> Any:
    """The detail of the last such event, once there is one."""
    eventually(page, lambda: event in events(page))
    return page.evaluate(f"seen.findLast(([name]) => name == '{event}')[1]")


def eventually(page: Page, condition: Callable[[], object]) -> None:
    """Wait until it is true. Playwright's own waiting does not work while a test has stopped the page's clock."""
    for _ in range(500):
        if condition():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it never came to hold")


def operations_sent(page: Page) -> list[dict[str, Any]]:
    """Grows with every GraphQL request of the page."""
    sent: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.post_data_json or {})

    page.on("request", note)
    return sent


def hold(page: Page) -> list[Route]:
    """Holds the next GraphQL request back until the test releases it."""
    held: list[Route] = []
    page.route("**/graphql", lambda route: held.append(route), times=1)  # noqa: PLW0108  # Playwright marks handlers
    return held


def is_live(site: Site, token: str) -> bool:
    """Whether this is the token of a live session."""
    with site.client() as client:
        asked = client.post(
            "/graphql", json={"query": "{currentSession{id}}"}, headers={"Authorization": f"Bearer {token}"}
        )
    return asked.json()["data"]["currentSession"] is not None
