"""Every route that accepts POST refuses a form of another site, except the ones named here (contract §5)."""

import httpx2
import pytest

from tests.routes import all_routes
from tests.site import Site, new_user_id
from tests.web.test_email_sign_in import HERE, NOT_HERE

# These decide in another way: the code is signed, GraphQL ignores the cookies of another site, forward auth changes nothing.
OPEN_TO_OTHER_SITES = {"/", "/graphql", "/verify", "/verify/{path:path}"}
FORMS = {
    "/login",
    "/login/code",
    "/login/continue",
    "/invitation",
    "/logout",
    "/admin",
    "/admin/login",
    "/admin/login/code",
    "/admin/setup",
    "/admin/invitation",
    "/admin/logout",
    "/admin/users",
    "/admin/users.csv",
    "/admin/audit.csv",
    "/admin/audit.json",
    "/admin/branding",
    "/admin/settings",
    "/admin/users/user",
    "/admin/users/import",
    "/admin/users/all.csv",
    "/admin/authentication",
    "/admin/authentication/debugger",
    "/admin/authentication/recommended",
    "/admin/seats",
    "/admin/api-keys",
}


def post_routes() -> set[str]:
    """The paths of all routes that accept POST."""
    return {route.path for route in all_routes() if route.methods is None or "POST" in route.methods}


def send(client: httpx2.Client, path: str, headers: dict[str, str], **fields: str) -> int:
    """The status that answers a form with these headers."""
    return client.post(path, data=fields or {"sent": "1"}, headers=headers).status_code


def test_list_of_forms_is_complete() -> None:
    assert post_routes() == FORMS | OPEN_TO_OTHER_SITES


@pytest.mark.parametrize("headers", NOT_HERE)
def test_every_form_of_another_site_is_refused(sqlite_site: Site, headers: dict[str, str]) -> None:
    with sqlite_site.client() as client:
        answers = {path: send(client, path, headers) for path in post_routes() - OPEN_TO_OTHER_SITES}
    assert answers == dict.fromkeys(answers, 403)


def test_every_form_of_this_origin_is_read(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        answers = {path: send(client, path, HERE) for path in sorted(FORMS)}
    assert answers.pop("/login/continue") == 403  # the page "start again": there is nothing to continue
    assert not [path for path, status in answers.items() if status in (403, 404, 405) or status >= 500], answers


@pytest.mark.parametrize("path", ["/", "/login"])
def test_code_in_a_form_of_another_site_is_accepted(sqlite_site: Site, path: str) -> None:
    """What becomes of it is tested with link login: a page of this origin finishes the sign-in."""
    with sqlite_site.client() as client:
        code = sqlite_site.code_for(new_user_id())
        assert send(client, path, {"Sec-Fetch-Site": "cross-site"}, externalAuthCode=code) == 200
        assert send(client, path, {"Sec-Fetch-Site": "same-site"}, externalAuthCode=code) == 303
        assert "doorcode" in client.cookies


def test_application_under_the_cookie_domain_may_sign_out_and_nothing_else(secure_site: Site) -> None:
    headers = {"Sec-Fetch-Site": "same-site", "Origin": "https://app.example.test"}
    with secure_site.client() as client:
        answers = {path: send(client, path, headers) for path in sorted(FORMS)}
    assert answers == dict.fromkeys(FORMS, 403) | {"/logout": 303}
