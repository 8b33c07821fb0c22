"""The panel's pages and forms over a real server, with no script to help."""

import csv
import io
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

import jwt
import pytest

from service.accounts.administration import invite_user
from service.accounts.lookup import find_by_email
from service.accounts.models import User, UserRole
from service.accounts.seats import set_seat_limit
from service.audit.log import SYSTEM
from service.external_auth.secrets import current_secret, list_secrets
from service.instance import Instance
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import everything
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.admin.panel import ADMIN, COOKIE, FORMS, FROM_HERE, PAGES, Panel, links, session_token, value_of, words

AUTHENTICATION, DEBUGGER = "/admin/authentication", "/admin/authentication/debugger"
USERS, USER = "/admin/users", "/admin/users/user"
POLICY = {"action": "policy", "clockSkewSeconds": "60"}


def sign_in_by_code(site: Site, user_id: str, **user: object) -> None:
    """Makes a user as a link does."""
    current = site.call(lambda instance: current_secret(instance.cipher))
    assert current
    code = jwt.encode({"user": {"id": user_id, **user}}, current.text, "HS256")
    with site.client() as client:
        assert "doorcode" in set_cookies(client.get("/", params={"externalAuthCode": code}))


def accepts(site: Site, secret: str) -> bool:
    """Whether a code signed with this secret signs somebody in."""
    code = jwt.encode({"user": {"id": "crm-signer"}}, secret, "HS256")
    with site.client() as client:
        return "doorcode" in set_cookies(client.get("/", params={"externalAuthCode": code}))


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
    """An admin's own, and yet: only the admin cookie of a sign-in by email does."""
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
    assert (response.status_code, response.headers["location"]) == (303, "/admin/login")
    assert site.call(lambda _: everything()) == before


def test_signing_out_ends_the_session(sit_down: Callable[..., Panel]) -> None:
    panel = sit_down()
    token = panel.http.cookies[COOKIE]
    assert panel.done("/admin/logout") == "/admin/login"
    panel.http.cookies.set(COOKIE, token)
    assert panel.get(USERS).status_code == 303


@pytest.mark.parametrize("path", [USER, AUTHENTICATION])
def test_form_that_is_not_known_is_told(path: str, panel: Panel) -> None:
    response = panel.post(path, action="explode")
    assert response.status_code == 422
    assert "not known here" in response.text


# ---------------------------------------------------------------- secrets


def test_secret_survives_reload_and_is_not_rotated_again(panel: Panel) -> None:
    secret, address = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    number = len(panel.site.call(lambda _: list_secrets()))
    assert [panel.secret_at(address) for _ in range(3)] == [secret] * 3
    assert len(panel.site.call(lambda _: list_secrets())) == number
    assert accepts(panel.site, secret)
    assert secret not in address


def test_secret_is_shown_to_nobody_else(sit_down: Callable[..., Panel]) -> None:
    secret, address = sit_down().secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    for other in (sit_down("other@example.com"), sit_down()):
        response = other.http.get(address)
        assert response.status_code == 404
        assert "not shown any more" in response.text
        assert secret not in response.text


@pytest.mark.parametrize("address", [f"{AUTHENTICATION}/secret", f"{AUTHENTICATION}/secret?id=x%00%27"])
def test_address_of_no_secret_is_told(address: str, panel: Panel) -> None:
    assert panel.http.get(address).status_code == 404


@pytest.mark.parametrize(("grace", "is_accepted"), [("0", False), ("3600", True), ("86400", True), ("604800", True)])
def test_old_secret_stops_when_it_was_chosen_to(grace: str, is_accepted: bool, panel: Panel) -> None:
    old, _ = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    new, _ = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds=grace)
    assert accepts(panel.site, new)
    assert accepts(panel.site, old) is is_accepted
    page = panel.page(AUTHENTICATION)
    assert "not used yet" not in page.split(new[:4], 1)[1].split("</tr>", 1)[0]
    panel.done(AUTHENTICATION, action="revoke", id=secret_ids(panel)[1], endSessions="1")


@pytest.mark.parametrize("grace", ["", "-1", "5", "x"])
def test_grace_that_is_no_choice_rotates_nothing(grace: str, panel: Panel) -> None:
    before = secret_ids(panel)
    assert panel.post(AUTHENTICATION, action="rotate", gracePeriodSeconds=grace).status_code == 422
    assert secret_ids(panel) == before


