"""A NUL character in what the panel is sent, which PostgreSQL cannot store or search for: refused, and never a 500."""

from collections.abc import Iterator

import pytest

from tests.programs import Programs
from tests.site import Site
from tests.web.admin.panel import USER, USERS, Panel, words


@pytest.fixture(params=["site", "postgres_site"])
def any_panel(request: pytest.FixtureRequest, programs: Programs) -> Iterator[Panel]:
    """The panel on each database in turn."""
    site: Site = request.getfixturevalue(request.param)
    panel = Panel.signed_in(site)
    yield panel
    panel.http.close()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/admin/authentication/secret", {"id": "\0"}),
        (USER, {"id": "a\0b"}),
        (USERS, {"search": "a\0b"}),
        ("/admin/users.csv", {"search": "a\0b"}),
        ("/admin/audit", {"user": "a\0b"}),
        ("/admin/api-keys", {"revoke": "a\0b"}),
    ],
)
def test_page_is_no_error_of_the_service(any_panel: Panel, path: str, query: dict[str, str]) -> None:
    assert any_panel.get(path, **query).status_code < 500


@pytest.mark.parametrize("action", ["update", "deactivate", "reactivate", "delete", "role", "invite", "end-sessions"])
def test_form_about_a_user_is_refused(any_panel: Panel, action: str) -> None:
    response = any_panel.post(USER, action=action, id="a\0b", email="x", externalId="y", role="ADMIN")
    assert 400 <= response.status_code < 500, words(response)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (USERS, {"email": "a\0b@example.com"}),
        ("/admin/authentication", {"action": "revoke", "id": "a\0b"}),
        ("/admin/api-keys", {"action": "create", "name": "a\0b", "scope": "READ"}),
        ("/admin/api-keys", {"action": "revoke", "id": "a\0b"}),
    ],
)
def test_other_form_is_no_error_of_the_service(any_panel: Panel, path: str, fields: dict[str, str]) -> None:
    assert any_panel.post(path, **fields).status_code < 500
