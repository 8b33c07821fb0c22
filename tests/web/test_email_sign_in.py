"""`/login`: email, then the code, on the members' cookie; plain forms that another site cannot send (contract §5)."""

import html
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from service.accounts import administration
from service.accounts.models import User, UserRole
from service.accounts.seats import set_seat_limit
from service.database import Statement, fetch, write
from service.email_login.configuration import update_configuration
from service.email_login.models import SignUpMode
from service.instance import Instance
from service.sessions.lifecycle import LiveSession, find_session
from tests.actions import TESTER, add_invited
from tests.mail_server import MailServer, code_in
from tests.site import Site, new_user_id, parameters, set_cookies
from tests.web.conftest import APP, PUBLIC

HERE = {"Sec-Fetch-Site": "same-origin"}
NOT_HERE: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Referer": "http://127.0.0.1/login"},
]


@pytest.fixture(scope="session")
def mails() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def new_email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def new_member(site: Site, role: UserRole = UserRole.MEMBER) -> User:
    return site.call(lambda _: add_invited(new_email(), role))


def ask(client: httpx2.Client, email: str | None, **fields: str) -> str:
    """Asks for a code as the page does; the request's id."""
    response = client.post("/login", data={"email": email or "", **fields}, headers=HERE)
    assert response.status_code == 303, response.text
    return parameters(response.headers["location"])["request"]


def forget_allowances(site: Site) -> None:
    """As when an hour has passed: all tests ask from one address."""
    site.call(lambda _: write(Statement("DELETE FROM email_code_allowances")))


def code_for(site: Site, email: str | None) -> str:
    """The code of the mail. The terminal has printed another one, so this makes a code whose digits are known."""

    async def replace(instance: Instance) -> str:
        [*_, row] = await fetch(Statement("SELECT id FROM email_codes WHERE email = $1 ORDER BY created_at"), email)
        hashed = instance.cipher.keyed_hash(f"email code\n{row['id']}\n246810")
        await write(Statement("UPDATE email_codes SET code_hash = $1 WHERE id = $2"), hashed, row["id"])
        return "246810"

    return site.call(replace)


def send_code(client: httpx2.Client, request_id: str, code: str, **fields: str) -> httpx2.Response:
    return client.post("/login/code", data={"request": request_id, "code": code, **fields}, headers=HERE)


def sign_in(client: httpx2.Client, site: Site, email: str | None, **fields: str) -> httpx2.Response:
    request_id = ask(client, email)
    response = send_code(client, request_id, code_for(site, email), **fields)
    assert response.status_code == 303, response.text
    return response


def session_of(site: Site, token: str | None) -> LiveSession | None:
    return site.call(lambda _: find_session(token)) if token else None


@contextmanager
def switched_off(site: Site) -> Iterator[None]:
    site.call(lambda _: update_configuration(TESTER, enabled=False))
    try:
        yield
    finally:
        site.call(lambda _: update_configuration(TESTER, enabled=True))


@pytest.fixture(autouse=True)
def _an_hour_later(request: pytest.FixtureRequest) -> None:
    for name in ("sqlite_site", "postgres_site", "app_site", "secure_site"):
        if name in request.fixturenames:
            forget_allowances(request.getfixturevalue(name))


# ---------------------------------------------------------------- signing in


