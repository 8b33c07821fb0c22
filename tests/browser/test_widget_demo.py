"""`scripts/demo`, clicked through as by a first-time user."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes import ROOT, START_DEADLINE, free_port
from tests.programs import Programs

SIGNED_IN_AS_ANA = "Signed in as Ana (ana@example.com)."
NO_USER = "No user is signed in."


class Demo:
    """The running demo. Its temporary files are in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.directory = directory / "temporary"
        self.directory.mkdir()
        self.shop = f"http://shop.demo.localhost:{self.port + 1}"
        self.doorcode = f"http://auth.demo.localhost:{self.port}"
        self._said = directory / "said"
        with self._said.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "scripts" / "demo.d" / "demo.py", "--port", str(self.port)],
                env={"TMPDIR": str(self.directory), "PATH": "/usr/bin:/bin", "DOORCODE_DATABASE_URL": "nonsense"},
                cwd=directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._said.read_text()

    def wait_until_it_says_where(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while self.shop not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def demo(tmp_path: Path, programs: Programs) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    demo.wait_until_it_says_where()
    yield demo
    if demo.process.poll() is None:
        demo.stop(signal.SIGTERM)


def test_widget_link_and_signing_out_work_across_origins(page: Page, demo: Demo) -> None:
    state, link_state, log = page.locator("#widget-state"), page.locator("#link-state"), page.locator("#widget-log")
    page.goto(demo.shop)
    expect(state).to_have_text(NO_USER)

    page.get_by_role("link", name="Ana").click()
    expect(state).to_have_text(SIGNED_IN_AS_ANA)
    expect(log).to_contain_text("ready: shop-1, a new user")
    expect(link_state).to_have_text(NO_USER)
    page.get_by_role("button", name="Show an access token").click()
    expect(log).to_contain_text('"sub":"shop-1"')
    page.get_by_role("button", name="Try an expired code").click()
    expect(log).to_contain_text("error: CODE_EXPIRED")
    expect(state).to_have_text(SIGNED_IN_AS_ANA)
    page.locator("#widget-sign-out").click()
    expect(log).to_contain_text("ended at the server: true")
    expect(state).to_have_text(NO_USER)

    page.get_by_role("link", name="Sign in by link").click()
    expect(page).to_have_url(f"{demo.shop}/?as=ana")
    expect(link_state).to_have_text(SIGNED_IN_AS_ANA)
    page.get_by_role("link", name="no one").click()
    expect(link_state).to_have_text(SIGNED_IN_AS_ANA)
    page.locator("#link-sign-out").click()
    expect(page).to_have_url(f"{demo.shop}/logout")
    page.get_by_role("link", name="Back to the shop").click()
    expect(link_state).to_have_text(NO_USER)


def test_sign_in_that_starts_at_doorcode_goes_through_the_shop(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.shop}/?as=ben")
    page.get_by_role("link", name="Open page 2").click()
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in to the sample shop")).to_be_visible()
    page.get_by_role("link", name="Ben").click()
    expect(page).to_have_url(f"{demo.shop}/?as=ben&page=2")
    expect(page.locator("#link-state")).to_have_text("Signed in as Ben (ben@example.com).")


def test_page_fits_a_telephone(page: Page, demo: Demo) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{demo.shop}/?as=ben")
    page.get_by_role("button", name="Show an access token").click()
    expect(page.locator("#widget-log")).to_contain_text("it says:")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_everything_and_keeps_nothing(demo: Demo, number: signal.Signals) -> None:
    assert "/admin" in demo.said(), "it says how to administer"

    assert demo.stop(number) == 0

    assert demo.said().endswith("Stopped. Nothing was kept.\n")
    assert list(demo.directory.iterdir()) == []
    for port in (demo.port, demo.port + 1):
        with socket.socket() as attempt:
            assert attempt.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("difference", [-1, 0])
def test_taken_port_is_told_in_a_line(demo: Demo, tmp_path: Path, difference: int, programs: Programs) -> None:
    port = demo.port + difference
    again = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.d" / "demo.py", "--port", str(port)],
        env={"TMPDIR": str(demo.directory), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert again.returncode == 1
    assert again.stderr == f"Port {demo.port} is not to be had. Try others: scripts/demo --port {port + 10}\n"
