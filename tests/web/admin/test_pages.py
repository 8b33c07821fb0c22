"""The panel's pages and forms over a real server, without JavaScript."""

import csv
import io
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from service.accounts.seats import set_seat_limit
from service.instance import Instance
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import TESTER, everything
from tests.site import Site, new_user_id, parameters
from tests.web.admin.panel import (
    ADMIN,
    AUTHENTICATION,
    COOKIE,
    DEBUGGER,
    FORMS,
    FROM_HERE,
    PAGES,
    POLICY,
    USER,
    USERS,
    Panel,
    accepts,
    links,
    session_token,
    sign_in_by_code,
    value_of,
)


async def session_of_the_admin(token_transport: TokenTransport, method: SignInMethod, _: Instance) -> str:
    return await session_token(ADMIN, token_transport, method)


# ---------------------------------------------------------------- who may come in


@pytest.mark.parametrize("path", PAGES)
def test_page_sends_a_stranger_to_sign_in(path: str, site: Site) -> None:
    with site.client() as client:
        response = client.get(path, params={"search": "x"})
    assert response.status_code == 303
    assert response.headers["location"] == f"/admin/login?{urlencode({'returnTo': f'{path}?search=x'})}"


def test_neither_the_members_cookie_nor_a_bearer_token_nor_a_code_opens_a_page(site: Site) -> None:
    """Other sessions of an admin do not open the panel: only the admin cookie of a sign-in by email does."""
    for token_transport, method in [
        (TokenTransport.COOKIE, SignInMethod.EMAIL),
        (TokenTransport.BEARER, SignInMethod.EMAIL),
        (TokenTransport.ADMIN_COOKIE, SignInMethod.EXTERNAL_JWT),
    ]:
        token = site.call(partial(session_of_the_admin, token_transport, method))
        with site.client() as client:
            for given in [
                {"Cookie": f"{COOKIE}={token}"},
                {"Cookie": f"doorcode={token}"},
                {"Authorization": f"Bearer {token}"},
            ]:
                for path in PAGES:
                    assert client.get(path, headers=given).status_code == 303, (token_transport, path)


def test_bearer_token_that_opens_the_api_opens_no_page(site: Site, panel: Panel) -> None:
    token = panel.http.cookies[COOKIE]
    with site.client() as client:
        assert client.get(USERS, headers={"Authorization": f"Bearer {token}"}).status_code == 303


def test_what_a_page_shows_is_kept_by_no_cache_and_framed_by_nobody(panel: Panel) -> None:
    headers = panel.get(USERS).headers
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path", [*FORMS, "/admin/login", "/admin/login/code", "/admin/setup", "/admin/invitation", "/admin/logout"]
)
def test_form_of_another_origin_is_refused_and_changes_nothing(path: str, panel: Panel) -> None:
    fields = {"action": "rotate", "gracePeriodSeconds": "0", "limit": "1", "name": "key", "email": "x@example.com"}
    fields |= {"id": "x", "code": "x"}
    panel.get(USERS)  # so that the session's use is noted already
    before = panel.site.call(lambda _: everything())
    for headers in [
        {},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
    ]:
        response = panel.post_with(headers, path, **fields)
        assert response.status_code == 403, headers
        assert "set-cookie" not in response.headers
    assert panel.site.call(lambda _: everything()) == before


@pytest.mark.parametrize("path", FORMS)
def test_form_of_a_stranger_changes_nothing(path: str, site: Site) -> None:
    before = site.call(lambda _: everything())
    with site.client() as client:
        response = client.post(path, data={"limit": "1", "name": "k", "email": "x@example.com"}, headers=FROM_HERE)
        assert response.status_code == 303
        address, _, query = response.headers["location"].partition("?")
        assert address == "/admin/login"
        assert parameters(f"?{query}") == {"ended": "1"} | ({} if path == "/admin" else {"returnTo": path})
        assert "Your session has ended" in client.get(response.headers["location"]).text
    assert site.call(lambda _: everything()) == before


