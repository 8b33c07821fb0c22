"""A sign-in link in the panel: it is made on the page of a user, and shown for ten minutes."""

import re
from collections.abc import Callable

import pytest

from service.accounts.models import UserRole
from service.external_auth.configuration import update_policy, update_sign_in
from tests.actions import TESTER, add_invited
from tests.programs import Programs
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.admin.panel import USER, Panel, sign_in_by_code, words
from tests.web.admin.test_proof import confirm, grow_old


@pytest.fixture(params=["site", "postgres_site"])
def either_panel(request: pytest.FixtureRequest, programs: Programs) -> Panel:
    return Panel.signed_in(request.getfixturevalue(request.param))


def new_user(site: Site) -> str:
    sign_in_by_code(site, user_id := new_user_id())
    return user_id


def shown(panel: Panel, address: str) -> str:
    response = panel.http.get(address)
    assert response.status_code == 200
    return words(response)


def link_on(page: str) -> str:
    [link] = re.findall(r'value="([^"]*)" aria-label="Sign-in link"', page)
    return str(link)


def test_link_is_shown_again_by_a_reload_and_signs_in(either_panel: Panel) -> None:
    user_id = new_user(either_panel.site)
    address = either_panel.done(USER, action="sign-in-link", id=user_id, lifetimeSeconds="300")
    first, again = shown(either_panel, address), shown(either_panel, address)
    assert link_on(first) == link_on(again)
    assert '<path fill="#fff"' in first, "the code is dark on light whatever the colours of the page are"
    with either_panel.site.client() as phone:
        assert "doorcode" in set_cookies(phone.get("/", params=parameters(link_on(first))))
    history = either_panel.page(USER, id=user_id)
    assert "made a sign-in link for" in history


def test_link_is_shown_to_the_session_that_made_it_and_not_as_a_secret(
    panel: Panel, open_panel: Callable[..., Panel]
) -> None:
    address = panel.done(USER, action="sign-in-link", id=new_user(panel.site), lifetimeSeconds="3600")
    assert shown(panel, address)
    as_secret = panel.http.get(address.replace("/users/sign-in-link", "/authentication/secret"))
    assert as_secret.status_code == 404
    other = open_panel("other-boss@example.com").http.get(address)
    assert other.status_code == 404
    assert "Make another one" in words(other)


def test_old_sign_in_gives_a_code_first(open_panel: Callable[..., Panel], site: Site) -> None:
    panel, user_id = open_panel(email := f"{new_user_id()}@example.com"), new_user(site)
    grow_old(site, email)
    page = panel.post(USER, action="sign-in-link", id=user_id, lifetimeSeconds="86400")
    assert page.status_code == 403
    assert "Confirm that it is you" in page.text
    done = confirm(panel, page)
    assert done.headers["location"].startswith("/admin/users/sign-in-link?")


def test_refusal_opens_the_form_with_the_lifetime_that_was_chosen(panel: Panel) -> None:
    user_id = new_user(panel.site)
    panel.site.call(lambda _: update_sign_in({"require_state": True}, TESTER))
    try:
        refused = panel.post(USER, action="sign-in-link", id=user_id, lifetimeSeconds="604800")
    finally:
        panel.site.call(lambda _: update_sign_in({"require_state": False}, TESTER))
    assert refused.status_code == 409
    assert "did not start at your own sign-in page" in words(refused)
    assert re.search(r"<details open(=\"\")?><summary>Create a sign-in link", words(refused))
    assert '<option value="604800" selected>' in words(refused)


def test_user_without_external_id_is_told_what_to_do(panel: Panel) -> None:
    user = panel.site.call(lambda _: add_invited(f"{new_user_id()}@example.org", UserRole.MEMBER))
    assert "Enter the ID that the user has in your own system" in panel.page(USER, id=user.id)


def test_admin_and_deactivated_user_have_no_such_form(panel: Panel) -> None:
    boss = panel.site.call(lambda _: add_invited(f"{new_user_id()}@example.org", UserRole.ADMIN))
    assert "Create a sign-in link" not in panel.page(USER, id=boss.id)
    user_id = new_user(panel.site)
    assert "Create a sign-in link" in panel.page(USER, id=user_id)
    panel.done(USER, action="deactivate", id=user_id)
    assert "Create a sign-in link" not in panel.page(USER, id=user_id)


def test_link_beyond_a_qr_code_is_shown_without_one(panel: Panel) -> None:
    sign_in_by_code(panel.site, user_id := "ü" * 200 + new_user_id())
    panel.site.call(lambda _: update_policy({"issuer": "\U0001f511" * 200}, TESTER))
    try:
        address = panel.done(USER, action="sign-in-link", id=user_id, lifetimeSeconds="300")
    finally:
        panel.site.call(lambda _: update_policy({"issuer": None}, TESTER))
    assert "too long for a QR code" in shown(panel, address)
