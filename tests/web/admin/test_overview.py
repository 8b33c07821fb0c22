"""The first page of the panel."""

from tests.site import new_user_id
from tests.web.admin.panel import AUTHENTICATION, Panel, sign_in_by_code

OVERVIEW = "/admin"


def test_new_user_is_shown(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)

    assert user_id in panel.page(OVERVIEW)


def test_secret_that_was_never_used_is_told(panel: Panel) -> None:
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="3600")

    page = panel.page(OVERVIEW)
    assert "not used yet" in page
    assert "Retiring" in page


def test_steps_are_shown_until_all_are_done(panel: Panel) -> None:
    """The site of these tests names no application, so one step stays."""
    page = panel.page(OVERVIEW)

    assert "Name your application" in page
    assert page.count('class="done"') >= 3
