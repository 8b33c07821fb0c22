"""The cookies and the strict headers of pages (contract §5)."""

from datetime import timedelta

import pytest
from starlette.responses import Response

from service.clock import now
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.security import clear_session_cookie, page_headers, set_session_cookie
from tests.site import Site, new_user_id, set_cookies
from tests.web.conftest import APP

HTTP = Settings()
HTTPS = Settings(public_url="https://id.example.test")
DOMAIN = Settings(public_url="https://id.example.test", cookie_domain="example.test")
DOMAIN_ON_HTTP = Settings(public_url="http://id.example.test", cookie_domain="example.test", insecure_http=True)

COOKIES = [
    (HTTP, TokenTransport.COOKIE, "doorcode", {"samesite": "lax"}),
    (HTTPS, TokenTransport.COOKIE, "__Host-doorcode", {"samesite": "lax", "secure": ""}),
    (DOMAIN, TokenTransport.COOKIE, "doorcode", {"samesite": "lax", "secure": "", "domain": "example.test"}),
    (DOMAIN_ON_HTTP, TokenTransport.COOKIE, "doorcode", {"samesite": "lax", "domain": "example.test"}),
    (HTTP, TokenTransport.ADMIN_COOKIE, "doorcode-admin", {"samesite": "strict"}),
    (HTTPS, TokenTransport.ADMIN_COOKIE, "__Host-doorcode-admin", {"samesite": "strict", "secure": ""}),
    (DOMAIN, TokenTransport.ADMIN_COOKIE, "__Host-doorcode-admin", {"samesite": "strict", "secure": ""}),
]


@pytest.mark.parametrize(("settings", "token_transport", "name", "attributes"), COOKIES)
def test_cookie_is_as_strict_as_the_address_allows(
    settings: Settings, token_transport: TokenTransport, name: str, attributes: dict[str, str]
) -> None:
    response = Response()
    set_session_cookie(response, settings, token_transport, "dcs_token", now() + timedelta(seconds=100))
    [(set_name, cookie)] = set_cookies(response).items()
    assert set_name == name
    assert cookie.pop("") == "dcs_token"
    assert 98 <= int(cookie.pop("max-age")) <= 100
    assert cookie == {"httponly": "", "path": "/", **attributes}


@pytest.mark.parametrize(("settings", "token_transport", "name", "attributes"), COOKIES)
def test_cookie_is_cleared_as_it_was_set(
    settings: Settings, token_transport: TokenTransport, name: str, attributes: dict[str, str]
) -> None:
    response = Response()
    clear_session_cookie(response, settings, token_transport)
    [(set_name, cookie)] = set_cookies(response).items()
    assert set_name == name
    assert cookie.pop("") == ""
    assert cookie.pop("max-age") == "0"
    cookie.pop("expires")
    assert cookie == {"httponly": "", "path": "/", **attributes}


def test_cookie_of_a_session_that_is_about_to_end_is_not_kept_for_ever() -> None:
    response = Response()
    set_session_cookie(response, HTTP, TokenTransport.COOKIE, "dcs_token", now())
    assert set_cookies(response)["doorcode"]["max-age"] == "1"


# The page of a refusal has a script that copies the reference and counts the wait down.
PAGES = {"/": "", "/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK": "script-src 'self'; ", "/nothing-here": ""}


@pytest.mark.parametrize(("path", "scripts"), PAGES.items())
def test_page_allows_nothing_that_it_does_not_need(sqlite_site: Site, path: str, scripts: str) -> None:
    with sqlite_site.client() as client:
        headers = client.get(path, headers={"Accept": "text/html"}).headers
    assert headers["content-security-policy"] == (
        f"default-src 'none'; {scripts}style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    )
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


def test_page_with_a_continue_button_allows_the_redirect_to_the_application(app_site: Site) -> None:
    with app_site.client() as client, app_site.policy(single_use=True):
        code = app_site.code_for(new_user_id(), jti=new_user_id())
        policy = client.get("/", params={"externalAuthCode": code}).headers["content-security-policy"]
    assert f"form-action 'self' {APP};" in policy


def test_page_with_a_sign_out_button_lets_the_browser_say_its_origin(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        client.get("/", params={"externalAuthCode": sqlite_site.code_for(new_user_id())})
        assert client.get("/").headers["referrer-policy"] == "same-origin"


def test_https_is_for_good_where_there_is_https(secure_site: Site) -> None:
    with secure_site.client() as client:
        page = client.get("/login")
        redirect = client.get("/", params={"externalAuthCode": "x"})
    for response in (page, redirect):
        assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_elsewhere_says_nothing_that_browsers_complain_about() -> None:
    assert "Cross-Origin-Opener-Policy" not in page_headers(DOMAIN_ON_HTTP)


def test_styles_are_kept_for_ever_under_an_address_of_their_own(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        page = client.get("/").text
        address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        style = client.get(address)
        assert style.headers["content-type"] == "text/css; charset=utf-8"
        assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
        plain = client.get(address.partition("?")[0])
        assert plain.headers["cache-control"] == "no-cache"
        assert client.get(address, headers={"If-None-Match": style.headers["etag"]}).status_code == 304
        assert client.get(address, headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["", "..%2fpages.py", "../pages.py", "nothing.css", "%2e%2e/pages.py", "doorcode.css/"]
)
def test_nothing_but_static_files_is_served(sqlite_site: Site, name: str) -> None:
    with sqlite_site.client() as client:
        assert client.get(f"/static/{name}").status_code == 404
