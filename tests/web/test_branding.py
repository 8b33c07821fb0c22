"""The branding on pages for end users: in every page, in files of this origin, and never in the panel."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from service.branding.configuration import update_branding
from tests.actions import TESTER
from tests.branding.logos import SVG, png
from tests.site import Site, new_user_id

BRAND: dict[str, object] = {
    "name": "Corner <Shop>",
    "accent_color": "#0b1f4f",
    "accent_color_dark": "#9db7ff",
    "support_email": "help@example.com",
    "support_url": "https://example.com/help",
    "logo": SVG.encode(),
    "logo_dark": png(),
}
PAGES = [
    "/",
    "/login?method=email",
    "/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK",
    "/login/continue?id=none",
    "/invitation?token=none",
    "/no-such-page",
]


@contextmanager
def branded(site: Site, **values: object) -> Iterator[None]:
    """The site has this branding within the block."""
    site.call(lambda _: update_branding(values or BRAND, TESTER))
    try:
        yield
    finally:
        site.call(lambda _: update_branding(dict.fromkeys(BRAND), TESTER))


def test_every_page_has_the_branding(site: Site, client: httpx2.Client) -> None:
    with branded(site):
        for path in PAGES:
            page = client.get(path, headers={"Accept": "text/html"})
            assert "· Corner &lt;Shop&gt;</title>" in page.text, path
            assert "Doorcode" not in page.text, path
            assert "mailto:help@example.com" in page.text
            assert 'href="https://example.com/help"' in page.text
            for url in re.findall(r'(?:src|srcset|href)="(/static/[^"]+)"', page.text):
                assert client.get(url).status_code == 200, url
            assert "unsafe" not in page.headers["content-security-policy"]
    assert "· Doorcode</title>" in client.get("/").text


def test_link_that_works_once_and_a_question_have_the_branding(site: Site, client: httpx2.Client) -> None:
    with branded(site), site.policy(single_use=True):
        page = client.get("/", params={"externalAuthCode": site.code_for(new_user_id(), jti=new_user_id())})
    assert "One more step" in page.text
    assert "Corner &lt;Shop&gt;" in page.text


def test_sign_in_to_the_panel_keeps_the_name_of_doorcode(site: Site, client: httpx2.Client) -> None:
    with branded(site):
        page = client.get("/admin/login").text
    assert "Corner" not in page
    assert "Doorcode" in page


def test_logo_is_served_so_that_it_can_neither_run_nor_load_anything(site: Site, client: httpx2.Client) -> None:
    with branded(site):
        page = client.get("/").text
        [svg, dark] = [re.search(rf'"(/static/branding/{name}\?v=\w+)"', page) for name in ("logo", "logo-dark")]
        assert svg
        assert dark
        for url, media_type in ((svg[1], "image/svg+xml"), (dark[1], "image/png")):
            logo = client.get(url)
            assert logo.headers["content-type"].partition(";")[0] == media_type
            assert logo.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert logo.headers["x-content-type-options"] == "nosniff"
            assert "immutable" in logo.headers["cache-control"]
            assert client.get(url, headers={"If-None-Match": logo.headers["etag"]}).status_code == 304
            assert client.get(url.partition("?")[0]).headers["cache-control"] == "no-cache"
    assert client.get("/static/branding/logo").status_code == 404
    assert client.get("/static/branding/colors.css").status_code == 404


def test_colours_follow_the_theme(site: Site, client: httpx2.Client) -> None:
    with branded(site):
        css = client.get("/static/branding/colors.css")
    assert css.headers["content-type"].startswith("text/css")
    light, dark = css.text.split("@media (prefers-color-scheme: dark)")
    assert "--accent: #0b1f4f" in light
    assert "--accent: #9db7ff" in dark


@pytest.mark.parametrize("values", [{"name": "Shop"}, {"logo": png()}, {"logo_dark": png()}])
def test_name_or_logo_alone_takes_the_place_of_doorcode_s(sqlite_site: Site, values: dict[str, object]) -> None:
    with branded(sqlite_site, **values), sqlite_site.client() as client:
        mark = client.get("/").text.partition('<p class="mark">')[2].partition("</p>")[0]
    assert "Doorcode" not in mark
    assert ('alt="Logo"' in mark) == ("name" not in values)