def test_code_signs_in_on_the_members_cookie(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    response = sign_in(client, site, user.email)
    assert response.headers["location"] == "/"
    assert response.headers["cache-control"] == "no-store"
    cookie = set_cookies(response)["doorcode"]
    assert (cookie["samesite"], cookie["path"], "httponly" in cookie) == ("lax", "/", True)
    session = session_of(site, cookie[""])
    assert session
    assert session.user.serial == user.serial
    assert (session.method, session.token_transport) == ("EMAIL", "COOKIE")
    assert str(user.email) in client.get("/").text


def test_members_cookie_never_has_admin_rights(site: Site, client: httpx2.Client) -> None:
    boss = new_member(site, UserRole.ADMIN)
    sign_in(client, site, boss.email)
    session = session_of(site, client.cookies["doorcode"])
    assert session
    assert session.user.role is UserRole.ADMIN
    assert not session.has_admin_rights


def test_every_sign_in_is_a_new_session_and_ends_the_one_it_replaces(site: Site, client: httpx2.Client) -> None:
    first, second = new_member(site), new_member(site)
    tokens = []
    for user in (first, first, second):
        sign_in(client, site, user.email)
        tokens.append(client.cookies["doorcode"])
    assert len(set(tokens)) == 3
    assert [session_of(site, token) is not None for token in tokens] == [False, False, True]


def test_sign_in_replaces_the_session_of_a_code_too(site: Site, client: httpx2.Client) -> None:
    client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    before = client.cookies["doorcode"]
    sign_in(client, site, new_member(site).email)
    assert session_of(site, before) is None


def test_wrong_code_leaves_the_session_that_is(site: Site, client: httpx2.Client) -> None:
    sign_in(client, site, new_member(site).email)
    before = client.cookies["doorcode"]
    assert send_code(client, ask(client, new_member(site).email), "000000").status_code == 401
    assert session_of(site, before) is not None


def test_bearer_token_in_the_cookie_is_not_ended(site: Site) -> None:
    """The page does not end a BEARER session in the cookie, because an attacker may have planted it."""
    user = new_member(site)
    with site.client() as program:
        request_id = ask(program, user.email)
        query = "mutation ($r: ID!, $c: String!) { exchangeEmailCode(requestId: $r, code: $c) { ... on SessionGrant { token } } }"
        body = {"query": query, "variables": {"r": request_id, "c": code_for(site, user.email)}}
        bearer = program.post("/graphql", json=body).json()["data"]["exchangeEmailCode"]["token"]
    with site.client() as browser:
        browser.cookies.set("doorcode", bearer)
        sign_in(browser, site, user.email)
    assert session_of(site, bearer) is not None


@pytest.mark.parametrize("written", ["246 810", " 246810 ", "246-810", "24 68 10"])
def test_code_may_be_pasted_as_it_was_copied(sqlite_site: Site, written: str) -> None:
    user = new_member(sqlite_site)
    with sqlite_site.client() as client:
        request_id = ask(client, user.email)
        code_for(sqlite_site, user.email)
        assert send_code(client, request_id, written).status_code == 303


@pytest.mark.parametrize(
    ("return_to", "location"),
    [
        (None, f"{APP}/start"),
        ("/orders?a=b#c", f"{APP}/orders?a=b#c"),
        ("//evil.example", f"{APP}/"),
        ("https://evil.example", f"{APP}/"),
        ("/\\evil", f"{APP}/"),
        ("", f"{APP}/"),
    ],
)
def test_person_goes_on_to_where_they_wanted_to(app_site: Site, return_to: str | None, location: str) -> None:
    """`returnTo` comes along from page to page, by the rules of link login."""
    user = new_member(app_site)
    fields = {} if return_to is None else {"returnTo": return_to}
    with app_site.client() as client:
        form = client.get("/login", params=fields)
        assert _hidden(form, "returnTo") == return_to
        asked = client.post("/login", data={"email": str(user.email), **fields}, headers=HERE)
        page = client.get(asked.headers["location"])
        assert _hidden(page, "returnTo") == return_to
        code = code_for(app_site, user.email)
        signed_in = send_code(client, str(_hidden(page, "request")), code, **fields)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, location)


def _hidden(page: httpx2.Response, name: str) -> str | None:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', page.text)
    return html.unescape(found[1]) if found else None


def test_real_mail_carries_the_code(open_site: Any, mails: MailServer) -> None:
    site: Site = open_site(
        DOORCODE_SMTP_URL=f"smtp://127.0.0.1:{mails.port}", DOORCODE_MAIL_FROM="Door <door@example.com>"
    )
    user = new_member(site)
    with site.client() as client:
        request_id = ask(client, user.email)
        mail = mails.mail_to(str(user.email))
        assert mail["From"] == "Door <door@example.com>"
        assert send_code(client, request_id, code_in(mail)).status_code == 303
    assert str(user.email) not in site.server.stderr_text()
    assert code_in(mail) not in site.server.stderr_text()


# ---------------------------------------------------------------- the same for known and unknown addresses


def test_known_and_unknown_addresses_get_the_same_pages(site: Site) -> None:
    known, unknown = str(new_member(site).email), new_email()
    seen = []
    for email in (known, unknown):
        with site.client() as client:
            asked = client.post("/login", data={"email": email}, headers=HERE)
            location = asked.headers["location"]
            request_id = parameters(location)["request"]
            pages = [client.get(location), send_code(client, request_id, "000000"), send_code(client, "x", "000000")]
            seen.append(
                [
                    (page.status_code, _same(page.text, email, request_id), sorted(_same_headers(page)))
                    for page in (asked, *pages)
                ]
            )
    assert seen[0] == seen[1]