def test_form_of_a_session_that_has_ended_leads_back_to_the_page_of_its_user(site: Site) -> None:
    with site.client() as client:
        response = client.post(USER, data={"action": "update", "id": "a/b c"}, headers=FROM_HERE)
    assert parameters(response.headers["location"]) == {"ended": "1", "returnTo": f"{USER}?id=a%2Fb+c"}


def test_signing_out_ends_the_session(open_panel: Callable[..., Panel]) -> None:
    panel = open_panel()
    token = panel.http.cookies[COOKIE]
    assert panel.done("/admin/logout") == "/admin/login"
    panel.http.cookies.set(COOKIE, token)
    assert panel.get(USERS).status_code == 303


@pytest.mark.parametrize("path", [USER, AUTHENTICATION])
def test_form_that_is_not_known_is_told(path: str, panel: Panel) -> None:
    response = panel.post(path, action="explode")
    assert response.status_code == 422
    assert "This form is unknown" in response.text


# ---------------------------------------------------------------- seats


def test_seats_that_are_taken_are_told_where_one_is_wanted(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    panel.done(USER, action="deactivate", id=user_id)
    try:
        assert panel.done("/admin/seats", limit="1") == "/admin/seats?done=limit-set"
        for path in (USERS, AUTHENTICATION, "/admin/audit", "/admin/api-keys", "/admin/seats", DEBUGGER):
            assert "All seats are used." in panel.page(path), path
        for path, fields in [
            (USERS, {"email": f"{new_user_id()}@example.com"}),
            (USER, {"action": "reactivate", "id": user_id}),
        ]:
            response = panel.post(path, **fields)
            assert response.status_code == 409
            assert 'role="alert"' in response.text
        assert "All seats are used." in panel.get(USER, id="nobody-at-all").text
    finally:
        panel.done("/admin/seats", limit="")
    assert "no limit" in panel.page("/admin/seats")
    assert "All seats are used." not in panel.page(USERS)


def test_form_without_its_field_removes_no_limit(panel: Panel) -> None:
    """A form that was cut off, say."""
    panel.done("/admin/seats", limit="7")
    try:
        assert panel.post("/admin/seats", other="").status_code == 422
        assert 'value="7"' in panel.page("/admin/seats")
    finally:
        panel.done("/admin/seats", limit="")


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "2147483648", "9999999999", "9" * 40, "²"])
def test_limit_that_is_none_is_told_and_changes_nothing(limit: str, panel: Panel) -> None:
    response = panel.post("/admin/seats", limit=limit)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert "no limit" in panel.page("/admin/seats")


@pytest.mark.parametrize("days", ["30", "90", "365", "0", "x", "99999"])
def test_chart_has_a_table_behind_it(days: str, panel: Panel) -> None:
    page = panel.page("/admin/seats", days=days)
    assert "<svg" in page
    assert page.count('<th scope="row">') == (int(days) if days in {"30", "90", "365"} else 30)


# ---------------------------------------------------------------- API keys and the audit log


def test_api_key_is_shown_once_and_revoked(open_panel: Callable[..., Panel]) -> None:
    panel, name = open_panel(), new_user_id()
    key, address = panel.secret_made("/admin/api-keys", name=name, scope="READ", expires="2999-12-31")
    assert key.startswith("dck_")
    assert panel.secret_at(address) == key
    listed = panel.page("/admin/api-keys")
    assert name in listed
    assert key not in listed
    body, bearer = {"query": "{seatUsage{used}}"}, {"Authorization": f"Bearer {key}"}
    with panel.site.client() as client:
        assert "errors" not in client.post("/graphql", json=body, headers=bearer).json()
        key_id = listed.split(f'#revoke" aria-label="Revoke {name}"', 1)[0].rsplit("?revoke=", 1)[1]
        asked = panel.page("/admin/api-keys", revoke=key_id)
        assert "cannot be undone" in asked
        assert f'name="id" value="{key_id}"' in asked
        assert panel.done("/admin/api-keys", action="revoke", id=key_id) == "/admin/api-keys?done=key-revoked"
        assert "errors" in client.post("/graphql", json=body, headers=bearer).json()
    assert f"Revoke {name}" not in panel.page("/admin/api-keys")
    assert open_panel().http.get(address).status_code == 404


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "k", "expires": "soon"}, {"name": "k", "expires": "2001-01-01"}]
)
def test_api_key_that_cannot_be_made_is_told_on_the_page(fields: dict[str, str], panel: Panel) -> None:
    response = panel.post("/admin/api-keys", **fields)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert "Create an API key" in response.text


