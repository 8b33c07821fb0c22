"""`returnTo` (contract §5): a path on the application's own origin, whatever a browser makes of it."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import RedirectResponse

from service.settings import Settings
from service.web.destination import after_sign_in, application_elsewhere, origin_of, safe_path

APP = "https://app.example.test:8443"

ACCEPTED = [
    "/",
    "/rooms/7",
    "/rooms/7?tab=a//b#c//d",
    "/?next=https://elsewhere.example.net//x",
    "/#//x",
    "/@evil.example.net",
    "/:80",
    "/a%20b",
    "/%252F/x",
    "/search?q=a%5Cb%0Ac",
    "/straße",
    "/日本",
    "/..",
    "/.evil.example.net",
]

REFUSED = [
    "",
    " ",
    " /x",
    "x",
    "evil.example.net",
    "//evil.example.net",
    "///evil.example.net",
    "/\\evil.example.net",
    "\\/evil.example.net",
    "\\\\evil.example.net",
    "/a\\b",
    "/a?b\\c",
    "/a#b\\c",
    "/a//b",
    "/a/..//evil.example.net",
    "/.//evil.example.net",
    "/\t/evil.example.net",
    "/\n/evil.example.net",
    "/\r\n/evil.example.net",
    "/a\x00b",
    "/a\x7fb",
    "/a\x85b",
    "/a?b\nc",
    "/%2Fevil.example.net",
    "/%2fevil.example.net",
    "/%5Cevil.example.net",
    "/%5c%5cevil.example.net",
    "/%09/evil.example.net",
    "/%0d%0aLocation:x",
    "/%00",
    "/a%2F%2Fb",
    "/%3F%2F%2Fx",
    "https://evil.example.net/",
    "https:/evil.example.net",
    "javascript:alert(1)",
    "data:text/html,x",
    "?x",
    "#x",
]


@pytest.mark.parametrize("return_to", ACCEPTED)
def test_path_on_the_own_origin_is_kept(return_to: str) -> None:
    assert safe_path(return_to) == return_to


@pytest.mark.parametrize("return_to", REFUSED)
def test_anything_else_is_taken_as_the_root(return_to: str) -> None:
    assert safe_path(return_to) == "/"


@given(st.text() | st.text("/\\%25cCfFhtps:@.?#\t\n\r0aex").map(lambda tail: "/" + tail))
def test_nothing_leads_to_another_origin(return_to: str) -> None:
    settings = Settings(app_url=f"{APP}/start")
    location = RedirectResponse(after_sign_in(settings, return_to)).headers["location"]
    assert location.startswith(f"{APP}/")
    assert urlsplit(location).netloc == "app.example.test:8443"
    # What a browser takes for a base when a page there redirects to the path again.
    assert urljoin(APP, location.removeprefix(APP)).startswith(f"{APP}/")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://App.Example.test", "https://app.example.test"),
        ("https://app.example.test:443/x", "https://app.example.test"),
        ("http://app.example.test:80", "http://app.example.test"),
        ("http://app.example.test:443/", "http://app.example.test:443"),
        ("http://[::1]:3000/x", "http://[::1]:3000"),
        ("https://łódź.example.test/", "https://%C5%82%C3%B3d%C5%BA.example.test"),
    ],
)
def test_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_without_an_application_everything_leads_to_the_front_page() -> None:
    assert after_sign_in(Settings(), "/rooms/7") == "/"
    assert after_sign_in(Settings(), None) == "/"


@pytest.mark.parametrize(
    ("app_url", "elsewhere"),
    [
        (None, False),
        ("https://id.example.test", False),
        ("https://ID.example.test:443/", False),
        ("https://id.example.test/app", True),
        ("https://id.example.test:8443/", True),
        ("http://id.example.test/", True),
    ],
)
def test_front_page_gives_way_to_an_application_that_is_elsewhere(app_url: str | None, elsewhere: bool) -> None:
    settings = Settings(public_url="https://id.example.test", app_url=app_url)
    assert application_elsewhere(settings) == (app_url if elsewhere else None)
