"""Pictures of every page, in light and dark, 1280 and 390 pixels wide, of a Doorcode that has been in use for a month."""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from month import Month, live_a_month
from playwright.sync_api import Browser, Page, sync_playwright

from service.settings import load_settings
from tests.processes import ROOT, Server

FOR_README = ROOT / "tests" / "readme" / "screenshots"
IN_README = ("users", "authentication")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]


def main() -> None:
    """Make them all, or the README's."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("directory", type=Path, nargs="?", help="where to write them")
    arguments.add_argument("--readme", action="store_true", help=f"write the README's, {', '.join(IN_README)}, alone")
    given = arguments.parse_args()
    if (given.directory is None) is not given.readme:
        arguments.error("name a directory, or say --readme")
    with _served() as (server, month), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if given.readme:
            _take_for_readme(browser, server, month)
        else:
            _take_all(browser, server, month, given.directory)
        browser.close()


@contextmanager
def _served() -> Iterator[tuple[Server, Month]]:
    with tempfile.TemporaryDirectory(prefix="doorcode-screenshots-") as name:
        directory = Path(name)
        environ = {"DOORCODE_DATA_DIR": str(directory)}
        month = asyncio.run(live_a_month(load_settings(environ)))
        server = Server(directory, environ)
        try:
            server.wait_until_ready()
            yield server, month
        finally:
            server.kill()


def _take_for_readme(browser: Browser, server: Server, month: Month) -> None:
    FOR_README.mkdir(exist_ok=True)
    with _looking(browser, server, month, "light", 1280) as page:
        page.set_viewport_size({"width": 1280, "height": 960})
        for name in IN_README:
            page.goto(month.pages()[name])
            page.screenshot(path=FOR_README / f"{name}.png")


def _take_all(browser: Browser, server: Server, month: Month, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for scheme, width in LOOKS:
        with _looking(browser, server, month, scheme, width) as page:
            for name, address in month.pages().items():
                page.goto(address)
                page.screenshot(path=directory / f"{name}-{width}-{scheme}.png", full_page=True)
            _inspect(page, month)
            page.screenshot(path=directory / f"inspection-{width}-{scheme}.png", full_page=True)
            for name, address in month.pages_of_strangers().items():
                page.context.clear_cookies()
                page.goto(address)
                page.screenshot(path=directory / f"{name}-{width}-{scheme}.png", full_page=True)
            _ask_for_a_code(page)
            page.screenshot(path=directory / f"email-code-{width}-{scheme}.png", full_page=True)


@contextmanager
def _looking(browser: Browser, server: Server, month: Month, scheme: str, width: int) -> Iterator[Page]:
    with browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
    ) as context:
        context.add_cookies([{"name": "doorcode-admin", "value": month.admin_token, "url": server.url}])
        yield context.new_page()


def _inspect(page: Page, month: Month) -> None:
    page.goto("/admin/authentication/debugger")
    page.get_by_role("textbox").fill(month.bad_code)
    page.get_by_role("button", name="Inspect the code").click()


def _ask_for_a_code(page: Page) -> None:
    page.context.clear_cookies()
    page.goto("/login")
    page.get_by_role("textbox").fill("ada@example.com")
    page.get_by_role("button").click()


if __name__ == "__main__":
    os.chdir(tempfile.gettempdir())  # no `.env` file of the checkout counts here
    main()
