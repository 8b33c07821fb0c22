"""The panel's pages about users: search, export, one user's page and its forms."""

import csv
import io
import json
import re
import time
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from service.accounts.lookup import find_by_email
from service.accounts.models import User, UserRole
from service.instance import Instance
from tests.actions import add_invited
from tests.email_login.dependencies import guess_wrong
from tests.site import new_user_id, parameters
from tests.web.admin.panel import (
    AUTHENTICATION,
    FROM_HERE,
    POLICY,
    USER,
    USERS,
    Panel,
    links,
    sign_in_by_code,
    words,
)


def test_search_and_filters_stand_in_every_address(panel: Panel) -> None:
    name = new_user_id()
    panel.site.call(lambda _: invite_many(f"{name}-{{:03}}@example.com", 120))
    asked = {"search": name, "origin": "INVITATION", "status": "ACTIVE", "role": "MEMBER", "order": "EMAIL_ASC"}

    first = panel.get(USERS, **asked)
    [onward] = links(first, "next")
    second = panel.get(USERS, **onward)
    third = panel.get(USERS, **links(second, "next")[0])
    back = panel.get(USERS, **links(third, "prev")[0])
    home = panel.get(USERS, **links(back, "prev")[0])

    assert onward.items() >= asked.items()
    assert links(third, "next") == links(first, "prev") == []
    numbers = [[n for n in range(120) if f"{name}-{n:03}@" in page.text] for page in (first, second, third, back, home)]
    assert numbers == [
        list(range(50)),
        list(range(50, 100)),
        list(range(100, 120)),
        list(range(50, 100)),
        list(range(50)),
    ]
    assert "120" in first.text
    assert f"users.csv?{urlencode(asked)}" in words(first)
    assert f'value="{name}"' in second.text
    exported = rows_of(panel.get(f"{USERS}.csv", **asked).content)
    assert [row["email"] for row in exported] == [f"{name}-{n:03}@example.com" for n in range(120)]


async def invite_many(pattern: str, number: int) -> None:
    """So many members."""
    for n in range(number):
        await add_invited(pattern.format(n), UserRole.MEMBER)


def test_nobody_matches(panel: Panel) -> None:
    assert "No users match" in panel.page(USERS, search=new_user_id())


@pytest.mark.parametrize("query", [{"after": "x"}, {"before": "x"}, {"search": "x" * 5_000}, {"search": "\0"}])
@pytest.mark.parametrize("path", [USERS, f"{USERS}.csv"])
def test_address_that_was_tampered_with_is_no_failure(path: str, query: dict[str, str], panel: Panel) -> None:
    assert panel.get(path, **query).status_code in {200, 422}


def test_filters_that_are_none_are_left_out(panel: Panel) -> None:
    assert panel.get(USERS, origin="x", status="x", role="x", order="x").status_code == 200


def rows_of(content: bytes) -> list[dict[str, str]]:
    """The rows of an exported file, which begins with a byte order mark."""
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


@pytest.mark.parametrize("number", ["-5", "-42.5", "12"])
def test_export_leaves_numbers_as_they_are(number: str, panel: Panel) -> None:
    sign_in_by_code(panel.site, number)
    assert number in {row["id"] for row in rows_of(panel.get(f"{USERS}.csv", search=number).content)}


@pytest.mark.parametrize("separator", [";", "; ", ";\u00a0"])
@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\uff1d"])
def test_export_defuses_formulas_behind_a_list_separator(first: str, separator: str, panel: Panel) -> None:
    name = new_user_id()
    sign_in_by_code(panel.site, f"{name}{separator}{first}cmd")
    [row] = rows_of(panel.get(f"{USERS}.csv", search=name).content)
    assert row["id"] == f"{name};'{separator[1:]}{first}cmd"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\uff1d", " ="])
def test_export_defuses_formulas(first: str, panel: Panel) -> None:
    user_id = f'{first}cmd|" /C calc"!{new_user_id()}'
    sign_in_by_code(panel.site, user_id, name='Zoë, "Z"\n')
    response = panel.get(f"{USERS}.csv", search=user_id)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="users-\d{4}-\d\d-\d\d\.csv"', response.headers["content-disposition"])
    [row] = rows_of(response.content)
    assert row["id"] == row["externalId"] == f"'{user_id}"
    assert row["email"] == ""
    assert row["metadata"] == '{"name": "Zoë, \\"Z\\"\\n"}'


