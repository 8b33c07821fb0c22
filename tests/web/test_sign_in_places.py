"""Members and admins sign in by one flow: both places give the same answers (contract §5)."""

import httpx2
import pytest

from service.accounts.models import User, UserRole
from service.email_login.links import make_invitation_token
from tests.site import Site, parameters, set_cookies
from tests.web.test_email_sign_in import (
    HERE,
    code_for,
    forget_allowances,
    new_email,
    new_member,
    session_of,
    switched_off,
)

MEMBERS, ADMINS = "", "/admin"
places = pytest.mark.parametrize("place", [MEMBERS, ADMINS])


@pytest.fixture(autouse=True)
def _an_hour_later(sqlite_site: Site, app_site: Site) -> None:
    forget_allowances(sqlite_site)
    forget_allowances(app_site)


def new_user_of(site: Site, place: str) -> User:
    """A user who may sign in at this place."""
    return new_member(site, UserRole.ADMIN if place == ADMINS else UserRole.MEMBER)


def send(client: httpx2.Client, path: str, **fields: str | list[str] | None) -> httpx2.Response:
    """The answer to a form of this origin."""
    return client.post(path, data=fields, headers=HERE)


def request_code(client: httpx2.Client, place: str, email: str | None) -> str:
    """The ID of a new request."""
    response = send(client, f"{place}/login", email=email)
    assert response.status_code == 303, response.text
    assert response.headers["location"].startswith(f"{place}/login/code?")
    return parameters(response.headers["location"])["request"]


@places
def test_text_that_is_not_an_address_is_refused_and_kept(sqlite_site: Site, place: str) -> None:
    with sqlite_site.client() as client:
        page = send(client, f"{place}/login", email="no address")
    assert page.status_code == 400
    assert "This is not an email address. Check how it is written." in page.text
    assert 'value="no address"' in page.text


@places
def test_unknown_request_leads_back_to_the_address(sqlite_site: Site, place: str) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"{place}/login/code", params={"request": "x" * 22})
    assert page.status_code == 401
    assert "That request is over. Ask for another code." in page.text
    assert f'action="{place}/login"' in page.text


@places
def test_wrong_code_is_refused_and_asked_for_again(sqlite_site: Site, place: str) -> None:
    with sqlite_site.client() as client:
        request_id = request_code(client, place, new_user_of(sqlite_site, place).email)
        page = send(client, f"{place}/login/code", request=request_id, code="000000")
    assert page.status_code == 401
    assert "This code is not right, or no longer valid." in page.text
    assert f'action="{place}/login/code"' in page.text
    assert not set_cookies(page)


@places
def test_dead_link_is_refused(sqlite_site: Site, place: str) -> None:
    with sqlite_site.client() as client:
        pages = [
            client.get(f"{place}/invitation", params={"token": "dcl_" + "A" * 43}),
            send(client, f"{place}/invitation", token="dcl_" + "A" * 43),
        ]
    assert [page.status_code for page in pages] == [401, 401]
    assert all("This link no longer works" in page.text for page in pages)


@places
def test_repeated_fields_are_refused(sqlite_site: Site, place: str) -> None:
    user = new_user_of(sqlite_site, place)
    token = sqlite_site.call(lambda _: make_invitation_token(user))
    with sqlite_site.client() as client:
        assert send(client, f"{place}/login", email=[str(user.email), new_email()]).status_code == 400
        request_id = request_code(client, place, user.email)
        code = code_for(sqlite_site, user.email)
        assert send(client, f"{place}/login/code", request=request_id, code=[code, "1"]).status_code == 401
        assert send(client, f"{place}/login/code", request=[request_id, "1"], code=code).status_code == 401
        assert send(client, f"{place}/login/code", request=request_id, code=code).status_code == 303
        assert client.get(f"{place}/invitation", params={"token": [token, "x"]}).status_code == 401
        assert send(client, f"{place}/invitation", token=[token, "x"]).status_code == 401
        assert send(client, f"{place}/invitation", token=token).status_code == 303


@places
def test_too_many_requests_say_how_long_to_wait(sqlite_site: Site, place: str) -> None:
    email = new_email()
    with sqlite_site.client() as client:
        for _ in range(5):
            request_code(client, place, email)
        page = send(client, f"{place}/login", email=email)
    assert page.status_code == 429
    assert 3500 < int(page.headers["retry-after"]) <= 3600
    assert "Wait 60 minutes, then try again." in page.text


@places
def test_too_many_wrong_codes_say_how_long_to_wait(app_site: Site, place: str) -> None:
    with app_site.client() as client:
        client.headers["X-Forwarded-For"] = f"203.0.113.{100 + len(place)}"
        request_id = request_code(client, place, new_user_of(app_site, place).email)
        page = [send(client, f"{place}/login/code", request=request_id, code="000000") for _ in range(4)][-1]
    assert page.status_code == 429
    assert 1 <= int(page.headers["retry-after"]) <= 60
    assert "seconds, then try again." in page.text


@places
def test_while_email_login_is_off_the_page_says_what_to_do(sqlite_site: Site, place: str) -> None:
    with sqlite_site.client() as client, switched_off(sqlite_site):
        page = send(client, f"{place}/login", email=new_email())
    assert page.status_code == 403
    assert "Signing in by email is switched off" in page.text
    assert ("doorcode admin invite" in page.text) == (place == ADMINS)
    assert "Reference" in page.text


@places
def test_sign_in_ends_the_session_that_the_cookie_had(sqlite_site: Site, place: str) -> None:
    user, tokens = new_user_of(sqlite_site, place), []
    with sqlite_site.client() as client:
        for _ in range(2):
            request_id = request_code(client, place, user.email)
            code = code_for(sqlite_site, user.email)
            response = send(client, f"{place}/login/code", request=request_id, code=code)
            [cookie] = [cookie for name, cookie in set_cookies(response).items() if name != "doorcode-device"]
            tokens.append(cookie[""])
    assert [session_of(sqlite_site, token) is not None for token in tokens] == [False, True]
