"""The panel's pages about codes: secrets, the policy, email sign-in, the debugger and the snippets."""

import re
import time
from collections.abc import Callable
from urllib.parse import urlencode

import jwt
import pytest

from service.external_auth.secrets import list_secrets
from tests.actions import everything
from tests.site import new_user_id
from tests.web.admin.panel import AUTHENTICATION, DEBUGGER, FROM_HERE, POLICY, Panel, accepts, words


def test_recommended_values_are_shown_before_they_are_set(panel: Panel) -> None:
    recommended = f"{AUTHENTICATION}/recommended"
    page = panel.page(recommended)
    assert "RFC 8725" in page
    assert page.count('name="field"') == 3  # the others are met already, or have no value that fits every backend
    try:
        assert panel.done(recommended, field="requireExpiry") == f"{AUTHENTICATION}?done=policy-updated"
        page = panel.page(recommended)
        assert 'value="requireExpiry"' not in page
        assert 'value="maxLifetimeSeconds"' in page
    finally:
        panel.done(AUTHENTICATION, **POLICY)


def test_secret_has_a_name_and_a_note_wherever_it_is_shown(panel: Panel) -> None:
    secret_id = panel.page(AUTHENTICATION).split("?describe=", 1)[1].partition("#")[0]
    panel.done(AUTHENTICATION, action="describe", id=secret_id, name="CRM, <b>", note="line 1\nline 2")
    try:
        assert "CRM, <b>" in panel.page(AUTHENTICATION)
        assert "line 1\nline 2" in panel.page(AUTHENTICATION)
        assert "CRM, <b>" in panel.page("/admin")
        assert "CRM, <b>" in panel.page(f"{AUTHENTICATION}/leaked", id=secret_id)
        assert ">CRM, <b></a>" in panel.page("/admin/audit", secretId=secret_id)
    finally:
        panel.done(AUTHENTICATION, action="describe", id=secret_id, name="", note="")


def test_secrets_that_no_longer_work_are_hidden_until_they_are_asked_for(panel: Panel) -> None:
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    page = panel.page(AUTHENTICATION)
    assert "no longer work" in page
    assert 'class="badge retired"' not in page
    assert 'class="badge retired"' in panel.page(AUTHENTICATION, ended="1")


def test_secret_survives_reload_and_is_not_rotated_again(panel: Panel) -> None:
    secret, address = panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    number = len(panel.site.call(lambda _: list_secrets()))
    assert [panel.secret_at(address) for _ in range(3)] == [secret] * 3
    assert len(panel.site.call(lambda _: list_secrets())) == number
    assert accepts(panel.site, secret)
    assert secret not in address


def test_secret_is_shown_to_nobody_else(open_panel: Callable[..., Panel]) -> None:
    secret, address = open_panel().secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="0")
    for other in (open_panel("other@example.com"), open_panel()):
        response = other.http.get(address)
        assert response.status_code == 404
        assert "can no longer be shown" in response.text
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
    assert "It is the current secret: users cannot sign in with a code until your backend has a new one" in question

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
    assert "Its secrets are the same as before" in panel.page(AUTHENTICATION, done="jwt-enabled")


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
        "trustEmails": "1",
        "groupsMember": "roles",
        "sharedMetadata": "plan",
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
    assert "Codes without <code>exp</code> are accepted." in page
    policy = page.split('id="policy"', 1)[1]
    assert re.findall(r'name="(\w+)"[^>]* checked', policy) == ["trustEmails"]
    assert "600" not in policy