def test_export_streams_more_than_a_page(panel: Panel) -> None:
    name = new_user_id()
    panel.site.call(lambda _: invite_many(f"{name}-{{:03}}@example.com", 205))
    with panel.http.stream("GET", f"{USERS}.csv", params={"search": name}) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        rows = rows_of(response.read())
    assert len({row["email"] for row in rows}) == len(rows) == 205


@pytest.mark.parametrize(
    "user_id",
    ["a/b?c#d ü", " spaces around ", "100%&id=x", '"><b>bold</b>', "日本語", "../..", "+1 2", "a  b", "a\u00a0\u2003b"],
)
def test_user_with_an_odd_id_can_be_found_changed_and_deleted(user_id: str, panel: Panel) -> None:
    sign_in_by_code(panel.site, user_id)
    listed = panel.get(USERS, search=user_id.strip())
    [href] = re.findall(r'href="(/admin/users/user[?]id=[^"]*)"', listed.text)
    assert parameters(href) == {"id": user_id}
    assert "<b>bold</b>" not in panel.http.get(href).text

    assert user_id.strip() in panel.page(USER, id=user_id)
    onward = panel.done(USER, action="deactivate", id=user_id)
    assert parameters(onward) == {"id": user_id, "done": "deactivated"}
    assert "Reactivate" in panel.http.get(onward).text
    panel.done(USER, action="reactivate", id=user_id)
    assert panel.done(USER, action="delete", id=user_id, confirmation=" ".join(user_id.split())) == (
        f"{USERS}?done=deleted"
    )
    assert panel.get(USER, id=user_id).status_code == 404


def test_metadata_is_shown_as_it_was_written(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id, name="Zoë O'Hara", note="<script>")
    page = panel.get(USER, id=user_id)
    assert "Zoë O'Hara" in words(page)
    assert "<script>" not in page.text


