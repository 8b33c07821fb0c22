"""Each page of the panel links to the section of the guide that describes it; the sign-in pages do not link to the guide."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.programs import Programs
from tests.site import Site, served
from tests.web.admin.panel import PAGES, Panel

LINK = re.compile(r'href="/guide/([^"]+)"')
OF_ONE_SECRET = ("/admin/authentication/secret", "/admin/authentication/leaked", "/admin/users/sign-in-link")
SHOWN = ["/admin", *(path for path in PAGES if not path.endswith((".csv", ".json")) and path not in OF_ONE_SECRET)]


@pytest.mark.parametrize("path", SHOWN)
def test_page_links_to_a_section_that_exists(panel: Panel, path: str) -> None:
    [admin_id] = re.findall(r"/admin/users/user\?id=([\w-]+)", panel.get("/admin/users", search="boss@").text)[:1]

    [link] = LINK.findall(panel.get(path, id=admin_id).text)

    chapter, _, anchor = link.partition("#")
    assert anchor
    assert f'id="{anchor}"' in panel.get(f"/guide/{chapter}").text


def test_page_that_shows_a_secret_links_too(panel: Panel) -> None:
    _, of_secret = panel.secret_made("/admin/authentication", action="rotate", gracePeriodSeconds="0")
    _, of_key = panel.secret_made("/admin/api-keys", action="create", name="guide", scope="READ")

    assert LINK.findall(panel.http.get(of_secret).text) == ["admin#rotate-the-secret-without-downtime"]
    assert LINK.findall(panel.http.get(of_key).text) == ["admin#api-keys"]


@pytest.mark.parametrize("path", ["/admin/login", "/login", "/"])
def test_sign_in_page_does_not_link(site: Site, path: str) -> None:
    assert "/guide" not in httpx2.get(f"{site.server.url}{path}").text


@pytest.fixture(scope="module")
def site_without_guide(
    background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_GUIDE="off") as site:
        yield site


def test_panel_does_not_link_if_the_guide_is_off(site_without_guide: Site) -> None:
    with Panel.signed_in(site_without_guide).http as browser:
        for path in SHOWN:
            assert "/guide" not in browser.get(path).text
