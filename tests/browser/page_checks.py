"""A page as users see it: light and dark, narrow and wide, and without findings of the accessibility checker."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1280)]
"""Colour scheme and width in CSS pixels."""

# Chromium writes every page that has an error's status on the console as an error.
_STATUS = "Failed to load resource: the server responded with a status of"


@dataclass
class Watched:
    """A page, and what it did that it should not have done."""

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)

    def note_message(self, message: ConsoleMessage) -> None:
        """Anything on the console that is worse than information."""
        if message.type in ("error", "warning") and not message.text.startswith(_STATUS):
            self.complaints.append(message.text)

    def note_request(self, request: Request) -> None:
        """Anything that is fetched from elsewhere."""
        if urlsplit(request.url).netloc != self.host:
            self.complaints.append(f"requested {request.url}")

    def assert_flawless(self) -> None:
        """Nothing is on the console, nothing came from elsewhere, nothing sticks out, and axe finds nothing."""
        assert self.complaints == []
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], "it has to be scrolled sideways"
        results = Axe().run(self.page)
        assert results.violations_count == 0, results.generate_report()


@contextmanager
def looking(browser: Browser, url: str, scheme: str, width: int) -> Iterator[Watched]:
    """A new page without a session, which may send requests to this address's host only."""
    context: BrowserContext = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    watched = Watched(page, urlsplit(url).netloc)
    page.on("console", watched.note_message)
    page.on("request", watched.note_request)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    yield watched
    context.close()