@pytest.mark.parametrize("typed", ["", "x", "CRM"])
def test_deleting_needs_the_id_to_be_typed(typed: str, panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    response = panel.post(USER, action="delete", id=user_id, confirmation=typed)
    assert response.status_code == 422
    assert "Nothing was deleted" in response.text
    assert panel.site.find(user_id)


def test_deactivating_signs_out_and_frees_the_seat(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    assert "This user is not signed in" not in panel.page(USER, id=user_id)
    panel.done(USER, action="deactivate", id=user_id)
    page = panel.page(USER, id=user_id)
    assert "This user is not signed in" in page
    assert "user.deactivated" in page


def test_sessions_end_one_by_one_and_all_together(panel: Panel) -> None:
    user_id = new_user_id()
    for _ in range(3):
        sign_in_by_code(panel.site, user_id)
    page = panel.page(USER, id=user_id)
    session = page.split('name="session" value="', 1)[1].split('"', 1)[0]
    panel.done(USER, action="end-session", id=user_id, session=session)
    page = panel.page(USER, id=user_id)
    assert page.count('name="session"') == 2
    assert session not in page
    panel.done(USER, action="end-sessions", id=user_id)
    assert "This user is not signed in" in panel.page(USER, id=user_id)


@pytest.mark.parametrize("external_id", [" crm 7 ", "crm"])
def test_only_what_was_changed_on_the_page_is_changed(external_id: str, panel: Panel) -> None:
    user_id, unique = new_user_id(), new_user_id()
    external_id = external_id.replace("crm", unique)
    sign_in_by_code(panel.site, user_id, email=f"{unique}@example.com")
    panel.done(USER, action="update", id=user_id, externalId=external_id, emailBefore="", externalIdBefore=user_id)
    page = panel.get(USER, id=user_id).text
    for hidden in (
        f'name="emailBefore" value="{unique}@example.com"',
        f'name="externalIdBefore" value="{external_id}"',
    ):
        assert hidden in page
    before = {"emailBefore": f"{unique}@example.com", "externalIdBefore": external_id}

    sign_in_by_code(panel.site, external_id, email=f"{unique}-new@example.com")  # after the page was loaded
    panel.done(USER, action="update", id=user_id, email=before["emailBefore"], externalId=f"{external_id}!", **before)

    user = panel.site.find(user_id)
    assert user
    assert (user.email, user.external_id) == (f"{unique}-new@example.com", f"{external_id}!")
    assert "user.updated" in panel.get("/admin/audit", userId=user_id).text.split("<tbody>")[1]


def test_history_of_an_id_with_spaces_around_it_is_found(panel: Panel) -> None:
    user_id = f" {new_user_id()} "
    sign_in_by_code(panel.site, user_id)
    assert "user.created" in panel.get("/admin/audit", userId=user_id).text.split("<tbody>")[1]


def test_refused_form_stays_as_it_was_typed(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    fields = {"email": "boss@example.com", "externalId": f"{user_id}-b", "emailBefore": "", "externalIdBefore": user_id}
    refused = panel.post(USER, action="update", id=user_id, **fields)
    assert refused.status_code == 409
    for name in ("email", "externalId"):
        assert f'name="{name}" value="{fields[name]}"' in refused.text
    assert "<details open><summary>Delete" not in refused.text
    wrong = panel.post(USER, action="delete", id=user_id, confirmation="x")
    assert "<details open><summary>Delete" in wrong.text
    assert ">boss@example.com</textarea>" in panel.post(USERS, action="invite", email="boss@example.com").text
    assert 'value="a key"' in panel.post("/admin/api-keys", name="a key", expires="2001-01-01").text


def test_problems_are_told_in_the_panel_s_own_words(panel: Panel) -> None:
    for path, fields in [
        (AUTHENTICATION, {**POLICY, "clockSkewSeconds": "301"}),
        (AUTHENTICATION, {**POLICY, "clockSkewSeconds": ""}),
        (AUTHENTICATION, {**POLICY, "maxLifetimeSeconds": "0"}),
        ("/admin/seats", {"limit": "2147483648"}),
        ("/admin/api-keys", {"name": "k", "expires": "2001-01-01"}),
        (USERS, {"email": "no address"}),
    ]:
        [alert] = re.findall(r'role="alert">(.*?)</p>', words(panel.post(path, **fields)))
        assert "`" not in alert
        assert "Variable" not in alert
        assert alert.startswith("The ")


def test_invitation_while_nobody_could_use_it_is_warned_of(panel: Panel) -> None:
    assert "Email login is off" not in panel.page(USERS)
    panel.done(AUTHENTICATION, action="email-login")
    try:
        assert "Email login is off" in panel.page(USERS)
        with panel.site.client() as client:
            page = client.post("/admin/login", data={"email": "boss@example.com"}, headers=FROM_HERE)
        assert "doorcode admin invite" in page.text
    finally:
        panel.done(AUTHENTICATION, action="email-login", enabled="1")


def test_email_and_external_id_are_changed_and_cleared(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    panel.done(USER, action="update", id=user_id, email=f"{user_id}@Example.com", externalId=f"{user_id}-b")
    found = panel.site.find(user_id)
    assert found
    assert (found.email, found.external_id) == (f"{user_id}@example.com", f"{user_id}-b")
    before = {"emailBefore": f"{user_id}@example.com", "externalIdBefore": f"{user_id}-b"}
    response = panel.post(USER, action="update", id=user_id, email="boss@example.com", externalId="", **before)
    assert response.status_code == 409
    assert 'role="alert"' in response.text
    panel.done(USER, action="update", id=user_id, email="", externalId="", **before)
    found = panel.site.find(user_id)
    assert found
    assert (found.email, found.external_id) == (None, None)


def test_address_that_is_only_claimed_is_marked_until_it_is_verified(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id, email=f"{user_id}@example.com", email_verified=False)
    page = panel.page(USER, id=user_id)
    assert "Not verified" in page
    assert "Send the invitation again" not in page
    assert "Not verified" in panel.page(USERS, search=user_id)
    [row] = rows_of(panel.get(f"{USERS}.csv", search=user_id).content)
    assert (row["email"], row["emailVerified"]) == (f"{user_id}@example.com", "false")
    refused = panel.post(USER, action="set-role", id=user_id, role="ADMIN")
    assert refused.status_code == 409
    panel.done(USER, action="verify-email", id=user_id, email=f"{user_id}@example.com")
    assert "Not verified" not in panel.page(USER, id=user_id) + panel.page(USERS, search=user_id)
    [row] = rows_of(panel.get(f"{USERS}.csv", search=user_id).content)
    assert row["emailVerified"] == "true"


def test_groups_of_a_user_are_edited_listed_and_filtered(panel: Panel) -> None:
    user_id, staff, odd = new_user_id(), new_user_id(), f"{new_user_id()} &<b>, x"
    sign_in_by_code(panel.site, user_id)
    panel.done(USER, action="set-groups", id=user_id, groups=f"{staff}\r\n\r\n{odd}\r\n")
    for page in (panel.get(USER, id=user_id), panel.get("/admin/groups"), panel.get(USERS, group=staff)):
        assert page.status_code == 200
        assert staff in page.text
        assert "<b>, x" not in page.text
    assert user_id in panel.page(USERS, group=odd)
    assert user_id not in panel.page(USERS, group=staff.upper())
    assert "No users match" in panel.page(USERS, group="no such group")
    [row] = rows_of(panel.get(f"{USERS}.csv", group=staff).content)
    assert sorted(json.loads(row["groups"])) == sorted([staff, odd])
    refused = panel.post(USER, action="set-groups", id=user_id, groups="x" * 129)
    assert refused.status_code == 422
    assert "x" * 129 in refused.text
    panel.done(USER, action="set-groups", id=user_id, groups="")
    assert staff not in panel.page("/admin/groups")


def test_page_of_an_external_id_leads_to_the_user(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    panel.done(
        USER, action="update", id=user_id, email="", externalId=f"{user_id}-b", emailBefore="", externalIdBefore=user_id
    )
    response = panel.get(USER, id=f"{user_id}-b")
    assert response.status_code == 303
    assert parameters(response.headers["location"]) == {"id": user_id}
    assert user_id in panel.page(USER, id=user_id)


def test_last_admin_stays_one(panel: Panel) -> None:
    boss = panel.site.call(lambda _: User.get(email="boss@example.com"))
    others = [user for user in panel.site.call(lambda _: User.filter(role="ADMIN").all()) if user.id != boss.id]
    for other in others:
        panel.done(USER, action="delete", id=other.id, confirmation=other.id)
    for fields in [
        {"action": "deactivate"},
        {"action": "set-role", "role": "MEMBER"},
        {"action": "delete", "confirmation": boss.id},
    ]:
        response = panel.post(USER, id=boss.id, **fields)
        assert response.status_code == 409, fields
        assert 'role="alert"' in response.text
        assert "last" in response.text
    assert panel.get(USERS).status_code == 200


def test_role_is_set(panel: Panel) -> None:
    user = panel.site.call(lambda _: add_invited(f"{new_user_id()}@example.com", UserRole.MEMBER))
    panel.done(USER, action="set-role", id=user.id, role="ADMIN")
    assert "Make a member" in panel.page(USER, id=user.id)
    panel.done(USER, action="set-role", id=user.id, role="MEMBER")
    assert "Make an admin" in panel.page(USER, id=user.id)


def test_email_sign_in_is_unlocked(panel: Panel) -> None:
    email = f"{new_user_id()}@example.com"
    user = panel.site.call(lambda _: add_invited(email, UserRole.MEMBER))

    async def guess(instance: Instance) -> None:
        await guess_wrong(instance, 1, email=email)

    panel.site.call(guess)
    page = panel.http.get(panel.done(USER, action="unlock", id=user.id))
    assert "Email codes are accepted again for this user." in page.text
    assert "user.email_sign_in_unlocked" in page.text


def test_invitation_leads_to_the_new_user(panel: Panel) -> None:
    email = f"{new_user_id()}@example.com"
    page = panel.http.get(panel.done(USERS, email=email, role="MEMBER"))
    assert "The user is invited" in page.text
    assert email in page.text
    invited = panel.site.call(lambda _: find_by_email(email))
    assert invited
    page = panel.http.get(panel.done(USER, action="invite-again", id=invited.id))
    assert "A new invitation is being sent." in page.text
    again = panel.post(USERS, email="no address")
    assert again.status_code == 422
    assert 'role="alert"' in again.text


def test_links_of_one_user_are_made_invalid(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    assert "Links are valid if made since" not in panel.page(USER, id=user_id)
    address = panel.done(USER, action="revoke-codes", id=user_id, endSessions="1")
    assert parameters(address) == {"id": user_id, "done": "codes-revoked"}
    page = panel.page(USER, id=user_id)
    assert "Links are valid if made since" in page
    assert "This user is not signed in." in page
    assert "user.codes_revoked" in page


def test_deleting_makes_links_invalid_too_if_asked(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    panel.done(USER, action="delete", id=user_id, confirmation=user_id, revokeCodes="1")
    with pytest.raises(AssertionError):
        sign_in_by_code(panel.site, user_id, issued_at=time.time() - 60)
    sign_in_by_code(panel.site, user_id, issued_at=time.time() + 1)


def test_users_with_a_ticked_box_are_deactivated_and_reactivated(panel: Panel) -> None:
    name = new_user_id()
    panel.site.call(lambda _: invite_many(f"{name}-{{}}@example.com", 3))
    users = [panel.site.call(partial(_found, f"{name}-{n}@example.com")) for n in range(3)]
    fields = {"action": "deactivate", "id": [users[0].id, users[1].id]}
    sent = panel.http.post(USERS, params={"search": name}, data=fields, headers=FROM_HERE)
    assert sent.status_code == 303
    assert parameters(sent.headers["location"]) == {"search": name, "done": "deactivated-many"}
    assert panel.page(USERS, search=name, status="DEACTIVATED").count('type="checkbox"') == 2
    assert panel.page(USERS, search=name, status="ACTIVE").count('type="checkbox"') == 1
    fields = {"action": "reactivate", "id": [users[0].id, "nobody"]}
    sent = panel.http.post(USERS, data=fields, headers=FROM_HERE)
    assert sent.status_code == 409
    assert "1 of 2 are done. Not done: nobody: There is no user with this id." in words(sent)
    assert panel.page(USERS, search=name, status="ACTIVE").count('type="checkbox"') == 2
    assert panel.post(USERS, action="deactivate").status_code == 422


def test_many_addresses_are_invited_at_once(panel: Panel) -> None:
    name = new_user_id()
    address = panel.done(
        USERS, action="invite", email=f"{name}-1@example.com, {name}-2@example.com\n{name}-3@example.com"
    )
    assert parameters(address) == {"done": "invited-many"}
    refused = panel.post(USERS, action="invite", email=f"{name}-4@example.com, {name}-1@example.com")
    assert refused.status_code == 409
    assert f"1 of 2 are done. Not done: {name}-1@example.com: A user with this email exists already." in words(refused)
    assert panel.page(USERS, search=name).count('type="checkbox"') == 4


def test_user_is_created_with_an_end_of_the_access_that_is_changed_and_cleared(panel: Panel) -> None:
    user_id = new_user_id()
    fields = {"action": "create", "externalId": user_id, "accessUntil": "2050-01-31T12:30"}
    assert parameters(panel.done(USERS, **fields)) == {"id": user_id, "done": "created"}
    assert 'name="accessUntil" value="2050-01-31T12:30"' in panel.page(USER, id=user_id)
    update = {"action": "update", "id": user_id, "email": "", "emailBefore": "", "externalId": user_id}
    update |= {"externalIdBefore": user_id, "accessUntilBefore": "2050-01-31T12:30"}
    panel.done(USER, **update, accessUntil="2020-01-31T12:30")
    assert "Reactivate" in panel.page(USER, id=user_id)
    refused = panel.post(USER, **update, accessUntil="tomorrow")
    assert refused.status_code == 422
    panel.done(USER, **update, accessUntil="")
    assert "Deactivate" in panel.page(USER, id=user_id)


async def _found(email: str, _: Any) -> User:
    found = await find_by_email(email)
    assert found
    return found


def test_person_is_erased_after_the_id_was_typed(panel: Panel) -> None:
    user_id = panel.site.call(lambda _: add_invited("zq7mark@example.com", UserRole.MEMBER)).id
    refused = panel.post(USER, action="erase", id=user_id, confirmation="x")
    assert refused.status_code == 422
    assert "Nothing was erased" in refused.text
    assert "<details open><summary>Erase all personal data" in refused.text
    assert panel.done(USER, action="erase", id=user_id, confirmation=user_id) == f"{USERS}?done=erased"
    log = panel.page("/admin/audit", action="user.erased")
    assert "erased a person, now erased_" in " ".join(re.sub("<[^>]+>", "", log).split())
    assert user_id not in panel.page("/admin/audit")
    assert "zq7mark" not in panel.page("/admin/audit")


def test_pages_say_which_users_they_show_and_how_many_there_are(panel: Panel) -> None:
    prefix = new_user_id()
    for number in range(51):
        sign_in_by_code(panel.site, f"{prefix}-{number}")
    first = panel.get(USERS, search=prefix)
    assert "1–50 of 51" in words(first)
    assert "Clear filters" in words(first)
    [following] = links(first, "next")
    second = panel.get(USERS, **following)
    assert "51–51 of 51" in words(second)
    [preceding] = links(second, "prev")
    assert "1–50 of 51" in words(panel.get(USERS, **preceding))
    assert "1–50 of 51" in words(panel.get(USERS, search=prefix, at="x"))