def _same(text: str, email: str, request_id: str) -> str:
    text = text.replace(email, "EMAIL").replace(request_id, "REQUEST")
    return re.sub(r"\d{1,2} \w+ \d{4}, \d\d:\d\d.UTC|\d{4}-\d\d-\d\dT[\d:.+]+|\b[0-9]{1,2}(?=</span>|\")", "TIME", text)


OF_ONE_ANSWER = ("date", "location", "content-length", "x-request-id")


def _same_headers(page: httpx2.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in page.headers.items() if name not in OF_ONE_ANSWER]


def test_code_page_promises_nothing(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"/login/code?request={ask(client, new_email())}").text
    assert "If <strong>" in page
    assert "may sign in here" in page


# ---------------------------------------------------------------- refusals, in plain words


@pytest.mark.parametrize("code", ["000000", "", "abc", "1234567"])
def test_wrong_code_says_so_and_asks_again(sqlite_site: Site, code: str) -> None:
    user = new_member(sqlite_site)
    with sqlite_site.client() as client:
        request_id = ask(client, user.email)
        page = send_code(client, request_id, code, returnTo="/x")
    assert page.status_code == 401
    assert "This code is not right, or no longer valid." in page.text
    assert str(user.email) in page.text
    assert _hidden(page, "request") == request_id
    assert _hidden(page, "returnTo") == "/x"
    assert "set-cookie" not in page.headers
    assert code == "" or f'value="{code}"' not in page.text


@pytest.mark.parametrize("request_id", ["", "unknown", "A" * 22, "<script>", "\x00"])
def test_request_that_is_over_asks_for_the_address_again(sqlite_site: Site, request_id: str) -> None:
    with sqlite_site.client() as client:
        pages = [client.get("/login/code", params={"request": request_id}), send_code(client, request_id, "123456")]
    assert [page.status_code for page in pages] == [401, 401]
    assert "That request is over. Ask for another code." in pages[0].text
    assert "This code is not right, or no longer valid." in pages[1].text
    for page in pages:
        assert 'name="email"' in page.text
        assert "<script>" not in page.text


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "<b>@", "a\nb@example.com", "x" * 300 + "@example.com"])
def test_what_is_no_address_is_told_and_kept(sqlite_site: Site, email: str) -> None:
    with sqlite_site.client() as client:
        page = client.post("/login", data={"email": email, "returnTo": "/x"}, headers=HERE)
    assert page.status_code == 400
    assert "This is not an email address." in page.text
    assert f'value="{html.escape(email)}"'.replace("&#x27;", "&#39;") in page.text
    assert _hidden(page, "returnTo") == "/x"


def test_too_many_requests_say_how_long_to_wait(sqlite_site: Site) -> None:
    email = new_email()
    with sqlite_site.client() as client:
        for _ in range(5):
            ask(client, email)
        page = client.post("/login", data={"email": email}, headers=HERE)
    assert page.status_code == 429
    assert 3500 < int(page.headers["retry-after"]) <= 3600
    assert "Too many failed tries. Wait 60 minutes, then try again." in page.text


def test_too_many_wrong_codes_say_how_long_to_wait(app_site: Site) -> None:
    user = new_member(app_site)
    address = {"X-Forwarded-For": "203.0.113.77"}
    with app_site.client() as client:
        client.headers.update(address)
        request_id = ask(client, user.email)
        code = code_for(app_site, user.email)
        page = [send_code(client, request_id, "000000") for _ in range(4)][-1]
        assert page.status_code == 429
        assert 1 <= int(page.headers["retry-after"]) <= 60
        assert "seconds, then try again." in page.text
        assert send_code(client, request_id, code).status_code == 429, "a right code waits, too"
        client.headers["X-Forwarded-For"] = "203.0.113.78"
        assert send_code(client, request_id, code).status_code == 303, "and was not spent"


def test_deactivated_person_is_told_after_the_right_code(sqlite_site: Site) -> None:
    new_member(sqlite_site, UserRole.ADMIN)
    user = new_member(sqlite_site)
    with sqlite_site.client() as client:
        request_id = ask(client, user.email)
        code = code_for(sqlite_site, user.email)
        sqlite_site.call(lambda _: administration.deactivate_user(user.id, TESTER))
        assert "deactivated" not in send_code(client, request_id, "000000").text
        page = send_code(client, request_id, code)
    assert page.status_code == 403
    assert "Your account has been deactivated" in page.text
    assert re.search(r"<code data-copied>[2-9A-HJ-NP-TV-Z]{10}</code>", page.text), "the reference"
    assert "set-cookie" not in page.headers