def test_audit_log_is_filtered_and_its_filters_are_in_the_address(panel: Panel) -> None:
    user_id = f"{new_user_id()} ü&?"
    sign_in_by_code(panel.site, user_id)
    for _ in range(30):
        panel.done(USER, action="deactivate", id=user_id)
        panel.done(USER, action="reactivate", id=user_id)

    first = panel.get("/admin/audit", userId=user_id)
    [onward] = links(first, "next")
    assert onward.items() >= {"userId": user_id}.items()
    assert "user.created" not in first.text.split("<tbody>")[1]
    assert "user.created" in panel.get("/admin/audit", **onward).text.split("<tbody>")[1]
    only = panel.get("/admin/audit", userId=user_id, action="user.deactivated").text
    only = only.split("<tbody>")[1].split("</tbody>")[0]
    assert only.count("user.deactivated") == 30
    assert "user.reactivated" not in only
    for nothing in [{"from": "2999-01-01"}, {"until": "2001-01-01"}]:
        assert "No event matches the filters." in panel.page("/admin/audit", userId=user_id, **nothing)
    for everything_ in [{"until": "2999-01-01"}, {"from": "2001-01-01"}, {"from": "x"}, {"until": "9999-12-31"}]:
        assert "user.reactivated" in panel.page("/admin/audit", userId=user_id, **everything_)