def test_revoking_says_what_it_will_do_and_replaces_in_one_step(panel: Panel) -> None:
    old, _ = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    [secret_id, *_] = secret_ids(panel)
    question = panel.page(AUTHENTICATION, revoke=secret_id)
    assert "It is the current secret: until your backend has a new one" in question

    fields = {"action": "revoke", "id": secret_id, "replace": "1", "endSessions": "1"}
    new, address = panel.secret_made(AUTHENTICATION, **fields)
    assert accepts(panel.site, new)
    assert not accepts(panel.site, old)

    # The button pressed twice: the secret that was shown stays good.
    assert panel.done(AUTHENTICATION, **fields) == f"{AUTHENTICATION}?done=secret-revoked"
    assert panel.secret_at(address) == new
    assert accepts(panel.site, new)


def test_without_a_current_secret_the_page_says_so(panel: Panel) -> None:
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    panel.done(AUTHENTICATION, action="revoke", id=secret_ids(panel)[0])
    assert "There is no current secret" in panel.page(AUTHENTICATION)
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    assert "There is no current secret" not in panel.page(AUTHENTICATION)


def test_revoking_what_is_no_secret_is_told_on_the_page(panel: Panel) -> None:
    response = panel.post(AUTHENTICATION, action="revoke", id="nothing", replace="1")
    assert response.status_code == 404
    assert "There is no JWT secret with this id." in response.text
    assert "Email login (default)" in response.text


def test_switch_of_the_method(panel: Panel) -> None:
    try:
        assert panel.done(AUTHENTICATION, action="disable") == f"{AUTHENTICATION}?done=jwt-disabled"
        assert "Enable JWT sign-in" in panel.page(AUTHENTICATION)
    finally:
        assert panel.done(AUTHENTICATION, action="enable") == f"{AUTHENTICATION}?done=jwt-enabled"
    assert "with the secrets it had" in panel.page(AUTHENTICATION, done="jwt-enabled")


def secret_ids(panel: Panel) -> list[str]:
    """Newest first."""
    return [secret.id for secret in panel.site.call(lambda _: list_secrets())]


# ---------------------------------------------------------------- policy and email login


def test_policy_makes_the_round_trip(panel: Panel) -> None:
    given = {
        "requireExpiry": "1",
        "singleUse": "1",
        "sessionEndsWithCode": "1",
        "emailLinking": "1",
        "maxLifetimeSeconds": "600",
        "clockSkewSeconds": "5",
        "issuer": 'https://"crm".example.com/<b>',
        "audience": "doorcode",
    }
    try:
        panel.done(AUTHENTICATION, action="policy", **given)
        page = panel.get(AUTHENTICATION).text.replace(" ", "")
        for name, value in given.items():
            shown = value.replace('"', "&#34;").replace("<", "&lt;").replace(">", "&gt;")
            expected = f'name="{name}"value="{shown}"' + ("checked" if value == "1" else "")
            assert expected in page, name
        assert "arelet" not in page
    finally:
        panel.done(AUTHENTICATION, **POLICY)
    page = panel.page(AUTHENTICATION)
    assert "Codes without <code>exp</code> are let in." in page
    policy = page.split('id="policy"', 1)[1]
    assert "checked" not in policy
    assert "600" not in policy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clockSkewSeconds", ""),
        ("clockSkewSeconds", "301"),
        ("clockSkewSeconds", "-1"),
        ("clockSkewSeconds", "1.5"),
        ("clockSkewSeconds", "²"),
        ("maxLifetimeSeconds", "soon"),
        ("maxLifetimeSeconds", "0"),
        ("maxLifetimeSeconds", "9" * 30),
    ],
)
def test_bad_number_is_told_on_the_page_and_changes_nothing(name: str, value: str, panel: Panel) -> None:
    before = panel.page(AUTHENTICATION)
    response = panel.post(AUTHENTICATION, **{**POLICY, "requireExpiry": "1", "issuer": "crm", name: value})
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    form = response.text.split('id="policy"', 1)[1]
    for typed in (
        f'name="{name}" value="{value}"',
        'name="issuer" value="crm"',
        'name="requireExpiry" value="1" checked',
    ):
        assert typed in form
    assert "Codes without <code>exp</code> are let in." in form, "what holds is what is saved"
    assert panel.page(AUTHENTICATION) == before


def test_email_login_makes_the_round_trip(panel: Panel) -> None:
    panel.done(AUTHENTICATION, action="email-login", enabled="1", open="1")
    assert 'name="open" value="1" checked' in panel.page(AUTHENTICATION)
    panel.done(AUTHENTICATION, action="email-login", enabled="1")
    assert 'name="open" value="1">' in panel.page(AUTHENTICATION)