def test_full_instance_is_told_after_the_right_code(open_site: Any) -> None:
    site: Site = open_site()
    site.call(lambda _: update_configuration(TESTER, sign_up=SignUpMode.OPEN))
    site.call(lambda _: set_seat_limit(0, TESTER))
    email = new_email()
    with site.client() as client:
        request_id = ask(client, email)
        page = send_code(client, request_id, code_for(site, email))
    assert page.status_code == 403
    assert "All seats are taken" in page.text
    assert "Ask your administrator to free a seat" in page.text


def test_while_it_is_off_the_page_names_the_other_way(sqlite_site: Site) -> None:
    with sqlite_site.client() as client, switched_off(sqlite_site):
        page = client.get("/login")
        assert page.status_code == 200
        assert "link from your company" in page.text
        assert "<form" not in page.text
        for path, fields in (("/login", {"email": new_email()}), ("/login/code", {"request": "x", "code": "1"})):
            refused = client.post(path, data=fields, headers=HERE)
            assert refused.status_code == 403
            assert "Signing in by email is switched off" in refused.text


# ---------------------------------------------------------------- forms of other sites


@pytest.mark.parametrize("headers", NOT_HERE)
def test_form_of_another_site_asks_for_nothing(sqlite_site: Site, headers: dict[str, str]) -> None:
    email = str(new_member(sqlite_site).email)
    with sqlite_site.client() as client:
        page = client.post("/login", data={"email": email}, headers=headers)
    assert page.status_code == 403
    assert "You were not signed in" in page.text
    assert sqlite_site.call(lambda _: fetch(Statement("SELECT id FROM email_codes WHERE email = $1"), email)) == []


@pytest.mark.parametrize("headers", NOT_HERE)
def test_form_of_another_site_signs_nobody_in(sqlite_site: Site, headers: dict[str, str]) -> None:
    """Otherwise a page could sign its reader in as another user, and read what the reader writes there."""
    user = new_member(sqlite_site)
    with sqlite_site.client() as client:
        request_id = ask(client, user.email)
        code = code_for(sqlite_site, user.email)
        page = client.post("/login/code", data={"request": request_id, "code": code}, headers=headers)
        assert (page.status_code, "set-cookie" in page.headers) == (403, False)
        assert send_code(client, request_id, code).status_code == 303, "nor is anything used up"


