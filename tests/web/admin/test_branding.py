"""The panel's page of the branding."""

from collections.abc import Iterator

import pytest

from service.branding.configuration import read_branding, update_branding
from tests.actions import TESTER
from tests.branding.logos import SVG, png
from tests.web.admin.panel import FROM_HERE, Panel

BRANDING = "/admin/branding"


@pytest.fixture(autouse=True)
def _without_branding(panel: Panel) -> Iterator[None]:
    yield
    names = ("name", "accent_color", "accent_color_dark", "support_email", "support_url", "logo", "logo_dark")
    panel.site.call(lambda _: update_branding(dict.fromkeys(names), TESTER))


def test_texts_and_logos_are_saved_and_shown(panel: Panel) -> None:
    files = {"logo": ("shop.svg", SVG.encode(), "image/svg+xml"), "logoDark": ("dark.png", png(), "image/png")}
    fields = {"name": "Corner Shop", "accentColor": "#2563eb", "supportEmail": "help@example.com"}
    response = panel.http.post(BRANDING, data=fields, files=files, headers=FROM_HERE)
    assert response.headers["location"] == f"{BRANDING}?done=branding-updated"

    page = panel.get(BRANDING).text
    for text in (
        "Corner Shop",
        "#2563eb",
        "help@example.com",
        "/static/branding/logo?v=",
        "/static/branding/logo-dark?v=",
    ):
        assert text in page
    assert "Doorcode" in page, "the panel keeps its name"

    panel.http.post(BRANDING, data={**fields, "logoRemove": "yes"}, headers=FROM_HERE)
    branding = panel.site.call(lambda _: read_branding())
    assert branding.logo is None
    assert branding.logo_dark is not None, "a logo stays if no file is chosen"


def test_refusal_stands_in_words_of_the_page_and_keeps_what_was_typed(panel: Panel) -> None:
    response = panel.post(BRANDING, name="Corner Shop", accentColor="#ffff00")
    assert response.status_code == 422
    assert "The accent colour #ffff00 has a contrast of" in response.text
    assert 'value="Corner Shop"' in response.text
    response = panel.http.post(BRANDING, files={"logo": ("a.svg", b"<html/>", "image/svg+xml")}, headers=FROM_HERE)
    assert response.status_code == 422
    assert "The logo is neither a PNG nor an SVG" in response.text


def test_largest_logos_fit_into_the_form_and_larger_ones_are_refused(panel: Panel) -> None:
    large = SVG.replace("</svg>", f"<desc>{'x' * (64 * 1024 - 200)}</desc></svg>").encode()
    files = dict.fromkeys(("logo", "logoDark"), ("a.svg", large, "image/svg+xml"))
    assert panel.http.post(BRANDING, files=files, headers=FROM_HERE).status_code == 303
    too_large = {"logo": ("a.svg", large + b" " * 200, "image/svg+xml")}
    response = panel.http.post(BRANDING, files=too_large, headers=FROM_HERE)
    assert response.status_code == 422
    assert "64 KiB" in response.text