# ---------------------------------------------------------------- the debugger


def test_debugger_stores_nothing_and_puts_the_code_into_no_address(panel: Panel) -> None:
    secret, _ = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    user = {"id": new_user_id(), "name": "Zoë O'Hara <b>"}
    good, bad = (
        jwt.encode({"user": user}, key, "HS256") for key in (secret, "another secret, as long as it has to be")
    )
    panel.get(DEBUGGER)
    before = panel.site.call(lambda _: everything())

    accepted, refused = panel.post(DEBUGGER, code=f" {good}\n"), panel.post(DEBUGGER, code=bad)

    assert [accepted.status_code, refused.status_code] == [200, 200]
    assert "It would create a user and sign it in" in accepted.text
    assert "Zoë O'Hara <b>" in words(accepted)
    assert "<b>" not in accepted.text.split('id="findings"', 1)[1].split("<pre", 2)[2]
    assert "It would be refused: INVALID_SIGNATURE" in refused.text
    assert panel.site.call(lambda _: everything()) == before
    log = panel.site.server.stderr_text() + panel.site.server.stdout_text()
    assert good not in log
    assert bad not in log
    assert "?" not in str(accepted.url)


def test_debugger_wants_a_code(panel: Panel) -> None:
    response = panel.post(DEBUGGER, code="  ")
    assert response.status_code == 422
    assert "Paste a code first." in response.text


