"""A refused link login (contract §5): a page without the code in its address, in plain words, with the reference."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from service.accounts.administration import deactivate_user
from service.accounts.seats import count_seats, set_seat_limit
from service.audit.log import Actor
from service.email_login.configuration import update_configuration
from service.errors import new_reference
from service.external_auth import codes, secrets
from service.refusal_texts import REFUSAL_TEXTS, SignInErrorCode
from service.web.sign_in import refused
from tests.actions import TESTER
from tests.site import Site, new_user_id, parameters


@dataclass
class Attempt:
    """A code that will be refused, and whom it would make."""

    site: Site
    user_id: str = field(default_factory=new_user_id)

    def code(self, **claims: Any) -> str:
        """A code for the new user, with other claims added."""
        return self.site.code_for(self.user_id, **claims)


@contextmanager
def full(site: Site) -> Iterator[None]:
    """No seat is free within the block."""

    async def limit(to_what_is_used: bool) -> None:
        await set_seat_limit((await count_seats()).used if to_what_is_used else None, TESTER)

    site.call(lambda _: limit(True))
    try:
        yield
    finally:
        site.call(lambda _: limit(False))


@contextmanager
def disabled(site: Site) -> Iterator[None]:
    """The method is off within the block."""
    site.call(lambda _: secrets.disable(TESTER))
    try:
        yield
    finally:
        site.call(lambda instance: secrets.enable(instance.cipher, TESTER))


def email_of_another(attempt: Attempt) -> str:
    """A code for a new ID with the email of another user."""
    email = f"{new_user_id()}@example.test"
    holder = {"user": {"id": new_user_id(), "email": email}}
    with attempt.site.client() as client:
        client.get("/", params={"externalAuthCode": attempt.site.sign(holder)})
    return attempt.site.sign({"user": {"id": attempt.user_id, "email": email}})


def deactivated(attempt: Attempt) -> str:
    """A code for a user who is deactivated."""
    code = attempt.site.code_for(user_id := new_user_id())
    with attempt.site.client() as client:
        client.get("/", params={"externalAuthCode": code})
    attempt.site.call(lambda _: deactivate_user(user_id, TESTER))
    return code


REFUSED: dict[str, tuple[int, Callable[[Attempt], str]]] = {
    "MALFORMED_CODE": (401, lambda attempt: attempt.code()[:40]),
    "INVALID_SIGNATURE": (401, lambda attempt: codes.sign({"user": {"id": attempt.user_id}}, "x" * 43, "jws_unknown")),
    "CODE_EXPIRED": (401, lambda attempt: attempt.code(exp=int(time.time()) - 120)),
    "CODE_NOT_YET_VALID": (401, lambda attempt: attempt.code(nbf=int(time.time()) + 120)),
    "INVALID_CLAIMS": (401, lambda attempt: attempt.site.sign({"user": {"id": "undefined"}})),
    "UNKNOWN_USER": (401, lambda attempt: attempt.site.sign({"id": attempt.user_id})),
    "EMAIL_TAKEN": (403, email_of_another),
    "USER_DEACTIVATED": (403, deactivated),
    "SEAT_LIMIT_REACHED": (403, lambda attempt: attempt.code()),
    "EXTERNAL_AUTH_DISABLED": (403, lambda attempt: attempt.code()),
}
STATES = {"SEAT_LIMIT_REACHED": full, "EXTERNAL_AUTH_DISABLED": disabled}


@pytest.mark.parametrize("error", REFUSED)
def test_refusal_leads_to_a_page_that_says_why(site: Site, client: httpx2.Client, error: str) -> None:
    status, make_code = REFUSED[error]
    attempt = Attempt(site)
    code = make_code(attempt)
    if state := STATES.get(error):
        with state(site):
            response = client.get("/", params={"externalAuthCode": code, "returnTo": "/x"})
    else:
        response = client.get("/", params={"externalAuthCode": code, "returnTo": "/x"})

    assert response.status_code == 303
    assert "set-cookie" not in response.headers
    location = response.headers["location"]
    assert parameters(location).keys() - {"returnTo"} == {"error", "reference"}
    assert ("returnTo" in parameters(location)) == (SignInErrorCode(error) in refused._EMAIL_HELPS), (
        "where email login helps"
    )
    assert parameters(location)["error"] == error
    assert location.startswith("/login/refused?")

    page = client.get(location)
    assert page.status_code == status
    assert parameters(location)["reference"] in page.text
    assert error in page.text
    assert site.find(attempt.user_id) is None


def test_link_is_refused_before_anybody_is_asked_to_continue(site: Site, client: httpx2.Client) -> None:
    """Single use or not: where the method is off there is nothing to press a button for."""
    with site.policy(single_use=True), disabled(site):
        response = client.get("/", params={"externalAuthCode": site.code_for(new_user_id(), jti=new_user_id())})
    assert parameters(response.headers["location"])["error"] == "EXTERNAL_AUTH_DISABLED"


def test_refusal_is_logged_with_its_code_reference_and_address(site: Site) -> None:
    """From an address that no other test uses: equal refusals of one address and minute are one line."""
    transport = httpx2.HTTPTransport(local_address="127.0.0.77")
    with httpx2.Client(base_url=site.server.url, transport=transport) as client:
        location = client.post("/login", data={"externalAuthCode": "x"}).headers["location"]
    lines = [json.loads(line) for line in site.server.stderr_text().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("reference") == parameters(location)["reference"]]
    assert (line["code"], line["ip"]) == ("MALFORMED_CODE", "127.0.0.77")


def test_too_many_failures_of_an_address_are_told_how_long_to_wait(app_site: Site) -> None:
    forged = codes.sign({"id": "1"}, "x" * 43, "jws_unknown")
    one, other = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
    with app_site.client() as client:

        def location_for(code: str, headers: dict[str, str]) -> str:
            return str(client.get("/", params={"externalAuthCode": code}, headers=headers).headers["location"])

        errors = [parameters(location_for(forged, one))["error"] for _ in range(3)]
        assert errors == ["INVALID_SIGNATURE"] * 3
        held_up = location_for(forged, one)
        assert parameters(held_up)["error"] == "TOO_MANY_ATTEMPTS"
        page = client.get(held_up)
        assert page.status_code == 429
        assert 1 <= int(page.headers["retry-after"]) <= 60
        assert page.headers["retry-after"] == parameters(held_up)["retryAfter"]
        assert parameters(location_for(forged, other))["error"] == "INVALID_SIGNATURE"
        genuine = location_for(app_site.code_for(new_user_id()), one)
        assert "refused" not in genuine  # a code whose signature holds is never held up


def test_every_refusal_has_its_words() -> None:
    assert set(REFUSAL_TEXTS) == set(SignInErrorCode)


def test_every_reference_is_shown() -> None:
    assert all(refused._REFERENCE.fullmatch(new_reference()) for _ in range(1_000))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "error=CODE_EXPIRED",
        "reference=ABCDEFGHJK",
        "error=code_expired&reference=ABCDEFGHJK",
        "error=EMAIL_LOGIN_DISABLED&reference=ABCDEFGHJK",
        "error=INVALID_EMAIL_CODE&reference=ABCDEFGHJK",
        "error=<b>&reference=ABCDEFGHJK",
        "error=CODE_EXPIRED&reference=<b>",
        "error=CODE_EXPIRED&reference=call+555+0100",
        "error=CODE_EXPIRED&reference=ABCDEFGHJK%0A",
        "error=CODE_EXPIRED&reference=ABCDEFGHJKL",
        "error=CODE_EXPIRED&reference=%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3%D9%A3",
    ],
)
def test_page_shows_nothing_that_no_refusal_could_have_said(sqlite_site: Site, query: str) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"/login/refused?{query}", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "<b>" not in page.text
    assert "555" not in page.text


@pytest.mark.parametrize("wait", ["0", "-1", "1e9", "99999999", "x", "1%0D%0AX-Y:z"])
def test_wait_that_no_refusal_could_have_asked_for_is_left_out(sqlite_site: Site, wait: str) -> None:
    with sqlite_site.client() as client:
        query = f"error=TOO_MANY_ATTEMPTS&reference=ABCDEFGHJK&retryAfter={wait}"
        page = client.get(f"/login/refused?{query}")
    assert page.status_code == 429
    assert "retry-after" not in page.headers


@pytest.mark.parametrize("cut", [1, 2, 3, 20, 42])
def test_link_that_was_cut_off_is_called_incomplete(site: Site, client: httpx2.Client, cut: int) -> None:
    """Anyone sees this by the length of the code, so it tells nothing of the secret: a whole code of a stranger is not."""
    for code in (Attempt(site).code(), codes.sign({"id": "1"}, "x" * 43, "jws_unknown")):
        location = client.get("/", params={"externalAuthCode": code[:-cut]}).headers["location"]
        assert parameters(location)["error"] == "INVALID_SIGNATURE"
        page = client.get(location)
        assert page.status_code == 401
        assert "This sign-in link is incomplete" in page.text
    whole = client.get("/", params={"externalAuthCode": codes.sign({"id": "1"}, "x" * 43, "jws_unknown")})
    assert "incomplete" not in client.get(whole.headers["location"]).text


@pytest.mark.parametrize(
    ("seconds", "words"), [("1", "1 second"), ("42", "42 seconds"), ("150", "3 minutes"), ("7200", "2 hours")]
)
def test_page_says_when_the_next_try_may_be(sqlite_site: Site, seconds: str, words: str) -> None:
    with sqlite_site.client() as client:
        page = client.get(f"/login/refused?error=TOO_MANY_ATTEMPTS&reference=ABCDEFGHJK&retryAfter={seconds}")
        assert f"<span data-left>{words}</span>" in page.text
        assert (
            "data-left"
            not in client.get(f"/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK&retryAfter={seconds}").text
        )


def test_page_tells_when_the_sign_in_was_refused(site: Site, client: httpx2.Client) -> None:
    location = client.get("/", params={"externalAuthCode": "x"}).headers["location"]
    told = re.search(r'<time datetime="([^"]+)"', client.get(location).text)
    assert told
    assert abs(datetime.now(UTC) - datetime.fromisoformat(told[1])) < timedelta(minutes=2)


def test_email_login_that_is_off_is_not_offered(site: Site, client: httpx2.Client) -> None:
    address = "/login/refused?error=CODE_EXPIRED&reference=ABCDEFGHJK&returnTo=/x"
    assert 'href="/login?returnTo=%2Fx"' in client.get(address).text
    boss = Actor.of_user("usr_boss", None, may_change_admins=True)
    site.call(lambda _: update_configuration(boss, enabled=False))
    try:
        assert 'href="/login' not in client.get(address).text
    finally:
        site.call(lambda _: update_configuration(boss, enabled=True))
