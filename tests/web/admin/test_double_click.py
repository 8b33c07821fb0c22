"""A form of the panel that is sent twice acts once."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.site import Site
from tests.web.admin.panel import AUTHENTICATION, FROM_HERE, USERS, Panel

KEYS = "/admin/api-keys"


def form_ids(panel: Panel, path: str) -> list[str]:
    """The IDs in the forms of a page."""
    return re.findall(r'name="formId" value="([^"]+)"', panel.get(path).text)


def press_twice(panel: Panel, path: str, **fields: str) -> set[tuple[int, str | None]]:
    """What both presses of a button lead to, at the same time."""
    with ThreadPoolExecutor(2) as pool:
        cookies = dict(panel.http.cookies)
        sent = [pool.submit(_post, panel.site, cookies, path, fields) for _ in range(2)]
        return {form.result() for form in sent}


def _post(site: Site, cookies: dict[str, str], path: str, fields: dict[str, str]) -> tuple[int, str | None]:
    with site.client() as client:
        client.cookies.update(cookies)
        response = client.post(path, data=fields, headers=FROM_HERE)
    return response.status_code, response.headers.get("location")


def live_secrets(panel: Panel) -> int:
    return panel.page(AUTHENTICATION).count("Revoke…")


@pytest.mark.parametrize("path", [USERS, AUTHENTICATION, "/admin/seats", KEYS])
def test_every_form_of_a_page_has_an_id_of_its_own(panel: Panel, path: str) -> None:
    forms = panel.get(path).text.count('method="post"')
    ids = form_ids(panel, path) + form_ids(panel, path)

    assert len(set(ids)) == len(ids) == 2 * forms > 0


def test_double_click_makes_one_key_and_shows_it(panel: Panel) -> None:
    form_id = form_ids(panel, KEYS)[-1]

    answers = press_twice(panel, KEYS, name="twice", scope="READ", formId=form_id)

    [(status, location)] = answers
    assert status == 303
    assert location
    assert panel.secret_at(location).startswith("dck_")
    assert panel.page(KEYS).count("Revoke twice") == 1


def test_double_click_rotates_once(panel: Panel) -> None:
    panel.post(AUTHENTICATION, action="enable")
    before = live_secrets(panel)
    form_id = form_ids(panel, AUTHENTICATION)[0]

    answers = press_twice(panel, AUTHENTICATION, action="rotate", gracePeriodSeconds="3600", formId=form_id)

    assert len(answers) == 1
    assert live_secrets(panel) == before + 1


def test_form_that_was_refused_may_be_sent_again(panel: Panel) -> None:
    form_id = form_ids(panel, KEYS)[-1]

    assert panel.post(KEYS, name="", scope="READ", formId=form_id).status_code == 422
    assert panel.post(KEYS, name="again", scope="READ", formId=form_id).status_code == 303


def test_id_of_another_session_is_another_form(panel: Panel) -> None:
    form_id = form_ids(panel, KEYS)[-1]
    panel.post(KEYS, name="mine", scope="READ", formId=form_id)
    other = Panel.signed_in(panel.site, "other@example.com")

    with other.http:
        other.post(KEYS, name="theirs", scope="READ", formId=form_id)

    assert "Revoke theirs" in panel.page(KEYS)