def test_origin_alone_will_do(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        origin = {"Origin": sqlite_site.server.url}
        assert client.post("/login", data={"email": new_email()}, headers=origin).status_code == 303


# ---------------------------------------------------------------- together with link login


def test_form_with_a_code_of_another_system_is_link_login(site: Site, client: httpx2.Client) -> None:
    user_id = new_user_id()
    response = client.post("/login", data={"externalAuthCode": site.code_for(user_id), "email": new_email()})
    assert response.status_code == 303
    session = session_of(site, client.cookies["doorcode"])
    assert session
    assert session.user.id == user_id


@pytest.mark.parametrize("way", ["query", "form"])
def test_empty_code_of_another_system_is_link_login_too(sqlite_site: Site, way: str) -> None:
    with sqlite_site.client() as client:
        sent = {"externalAuthCode": ""}
        response = client.get("/login", params=sent) if way == "query" else client.post("/login", data=sent)
    assert response.headers["location"].startswith("/login/refused?error=MALFORMED_CODE")


def test_code_in_the_query_of_a_form_is_not_looked_for(sqlite_site: Site) -> None:
    user_id = new_user_id()
    with sqlite_site.client() as client:
        query = {"externalAuthCode": sqlite_site.code_for(user_id)}
        response = client.post("/login", params=query, data={"email": new_email()}, headers=HERE)
    assert response.headers["location"].startswith("/login/code?")
    assert sqlite_site.find(user_id) is None


# ---------------------------------------------------------------- the pages


def test_whoever_is_signed_in_reads_so(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    sign_in(client, site, user.email)
    page = client.get("/login").text
    assert "You are signed in" in page
    assert str(user.email) in page


def test_address_may_be_filled_in_by_a_link(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        page = client.get("/login", params={"email": '"><script>@example.com'}).text
    assert 'value="&#34;&gt;&lt;script&gt;@example.com"' in page


def test_code_field_is_filled_in_by_telephones(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"/login/code?request={ask(client, new_email())}").text
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page


def test_seconds_until_another_code_stand_on_the_page(sqlite_site: Site) -> None:
    email = new_email()
    with sqlite_site.client() as client:
        request_id = ask(client, email)
        page = client.get(f"/login/code?request={request_id}").text
        found = re.search(r'data-wait="(\d+)"', page)
        assert found
        assert 50 <= int(found[1]) <= 60
        age = "UPDATE email_codes SET created_at = $1 WHERE id = $2"
        sqlite_site.call(lambda _: write(Statement(age), "2020-01-01 00:00:00+00:00", request_id))
        assert "data-wait" not in client.get(f"/login/code?request={request_id}").text
        again = client.post("/login", data={"email": email}, headers=HERE)
    assert again.status_code == 303, "the button works at any time"


def test_pages_are_strict_and_let_the_browser_say_its_origin(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        form = client.get("/login")
        code = client.get(f"/login/code?request={ask(client, new_email())}")
    for page, script in ((form, ""), (code, "script-src 'self'; ")):
        assert page.headers["content-security-policy"] == (
            f"default-src 'none'; {script}style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        assert " on" not in re.sub(r">[^<]*<", "><", page.text).replace(" one-time", ""), "no inline script"


def test_cookie_on_https_is_for_the_domain(secure_site: Site) -> None:
    user = new_member(secure_site)
    with secure_site.client() as client:
        response = sign_in(client, secure_site, user.email)
    assert response.headers["location"] == f"{PUBLIC}/"
    cookie = set_cookies(response)["doorcode"]
    assert (cookie["domain"], "secure" in cookie) == ("example.test", True)


@pytest.mark.parametrize("path", ["/login", "/login/code?request=x", "/invitation?token=x"])
def test_looking_ahead_changes_nothing(sqlite_site: Site, path: str) -> None:
    with sqlite_site.client() as client:
        assert client.head(path).text == ""
        assert client.get(path, headers={"Sec-Purpose": "prefetch"}).status_code in (200, 401)


# ---------------------------------------------------------------- wrong codes and known browsers


def wrong_codes(site: Site, email: str | None, times: int) -> None:
    """Wrong codes, sent by clients that keep no cookie."""
    with site.client() as stranger:
        for _ in range(times // 5):
            forget_allowances(site)
            request_id = ask(stranger, email)
            code_for(site, email)
            for _ in range(5):
                assert send_code(stranger, request_id, "000000").status_code == 401


def forget_networks(site: Site) -> None:
    """All tests come from one network."""
    site.call(lambda _: write(Statement("DELETE FROM known_clients WHERE kind = 'NETWORK'")))


def test_sign_in_makes_the_browser_known_by_a_cookie(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    request_id = ask(client, user.email)
    assert "doorcode-device" not in set_cookies(send_code(client, request_id, "000000"))
    first = set_cookies(sign_in(client, site, user.email))["doorcode-device"]
    assert (first["samesite"], first["path"], "httponly" in first) == ("lax", "/", True)
    assert first["max-age"] == str(400 * 24 * 3600)
    assert "domain" not in first
    again = set_cookies(sign_in(client, site, new_member(site).email))["doorcode-device"]
    assert again[""] == first[""], "one cookie for every address that signs in with this browser"


def test_cookie_of_the_browser_is_bound_to_the_host_on_https(secure_site: Site) -> None:
    user = new_member(secure_site)
    with secure_site.client() as client:
        cookie = set_cookies(sign_in(client, secure_site, user.email))["__Host-doorcode-device"]
    assert ("secure" in cookie, "domain" in cookie, cookie["path"]) == (True, False, "/")


def test_known_browser_does_not_wait_for_wrong_codes_of_others(site: Site, client: httpx2.Client) -> None:
    user = new_member(site)
    sign_in(client, site, user.email)
    forget_networks(site)
    wrong_codes(site, user.email, 15)
    forget_allowances(site)
    with site.client() as stranger:
        page = send_code(stranger, ask(stranger, user.email), code_for(site, user.email))
    assert (page.status_code, page.headers["retry-after"]) == (429, "60")
    assert "Too many failed tries. Wait 60 seconds, then try again." in page.text
    forget_allowances(site)
    assert sign_in(client, site, user.email).status_code == 303


def test_planted_cookie_of_another_form_is_ignored_and_replaced(site: Site) -> None:
    user = new_member(site)
    with site.client() as browser:
        browser.cookies.set("doorcode-device", "dcd_short")
        cookie = set_cookies(sign_in(browser, site, user.email))["doorcode-device"]
    assert re.fullmatch(r"dcd_[A-Za-z0-9_-]{43}", cookie[""])