def test_sign_in_pages_make_the_round_trip(panel: Panel) -> None:
    given = {
        "signInUrl": "https://crm.example.com/login?a=<b>&c=",
        "signOutUrl": "https://crm.example.com/bye",
        "startAutomatically": "1",
        "requireState": "1",
    }
    try:
        panel.done(AUTHENTICATION, action="sign-in", **given)
        form = panel.get(AUTHENTICATION).text.split('id="sign-in"', 1)[1]
        for name, value in given.items():
            shown = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            assert f'name="{name}" value="{shown}"' + (" checked" if value == "1" else "") in form, name
        refused = panel.post(AUTHENTICATION, action="sign-in", **{**given, "signInUrl": "http://crm.example.com/"})
        assert refused.status_code == 422
        assert "The sign-in page must be an https URL" in refused.text
        assert 'value="http://crm.example.com/"' in refused.text, "what was typed stays"
    finally:
        panel.done(AUTHENTICATION, action="sign-in", signInUrl="", signOutUrl=" ")
    form = panel.page(AUTHENTICATION).split('id="sign-in"', 1)[1].split('id="policy"', 1)[0]
    assert "checked" not in form
    assert "crm.example.com" not in form


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
    assert "Codes without <code>exp</code> are accepted." in form, "what holds is what is saved"
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
        jwt.encode({"user": user, "iat": time.time()}, key, "HS256")
        for key in (secret, "another secret, as long as it has to be")
    )
    panel.get(DEBUGGER)
    before = panel.site.call(lambda _: everything()) | {"audit_events": []}

    accepted, refused = panel.post(DEBUGGER, code=f" {good}\n"), panel.post(DEBUGGER, code=bad)

    assert [accepted.status_code, refused.status_code] == [200, 200]
    assert "The code would create a user and sign it in" in accepted.text
    assert "Zoë O'Hara <b>" in words(accepted)
    assert "<b>" not in accepted.text.split('id="findings"', 1)[1].split("<pre", 2)[2]
    assert "The code would be refused: INVALID_SIGNATURE" in refused.text
    after = panel.site.call(lambda _: everything())
    assert after | {"audit_events": []} == before
    assert not [event for event in after["audit_events"] if good in str(event) or bad in str(event)]
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
    assert "The code would be refused" in response.text


# ---------------------------------------------------------------- snippets


def test_snippets_have_this_services_own_address(panel: Panel) -> None:
    page = panel.page(f"{AUTHENTICATION}/snippets")
    assert f'<script defer data-external-auth-code="XXXXXX" src="{panel.site.server.url}/widget.js">' in page
    assert f"{panel.site.server.url}/?externalAuthCode=XXXXXX" in page
    assert f"curl {panel.site.server.url}/graphql" in page


def test_existing_users_only_and_domains_make_the_round_trip(panel: Panel) -> None:
    panel.done(AUTHENTICATION, **POLICY, existingOnly="1")
    assert re.search(r'name="existingOnly" value="1" checked', panel.page(AUTHENTICATION))
    panel.done(AUTHENTICATION, **POLICY)
    assert not re.search(r'name="existingOnly" value="1" checked', panel.page(AUTHENTICATION))
    email_login = {"action": "email-login", "enabled": "1"}
    panel.done(AUTHENTICATION, **email_login, allowedDomains="Example.com\n*.example.com")
    assert ">example.com\n*.example.com</textarea>" in panel.page(AUTHENTICATION)
    refused = panel.post(AUTHENTICATION, **email_login, allowedDomains="a@example.com")
    assert refused.status_code == 422
    assert "The list of domains has an entry that is no domain." in words(refused)
    panel.done(AUTHENTICATION, **email_login, allowedDomains="")


def test_all_links_are_made_invalid(panel: Panel) -> None:
    panel.done(AUTHENTICATION, action="revoke-codes")
    assert "Links that were made before" in panel.page(AUTHENTICATION)


@pytest.mark.parametrize(("value", "shown"), [(1795606428, "2026-11-25 11:33:48 UTC"), (1e300, None), ("soon", None)])
def test_inspection_shows_the_times_of_a_code_as_dates(value: object, shown: str | None, panel: Panel) -> None:
    code = jwt.encode({"user": {"id": "x"}, "iat": value}, "k" * 32)
    page = panel.post(DEBUGGER, code=code)
    assert page.status_code == 200
    assert ("data-seconds" in page.text) is (shown is not None)
    assert shown is None or shown in page.text
