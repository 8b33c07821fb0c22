"""Misspelt names of link parameters, codes in other places of an address, and paths with a slash too many."""

import httpx2
import pytest

from service.web.sign_in.link_parameters import corrected_return_to, without_code
from tests.site import Site, new_user_id, parameters
from tests.web.conftest import APP

MISNAMED = [
    "?returnTo=/x&amp;externalAuthCode=$CODE",
    "?returnTo=/x&amp%3BexternalAuthCode=$CODE",
    "?returnTo=/x&amp;amp;externalAuthCode=$CODE",
    "?returnTo=/x&AMP;externalAuthCode=$CODE",
    "?ExternalAuthCode=$CODE&returnTo=/x",
    "?externalauthcode=$CODE&amp;returnTo=/x",
    "?EXTERNALAUTHCODE=$CODE&returnto=/x",
    "?external_auth_code=$CODE&return_to=/x",
    "?external-auth-code=$CODE&return-to=/x",
    "?returnTo=/x&%20externalAuthCode=$CODE",
    "?externalAuthCode=$CODE&returnTo=/x&externalAuthCode=$CODE",
    "?externalAuthCode=$CODE&returnTo=/x&amp;externalAuthCode=$CODE&amp;returnTo=/x",
    "?externalAuthCode=$CODE&returnTo=/x%26amp;externalAuthCode=$CODE",
    "?externalAuthCode=$CODE&returnTo=/x?externalAuthCode=$CODE",
]


@pytest.mark.parametrize("path", ["/", "/login"])
@pytest.mark.parametrize("query", MISNAMED)
def test_link_with_its_code_misnamed_signs_in(app_site: Site, path: str, query: str) -> None:
    code = app_site.code_for(user_id := new_user_id())
    with app_site.client() as client:
        response = client.get(path + query.replace("$CODE", code))
    assert response.status_code == 303
    assert code not in response.headers["location"]
    assert response.headers["location"].startswith(f"{APP}/x")
    assert app_site.find(user_id) is not None


@pytest.mark.parametrize("path", ["/", "/login"])
@pytest.mark.parametrize(
    "query", ["?code=CODE", "?jwt=CODE&returnTo=/x", "?CODE", "?externalAuthCode%3DCODE", "?e.A=CODE"]
)
def test_code_under_an_unknown_name_does_not_stay_in_the_address(
    site: Site, client: httpx2.Client, path: str, query: str
) -> None:
    code = site.code_for(user_id := new_user_id())
    response = client.get(path + query.replace("CODE", code))
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"
    assert code not in response.headers["location"]
    assert site.find(user_id) is None


def test_different_codes_in_two_spellings_are_refused(site: Site, client: httpx2.Client) -> None:
    codes = site.code_for(first := new_user_id()), site.code_for(second := new_user_id())
    response = client.get(f"/?externalAuthCode={codes[0]}&ExternalAuthCode={codes[1]}")
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"
    assert site.find(first) is None
    assert site.find(second) is None


def test_misnamed_field_of_a_form_signs_in(site: Site, client: httpx2.Client) -> None:
    for path in ("/", "/login"):
        response = client.post(path, data={"external_auth_code": site.code_for(new_user_id())})
        assert (response.status_code, response.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "address",
    [
        "//?externalAuthCode=CODE",
        "///?externalAuthCode=CODE",
        "//login?externalAuthCode=CODE",
        "/login/?externalAuthCode=CODE",
    ],
)
def test_slash_too_many_signs_in_all_the_same(sqlite_site: Site, address: str) -> None:
    code = sqlite_site.code_for(user_id := new_user_id())
    with sqlite_site.client() as client:
        response = client.get(sqlite_site.server.url + address.replace("CODE", code))
        assert (response.status_code, response.headers["location"]) == (303, "/")
    assert sqlite_site.find(user_id) is not None


@pytest.mark.parametrize("path", ["//login", "/login/", "//login//"])
def test_sign_in_page_is_found_with_a_slash_too_many(sqlite_site: Site, path: str) -> None:
    with sqlite_site.client() as client:
        page = client.get(sqlite_site.server.url + path)
    assert page.status_code == 200
    assert "Email address" in page.text


@pytest.mark.parametrize("path", ["/graphql/", "//graphql", "//graphql/"])
def test_graphql_is_found_with_a_slash_too_many(sqlite_site: Site, path: str) -> None:
    with sqlite_site.client() as client:
        answer = client.post(sqlite_site.server.url + path, json={"query": "{ signInMethods }"})
    assert answer.status_code == 200
    assert "signInMethods" in answer.json()["data"]


def test_code_behind_an_open_return_to_signs_no_one_in(site: Site, client: httpx2.Client) -> None:
    """A proxy that does not encode `returnTo` makes parameters of the application's address parameters of this page."""
    code = site.code_for(user_id := new_user_id())
    for address in (
        f"/login?returnTo=/a?x=1&externalAuthCode={code}",
        f"/login?returnTo=/a?x=1&y=2&amp;ExternalAuthCode={code}",
        f"/login?returnTo=/a?x=1%26externalAuthCode%3D{code}",
        f"/login?returnTo=%2Fa%3Fx=1%26externalAuthCode%3D{code}",
    ):
        response = client.get(address)
        assert (response.status_code, response.headers["location"]) == (303, "/login?returnTo=%2Fa%3Fx%3D1")
        assert "set-cookie" not in response.headers
    assert site.find(user_id) is None


@pytest.mark.parametrize(
    "query",
    [
        "returnTo=/a?x=1&y=2",
        "returnTo=%2Fa%3Fx%3D1&externalAuthCode=C",
        "externalAuthCode=C&returnTo=/a?x=1",
        "returnTo=/reset?token=eyJhbGciOiJIUzI1NiJ9.e30.abc",
        "",
    ],
)
def test_right_query_is_left_as_it_is(query: str) -> None:
    assert corrected_return_to(query) is None


@pytest.mark.parametrize(
    ("return_to", "without"),
    [
        ("/a?b=1&externalAuthCode=C&d=2#e", "/a?b=1&d=2#e"),
        ("/a?externalAuthCode=C", "/a"),
        ("/a?amp;external_auth_code=C&b", "/a?b"),
        ("/a?b=externalAuthCode=C", "/a?b=externalAuthCode=C"),
        ("/a?b=%26&c=+&&d#?externalAuthCode=C", "/a?b=%26&c=+&&d#?externalAuthCode=C"),
        ("/a", "/a"),
        ("", ""),
    ],
)
def test_return_to_loses_its_codes_and_nothing_else(return_to: str, without: str) -> None:
    assert without_code(return_to) == without


def test_return_to_with_a_jwt_of_the_application_survives(app_site: Site) -> None:
    with app_site.client() as client:
        page = client.get("/login", params={"returnTo": "/reset?token=eyJhbGciOiJIUzI1NiJ9.e30.abc"})
    assert page.status_code == 200
    assert "/reset?token=eyJhbGciOiJIUzI1NiJ9.e30.abc" in page.text
