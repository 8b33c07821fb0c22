"""The guide's React provider with React 19, checked by TypeScript, built by Vite, in Chromium."""

import re
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import Page, expect

from tests.browser.frontend import Frontend
from tests.libraries.node import HERE, SAMPLES, NodeDirectory
from tests.processes import ROOT
from tests.programs import Programs
from tests.site import Site, new_user_id, served


@pytest.fixture(scope="module")
def shop() -> Iterator[Frontend]:
    with Frontend() as frontend:
        yield frontend


@pytest.fixture(scope="module")
def site(
    shop: Frontend, background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_ALLOWED_ORIGINS=shop.origin) as site:
        yield site


@pytest.fixture(scope="module")
def app(site: Site, shop: Frontend, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with the built application, which gets its codes from `getCode` of the test."""
    project = NodeDirectory(tmp_path_factory.mktemp("react"))
    types = ROOT / "service" / "web" / "widget.d.ts"
    project.add(SAMPLES / "doorcode.tsx", HERE / "react-app.tsx", types, address=site.server.url)
    options = ["--strict", "--noEmit", "--jsx", "react-jsx", "--module", "esnext", "--moduleResolution", "bundler"]
    project.run("node_modules/typescript/bin/tsc", *options, "--lib", "es2022,dom", "react-app.tsx")
    (project.path / "index.html").write_text(
        '<div id="root"></div><script type="module" src="/react-app.tsx"></script>'
    )
    project.run("node_modules/vite/bin/vite.js", "build", "--logLevel", "error")
    (script,) = (project.path / "dist" / "assets").glob("*.js")
    inline = script.read_text().replace("</script", "<\\/script")
    return shop.show(f'<div id="root"></div><script type="module">{inline}</script>', "/react")


def test_user_is_signed_in_and_out(page: Page, app: str, site: Site) -> None:
    user_id = new_user_id()
    asked: list[str] = []

    def get_code() -> str:
        asked.append(user_id)
        return site.code_for(user_id)

    page.expose_function("getCode", get_code)
    page.goto(app)
    expect(page.get_by_role("heading")).to_have_text(f"signed-in {user_id}")
    assert len(asked) == 1  # although StrictMode runs every effect twice

    page.get_by_role("button", name="Token").click()
    expect(page).to_have_title(re.compile(r"^eyJ"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading")).to_have_text("signed-out")


def test_visitor_is_signed_out(page: Page, app: str) -> None:
    page.expose_function("getCode", lambda: None)
    page.goto(app)

    expect(page.get_by_role("heading")).to_have_text("signed-out")


def test_refusal_is_shown(page: Page, app: str, site: Site) -> None:
    page.expose_function("getCode", lambda: site.code_for(new_user_id(), exp=1))
    page.goto(app)

    expect(page.get_by_role("heading")).to_have_text("failed CODE_EXPIRED")
