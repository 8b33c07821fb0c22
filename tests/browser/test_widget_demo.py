"""`scripts/demo`, clicked through as by a first-time user."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

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
    expect(log).to_contain_text("Doorcode has made a new user.")
    expect(link_state).to_have_text(NO_USER)
    page.get_by_role("button", name="Show an access token").click()
    expect(log).to_contain_text('"sub":"shop-1"')
    page.locator("#widget-sign-out").click()
    expect(log).to_contain_text("The server has ended the session: yes.")
    expect(state).to_have_text(NO_USER)

    page.get_by_role("link", name="Sign in by link").click()
    expect(page).to_have_url(f"{demo.shop}/?as=ana")
    expect(link_state).to_have_text(SIGNED_IN_AS_ANA)
    page.get_by_role("link", name="No customer").click()
    expect(link_state).to_have_text(SIGNED_IN_AS_ANA)
    page.locator("#link-sign-out").click()
    expect(page).to_have_url(f"{demo.shop}/logout")
    page.get_by_role("link", name="Back to the shop").click()
    expect(link_state).to_have_text(NO_USER)


def test_sign_in_that_starts_at_doorcode_goes_through_the_shop(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.shop}/?as=ben")
    page.get_by_role("link", name="Sign in through the shop").click()
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in to the sample shop")).to_be_visible()
    page.get_by_role("link", name="Ben").click()
    expect(page).to_have_url(f"{demo.shop}/?as=ben&page=2")
    expect(page.locator("#link-state")).to_have_text("Signed in as Ben (ben@example.com).")


def test_each_scene_shows_what_doorcode_does(page: Page, demo: Demo) -> None:
    state, log, scene = page.locator("#widget-state"), page.locator("#widget-log"), page.locator("#scene")

    def play(name: str, said: str) -> None:
        page.get_by_role("button", name=name).click()
        expect(scene).to_contain_text(said)
        expect(page.locator("[data-scene=reset]")).to_be_enabled(timeout=20_000)

    page.goto(f"{demo.shop}/?as=ana")
    expect(state).to_have_text(SIGNED_IN_AS_ANA)
    expect(page.locator("#decoded")).to_contain_text('"id": "shop-1"')
    lines = page.get_by_label("The function that signs").inner_text().strip().splitlines()
    assert len([line for line in lines if line.strip()]) == 8

    play("the link has expired", "expired an hour ago")
    expect(log).to_contain_text("CODE_EXPIRED")
    expect(state).to_have_text(SIGNED_IN_AS_ANA)
    play("all seats are taken", "1 of 1")
    expect(log).to_contain_text("SEAT_LIMIT_REACHED")
    play("the user is deactivated", "deactivates Ana")
    expect(state).to_have_text("The session was ended.")
    expect(log).to_contain_text("USER_DEACTIVATED")
    play("Back to normal", "Everything is as it was.")
    expect(state).to_have_text(SIGNED_IN_AS_ANA)
    for _ in range(2):
        play("the secret is replaced", "still signs in")
        expect(state).to_have_text(SIGNED_IN_AS_ANA)
    play("the secret has leaked", "all sessions end at once")
    expect(log).to_contain_text("Doorcode has ended the session.")
    expect(log).to_contain_text("INVALID_SIGNATURE")
    expect(state).to_have_text(SIGNED_IN_AS_ANA)


def test_refusal_has_the_name_of_the_shop_and_leads_back_signed_in(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.shop}/?as=ana")
    page.get_by_role("button", name="the link has expired").click()
    page.get_by_role("link", name="See the page that a person gets").click()
    expect(page).to_have_title("This sign-in link has expired · Corner Shop")
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Ana").click()
    expect(page).to_have_url(f"{demo.shop}/?as=ana")
    expect(page.locator("#link-state")).to_have_text(SIGNED_IN_AS_ANA)


def test_link_on_the_page_leads_into_the_panel(page: Page, demo: Demo) -> None:
    page.goto(demo.shop)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open the admin panel").click()
    opened.value.get_by_role("button", name="Open the panel").click()
    expect(opened.value.get_by_role("heading", name="Overview")).to_be_visible()


def test_other_sites_play_no_scene_and_get_no_link_into_the_panel(demo: Demo) -> None:
    shop = f"http://127.0.0.1:{demo.port + 1}"
    assert httpx2.post(f"{shop}/scenes/leaked?as=ana", headers={"Origin": "http://other.localhost"}).status_code == 403
    assert httpx2.post(f"{shop}/panel").status_code == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_telephone(
    browser: Browser, demo: Demo, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    for path in ("/?as=ben", "/", "/react", "/login", "/logout"):
        page.goto(demo.shop + path)
        if path == "/?as=ben":
            expect(page.locator("#widget-state")).to_contain_text("Signed in as Ben")
            page.get_by_role("button", name="Show an access token").click()
            expect(page.locator("#widget-log")).to_contain_text("It says:")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert not Axe().run(page).response["violations"], path
    page.close()


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