@pytest.mark.parametrize("code", ["x", "a.b.c", "…", "x" * 19_000, "\ud83d\ude00", "eyJhbGciOiJub25lIn0.e30."])
def test_debugger_looks_into_anything(code: str, panel: Panel) -> None:
    response = panel.http.post(
        DEBUGGER,
        content=urlencode({"code": code}, errors="replace"),
        headers={**FROM_HERE, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200
    assert "It would be refused" in response.text


# ---------------------------------------------------------------- snippets


def test_snippets_have_this_services_own_address(panel: Panel) -> None:
    page = panel.page(f"{AUTHENTICATION}/snippets")
    assert f'<script defer data-external-auth-code="XXXXXX" src="{panel.site.server.url}/widget.js">' in page
    assert f"{panel.site.server.url}/?externalAuthCode=XXXXXX" in page
    assert f"curl {panel.site.server.url}/graphql" in page


# ---------------------------------------------------------------- users


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
    exported = list(csv.DictReader(io.StringIO(panel.get(f"{USERS}.csv", **asked).text)))
    assert [row["email"] for row in exported] == [f"{name}-{n:03}@example.com" for n in range(120)]


async def invite_many(pattern: str, number: int) -> None:
    """So many members."""
    for n in range(number):
        await invite_user(pattern.format(n), UserRole.MEMBER, SYSTEM)


def test_nobody_matches(panel: Panel) -> None:
    assert "Nobody matches" in panel.page(USERS, search=new_user_id())


@pytest.mark.parametrize("query", [{"after": "x"}, {"before": "x"}, {"search": "x" * 5_000}, {"search": "\0"}])
@pytest.mark.parametrize("path", [USERS, f"{USERS}.csv"])
def test_address_that_was_tampered_with_is_no_failure(path: str, query: dict[str, str], panel: Panel) -> None:
    assert panel.get(path, **query).status_code in {200, 422}


def test_filters_that_are_none_are_left_out(panel: Panel) -> None:
    assert panel.get(USERS, origin="x", status="x", role="x", order="x").status_code == 200


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
def test_export_defuses_formulas(first: str, panel: Panel) -> None:
    user_id = f'{first}cmd|" /C calc"!{new_user_id()}'
    sign_in_by_code(panel.site, user_id, name='Zoë, "Z"\n')
    response = panel.get(f"{USERS}.csv", search=user_id)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="users.csv"' in response.headers["content-disposition"]
    [row] = csv.DictReader(io.StringIO(response.text))
    assert row["id"] == row["externalId"] == f"'{user_id}"
    assert row["email"] == ""
    assert row["metadata"] == '{"name": "Zoë, \\"Z\\"\\n"}'


def test_export_streams_more_than_a_page(panel: Panel) -> None:
    name = new_user_id()
    panel.site.call(lambda _: invite_many(f"{name}-{{:03}}@example.com", 205))
    with panel.http.stream("GET", f"{USERS}.csv", params={"search": name}) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        rows = list(csv.DictReader(io.StringIO(response.read().decode())))
    assert len({row["email"] for row in rows}) == len(rows) == 205


@pytest.mark.parametrize(
    "user_id", ["a/b?c#d ü", " spaces around ", "100%&id=x", '"><b>bold</b>', "日本語", "../..", "+1 2"]
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
    assert panel.done(USER, action="delete", id=user_id, confirmation=user_id) == f"{USERS}?done=deleted"
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
    assert "Nobody is signed in as this user" not in panel.page(USER, id=user_id)
    panel.done(USER, action="deactivate", id=user_id)
    page = panel.page(USER, id=user_id)
    assert "Nobody is signed in as this user" in page
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
    assert "Nobody is signed in as this user" in panel.page(USER, id=user_id)


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
    assert 'name="email" value="boss@example.com"' in panel.post(USERS, email="boss@example.com").text
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
    user = panel.site.call(lambda _: invite_user(f"{new_user_id()}@example.com", UserRole.MEMBER, SYSTEM))
    panel.done(USER, action="set-role", id=user.id, role="ADMIN")
    assert "Make a member" in panel.page(USER, id=user.id)
    panel.done(USER, action="set-role", id=user.id, role="MEMBER")
    assert "Make an admin" in panel.page(USER, id=user.id)


def test_invitation_leads_to_the_new_user(panel: Panel) -> None:
    email = f"{new_user_id()}@example.com"
    page = panel.http.get(panel.done(USERS, email=email, role="MEMBER"))
    assert "Invited." in page.text
    assert email in page.text
    invited = panel.site.call(lambda _: find_by_email(email))
    assert invited
    page = panel.http.get(panel.done(USER, action="invite-again", id=invited.id))
    assert "Another invitation is on its way." in page.text
    again = panel.post(USERS, email="no address")
    assert again.status_code == 422
    assert 'role="alert"' in again.text


# ---------------------------------------------------------------- seats


def test_seats_that_are_taken_are_told_where_one_is_wanted(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    panel.done(USER, action="deactivate", id=user_id)
    try:
        assert panel.done("/admin/seats", limit="1") == "/admin/seats?done=limit-set"
        for path in (USERS, AUTHENTICATION, "/admin/audit", "/admin/api-keys", "/admin/seats", DEBUGGER):
            assert "No seat is left." in panel.page(path), path
        for path, fields in [
            (USERS, {"email": f"{new_user_id()}@example.com"}),
            (USER, {"action": "reactivate", "id": user_id}),
        ]:
            response = panel.post(path, **fields)
            assert response.status_code == 409
            assert 'role="alert"' in response.text
        assert "No seat is left." in panel.get(USER, id="nobody-at-all").text
    finally:
        panel.done("/admin/seats", limit="")
    assert "no limit" in panel.page("/admin/seats")
    assert "No seat is left." not in panel.page(USERS)


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


def test_api_key_is_shown_once_and_revoked(sit_down: Callable[..., Panel]) -> None:
    panel, name = sit_down(), new_user_id()
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
    assert sit_down().http.get(address).status_code == 404


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "k", "expires": "soon"}, {"name": "k", "expires": "2001-01-01"}]
)
def test_api_key_that_cannot_be_made_is_told_on_the_page(fields: dict[str, str], panel: Panel) -> None:
    response = panel.post("/admin/api-keys", **fields)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert "Make a key" in response.text


def test_audit_log_is_filtered_and_its_filters_stand_in_the_address(panel: Panel) -> None:
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
    only = panel.get("/admin/audit", userId=user_id, action="user.deactivated").text.split("<tbody>")[1]
    assert only.count("user.deactivated") == 30
    assert "user.reactivated" not in only
    for nothing in [{"from": "2999-01-01"}, {"until": "2001-01-01"}]:
        assert "No event matches." in panel.page("/admin/audit", userId=user_id, **nothing)
    for everything_ in [{"until": "2999-01-01"}, {"from": "2001-01-01"}, {"from": "x"}, {"until": "9999-12-31"}]:
        assert "user.reactivated" in panel.page("/admin/audit", userId=user_id, **everything_)


# ---------------------------------------------------------------- PostgreSQL


def test_the_same_on_postgresql(postgres_site: Site) -> None:
    panel = Panel.signed_in(postgres_site)
    with panel.http:
        for path in PAGES:
            assert panel.get(path).status_code == (404 if path.endswith(("/user", "/secret")) else 200), path
        secret, address = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
        assert panel.secret_at(address) == secret
        assert "It would create a user" in panel.post(DEBUGGER, code=jwt.encode({"user": {"id": "x"}}, secret)).text
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
    postgres_site.call(lambda _: set_seat_limit(None, SYSTEM))
