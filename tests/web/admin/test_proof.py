"""An admin whose sign-in is older than 15 minutes gives a code again, and then the form that was sent goes on."""

import html
import re
from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest

from service.accounts.models import User, UserRole
from service.clock import now
from service.database import Statement, write
from tests.actions import add_invited
from tests.site import Site, new_user_id
from tests.web.admin.panel import AUTHENTICATION, FROM_HERE, USER, Panel, words
from tests.web.test_email_sign_in import code_for, forget_allowances

KEYS = "/admin/api-keys"


@pytest.fixture
def old_panel(open_panel: Callable[..., Panel], site: Site) -> Panel:
    """An admin who signed in 16 minutes ago."""
    panel = open_panel(new_admin := f"{new_user_id()}@example.com")
    grow_old(site, new_admin)
    return panel


def grow_old(site: Site, email: str) -> None:
    moment = now() - timedelta(minutes=16)
    sql = Statement(
        "UPDATE sessions SET created_at = $1, proven_at = NULL WHERE user_serial IN (SELECT serial FROM users WHERE email = $2)"
    )
    site.call(lambda _: write(sql, moment, email))


def admin_of(page: httpx2.Response) -> str:
    [email] = set(re.findall(r"[\w.-]+@example\.com", page.text))
    return str(email)


def confirm(panel: Panel, page: httpx2.Response, code: str | None = None, **other: str) -> httpx2.Response:
    """Sends the form of the page that asks for a code, with every hidden field of it."""
    [first, *_] = re.findall(r'<form class="stack" method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', first[1])
    }
    code = code or code_for(panel.site, admin_of(page))
    return panel.http.post(html.unescape(first[0]), data={**fields, "proofCode": code, **other}, headers=FROM_HERE)


def test_rotation_waits_for_a_code_and_then_goes_on(old_panel: Panel) -> None:
    page = old_panel.post(AUTHENTICATION, action="rotate", gracePeriodSeconds="3600")
    assert page.status_code == 403
    assert "Confirm that it is you" in page.text
    assert 'value="3600"' in page.text, "nothing that was typed is lost"
    done = confirm(old_panel, page)
    assert done.status_code == 303
    assert done.headers["location"].startswith("/admin/authentication/secret?")
    again = old_panel.post(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    assert again.status_code == 303, "the proof holds for 15 minutes"


def test_proof_ends_after_fifteen_minutes(old_panel: Panel) -> None:
    page = old_panel.post(KEYS, action="create", name="x", scope="READ")
    assert confirm(old_panel, page).status_code in (200, 303)
    sql = Statement("UPDATE sessions SET proven_at = $1 WHERE proven_at IS NOT NULL")
    old_panel.site.call(lambda _: write(sql, now() - timedelta(minutes=16)))
    assert old_panel.post(KEYS, action="create", name="x", scope="READ").status_code == 403


def test_wrong_code_changes_nothing_and_keeps_the_form(old_panel: Panel) -> None:
    user = old_panel.site.call(lambda _: add_invited(f"{new_user_id()}@example.org", UserRole.MEMBER))
    page = old_panel.post(USER, action="set-role", id=user.id, role="ADMIN")
    code_for(old_panel.site, admin_of(page))
    refused = confirm(old_panel, page, "000000")
    assert refused.status_code == 403
    assert "This code is not right" in words(refused)
    assert old_panel.site.call(lambda _: User.get(id=user.id)).role is UserRole.MEMBER
    assert confirm(old_panel, refused, "246810").status_code == 303
    assert old_panel.site.call(lambda _: User.get(id=user.id)).role is UserRole.ADMIN


def test_code_of_another_address_proves_nothing(old_panel: Panel, open_panel: Callable[..., Panel]) -> None:
    other = open_panel(email := f"{new_user_id()}@example.com")
    grow_old(other.site, email)
    theirs = other.post(KEYS, action="create", name="x", scope="READ")
    code = code_for(other.site, email)
    [request_id] = re.findall(r'name="proofRequest" value="([A-Za-z0-9_-]{22})">\s*<label', theirs.text)
    page = old_panel.post(KEYS, action="create", name="x", scope="READ")
    refused = confirm(old_panel, page, code, proofRequest=request_id)
    assert refused.status_code == 403
    assert "This code is not right" in words(refused)


def test_another_code_can_be_requested(old_panel: Panel) -> None:
    page = old_panel.post(KEYS, action="create", name="a name to keep", scope="READ")
    another = old_panel.post(
        KEYS, action="create", name="a name to keep", scope="READ", proofRequest="none", proofAnother="1"
    )
    assert "a name to keep" in words(another)
    assert confirm(old_panel, another).status_code in (200, 303)
    assert page.status_code == another.status_code == 403


def test_too_many_requests_are_said_on_the_page(old_panel: Panel) -> None:
    forget_allowances(old_panel.site)
    pages = [old_panel.post(KEYS, action="create", name="x", scope="READ") for _ in range(6)]
    assert [page.status_code for page in pages] == [403] * 6
    assert "Too many failed tries" in words(pages[-1])


def test_export_goes_on_after_the_code(old_panel: Panel) -> None:
    page = old_panel.get("/admin/users.csv", search="example")
    assert page.status_code == 403
    done = confirm(old_panel, page)
    assert (done.status_code, done.headers["location"]) == (303, "/admin/users.csv?search=example")
    file = old_panel.http.get(done.headers["location"])
    assert (file.status_code, file.headers["content-type"]) == (200, "text/csv; charset=utf-8")


def test_other_changes_need_no_code(old_panel: Panel) -> None:
    user = old_panel.site.call(lambda _: add_invited(f"{new_user_id()}@example.org", UserRole.MEMBER))
    for action in ("deactivate", "reactivate", "end-sessions", "unlock"):
        assert old_panel.post(USER, action=action, id=user.id).status_code == 303, action


def test_fresh_sign_in_needs_no_code(panel: Panel) -> None:
    assert panel.post(AUTHENTICATION, action="rotate", gracePeriodSeconds="0").status_code == 303
    assert panel.get("/admin/users.csv").status_code == 200