def test_audit_log_links_to_users_who_exist_alone(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    link = f'<a href="{USER}?id={user_id}"'
    assert link in panel.page("/admin/audit", userId=user_id)
    panel.done(USER, action="delete", id=user_id, confirmation=user_id)
    page = panel.page("/admin/audit", userId=user_id)
    assert "user.deleted" in page
    assert link not in page


def test_audit_log_is_filtered_by_actor_secret_address_and_reference(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    shown = panel.page("/admin/audit", userId=user_id, action="session.opened")
    secret = shown.split("/admin/audit?secretId=", 1)[1].split('"', 1)[0]
    for found in ({"secretId": secret}, {"actor": f"code:{secret}"}, {"ipAddress": "127.0.0.1"}):
        assert "session.opened" in panel.page("/admin/audit", userId=user_id, action="session.opened", **found)
    for nothing in ({"secretId": "x"}, {"actor": "cli"}, {"ipAddress": "192.0.2.1"}, {"reference": "K7XA249Z5R"}):
        assert "No event matches the filters." in panel.page("/admin/audit", userId=user_id, **nothing)
    assert panel.get("/admin/audit", ipAddress="x").status_code == 422


def test_audit_log_is_told_in_sentences_and_filtered_by_email(panel: Panel) -> None:
    user_id = new_user_id()
    email = f"{user_id}@example.com"
    sign_in_by_code(panel.site, user_id)
    panel.done(
        USER, action="update", id=user_id, email=email, emailBefore="", externalId=user_id, externalIdBefore=user_id
    )
    page = panel.page("/admin/audit", userId=email, action="user.updated")
    assert re.search(rf'>{ADMIN}</a> changed <a href="[^"]*" title="{user_id}">{email}</a>', page)
    assert f"none → {email}" in page
    assert re.search(r"[0-9]{2}:[0-9]{2}:[0-9]{2} UTC", page)
    assert email in panel.page("/admin/audit", actor=ADMIN, userId=user_id)
    assert "No event matches the filters." in panel.page("/admin/audit", actor=email)
    assert "No event matches the filters." in panel.page("/admin/audit", userId="x@")
    assert "changed <a href" in panel.page(USER, id=user_id)


def test_audit_log_is_exported_with_its_filters(panel: Panel) -> None:
    user_id = f"=cmd|{new_user_id()}"
    sign_in_by_code(panel.site, user_id)
    for _ in range(101):
        panel.done(USER, action="deactivate", id=user_id)
        panel.done(USER, action="reactivate", id=user_id)
    response = panel.get("/admin/audit.csv", userId=user_id)
    assert 'filename="audit-log-20' in response.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert {line["userId"] for line in lines} == {f"'{user_id}"}
    assert {line["actorEmail"] for line in lines if line["action"] == "user.deactivated"} == {ADMIN}
    exported = panel.get("/admin/audit.json", userId=user_id).json()
    assert len(exported) == len(lines) == 204
    assert [event["action"] for event in exported] == [line["action"] for line in lines]
    assert panel.get("/admin/audit.json", userId="nothing of this").json() == []
    assert panel.get("/admin/audit.csv", ipAddress="x").status_code == 422
    assert "audit.exported" in panel.page("/admin/audit", action="audit.exported")


def test_reference_that_a_person_saw_is_looked_up(panel: Panel) -> None:
    with panel.site.client() as client:
        refused = client.get("/", params={"externalAuthCode": "junk"}, headers={"Sec-Fetch-Mode": "navigate"})
    reference = parse_qs(urlsplit(refused.headers["location"]).query)["reference"][0]
    page = panel.page("/admin/refusals", reference=reference.lower())
    assert f'<h2 id="found">{reference}</h2>' in page
    assert "MALFORMED_CODE" in page
    assert reference in panel.page("/admin/refusals", code="MALFORMED_CODE", ipAddress="127.0.0.1")
    unknown = panel.get("/admin/refusals", reference="K7XA249Z5R")
    assert unknown.status_code == 404
    assert "K7XA249Z5R is not known." in unknown.text
    assert "No refusal matches the filters." in panel.page("/admin/refusals", ipAddress="192.0.2.1")
    assert panel.get("/admin/refusals", code="NO_CODE").status_code == 422


def test_export_of_the_users_is_in_the_audit_log(panel: Panel) -> None:
    search = new_user_id()
    panel.get(f"{USERS}.csv", search=search)
    assert search in panel.page("/admin/audit", action="users.exported")


# ---------------------------------------------------------------- PostgreSQL


def test_the_same_on_postgresql(postgres_site: Site) -> None:
    panel = Panel.signed_in(postgres_site)
    with panel.http:
        for path in PAGES:
            assert panel.get(path).status_code == (
                404 if path.endswith(("/user", "/secret", "/sign-in-link")) else 200
            ), path
        secret, address = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
        assert panel.secret_at(address) == secret
        assert (
            "The code would create a user" in panel.post(DEBUGGER, code=jwt.encode({"user": {"id": "x"}}, secret)).text
        )
        assert accepts(postgres_site, secret)
        panel.done(AUTHENTICATION, **POLICY, maxLifetimeSeconds="600")
        panel.done(USERS, email="ada@example.com", role="MEMBER")
        panel.done(USER, action="deactivate", id="crm-signer")
        panel.done(USER, action="delete", id="crm-signer", confirmation="crm-signer")
        panel.done("/admin/seats", limit="2")
        assert panel.post(USERS, email="eve@example.com").status_code == 409
        assert "user.deleted" in panel.page("/admin/audit", action="user.deleted")
        key, _ = panel.secret_made("/admin/api-keys", name="k", scope="ADMIN")
        assert key.startswith("dck_")
        assert "ada@example.com" in panel.get(f"{USERS}.csv").text
        assert value_of(panel.http.get(address), "aria-label") == secret
    postgres_site.call(lambda _: set_seat_limit(None, TESTER))
