"""The widget in Chromium, on a page of another site: signing in, what is kept, events, the queue."""

import time

import jwt
import pytest
from playwright.sync_api import Page

from service.accounts.administration import deactivate_user
from service.external_auth.configuration import update_sign_in
from tests.actions import TESTER
from tests.browser.frontend import Frontend
from tests.browser.widget import events, hold, is_live, operations_sent, wait_for
from tests.site import Site, new_user_id


def test_code_in_the_attribute_signs_in(page: Page, shop: Frontend, site: Site) -> None:
    user_id = new_user_id()
    code = site.sign({"user": {"id": user_id, "email": f"{user_id}@example.com", "plan": "gold"}})

    page.goto(shop.show_widget(site.server.url, code))
    session = wait_for(page, "ready")

    assert session["user"] == {
        "id": user_id,
        "externalId": user_id,
        "email": f"{user_id}@example.com",
        "metadata": {"plan": "gold"},
        "origin": "EXTERNAL_JWT",
    }
    assert session["newUser"] is True
    assert is_live(site, session["token"])
    assert events(page) == ["ready"]


def test_session_lasts_an_hour(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    session = wait_for(page, "ready")

    lifetime = page.evaluate("s => Date.parse(s.expiresAt) - Date.parse(s.createdAt)", session)
    assert lifetime == pytest.approx(3_600_000, abs=60_000)


def test_attribute_is_gone_before_the_exchange_has_an_answer(page: Page, shop: Frontend, site: Site) -> None:
    held = hold(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    page.wait_for_function("window.Doorcode")

    assert page.locator("script[src]").count() == 1
    assert page.locator("[data-external-auth-code]").count() == 0
    assert events(page) == []
    held[0].continue_()
    wait_for(page, "ready")


def test_nothing_is_kept_but_in_memory(page: Page, shop: Frontend, site: Site) -> None:
    """The widget ignores a session that a link left in this browser's cookies."""
    page.goto(f"{site.server.url}/?externalAuthCode={site.code_for(new_user_id())}")
    before = page.context.storage_state(indexed_db=True)
    sent = []
    page.on("request", lambda request: sent.append(request.all_headers()) if "/graphql" in request.url else None)

    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    wait_for(page, "ready")

    assert page.context.storage_state(indexed_db=True) == before
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert sent
    assert not [headers for headers in sent if "cookie" in headers]


def test_every_page_load_verifies_afresh(page: Page, shop: Frontend, site: Site) -> None:
    user_id = new_user_id()
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id)))
    first = wait_for(page, "ready")
    site.call(lambda _: deactivate_user(user_id, TESTER))

    page.reload()
    error = wait_for(page, "error")

    assert error["code"] == "USER_DEACTIVATED"
    assert not is_live(site, first["token"])


def test_refused_code_is_an_error_event(page: Page, shop: Frontend, site: Site) -> None:
    sent = operations_sent(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id(), exp=1)))
    error = wait_for(page, "error")

    assert error["code"] == "CODE_EXPIRED"
    assert "expired" in error["message"]
    assert len(error["reference"]) == 10
    assert error["retryable"] is False
    assert page.evaluate("Doorcode.getSession()") is None
    assert page.evaluate("Doorcode.getAccessToken()") is None
    assert len(sent) == 1


def test_events_say_where_a_person_signs_in_again(page: Page, shop: Frontend, site: Site) -> None:
    sign_in_url = "https://crm.example.com/login?a=b"
    site.call(lambda _: update_sign_in({"sign_in_url": sign_in_url}, TESTER))
    try:
        page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
        assert "signInUrl" not in wait_for(page, "ready")
        page.evaluate("Doorcode.authenticate('junk').catch(() => {})")
        assert wait_for(page, "error")["signInUrl"] == sign_in_url
        page.route("**/graphql", lambda route: route.abort())
        error = page.evaluate("Doorcode.authenticate('junk2').catch(error => ({...error}))")
        assert (error["code"], error["signInUrl"]) == ("NETWORK_ERROR", sign_in_url)
    finally:
        site.call(lambda _: update_sign_in({"sign_in_url": None}, TESTER))


def test_expired_event_says_where_a_person_signs_in_again(page: Page, shop: Frontend, site: Site) -> None:
    sign_in_url = "https://crm.example.com/login"
    site.call(lambda _: update_sign_in({"sign_in_url": sign_in_url}, TESTER))
    try:
        with site.policy(session_ends_with_code=True):
            page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id(), exp=int(time.time()) + 2)))
            assert wait_for(page, "expired") == {"signInUrl": sign_in_url}
    finally:
        site.call(lambda _: update_sign_in({"sign_in_url": None}, TESTER))


def test_without_a_code_nothing_happens_until_authenticate(page: Page, shop: Frontend, site: Site) -> None:
    user_id = new_user_id()
    sent = operations_sent(page)
    page.goto(shop.show_widget(site.server.url, None))

    assert page.evaluate("Doorcode.getSession()") is None
    assert sent == []
    session = page.evaluate("code => Doorcode.authenticate(code)", site.code_for(user_id))
    assert session["user"]["id"] == user_id
    assert page.evaluate("Doorcode.getSession()") == session
    assert events(page) == ["ready"]


def test_authenticate_rejects_with_what_the_event_says(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, None))

    failure = page.evaluate("Doorcode.authenticate('no code').catch(e => [e instanceof Error, {...e}])")

    assert failure[0] is True
    assert failure[1] == wait_for(page, "error")
    assert failure[1]["code"] == "MALFORMED_CODE"


def test_calls_before_it_has_loaded_are_made_up_for(page: Page, shop: Frontend, site: Site) -> None:
    queue = """<script>
      (window.Doorcode = window.Doorcode || []).push(() => { throw new Error("of the page") });
      Doorcode.push(async doorcode => {
        doorcode.on("ready", ({user}) => (window.early = user.id));
        window.awaited = (await doorcode.getSession()).user.id;
      });
    </script>"""
    user_id = new_user_id()
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id), before=queue))
    page.wait_for_function("window.awaited && window.early")

    assert page.evaluate("[early, awaited]") == [user_id, user_id]
    page.evaluate("Doorcode.push(({getSession}) => (window.late = getSession))")
    assert page.evaluate("late == Doorcode.getSession")


@pytest.mark.parametrize("name", ["ready", "doorcode:ready"])
def test_on_replays_what_has_happened(page: Page, shop: Frontend, site: Site, name: str) -> None:
    user_id = new_user_id()
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id)))
    wait_for(page, "ready")

    page.evaluate("name => { window.heard = []; window.stop = Doorcode.on(name, s => heard.push(s.user.id)) }", name)
    page.wait_for_function("heard.length")
    page.evaluate("code => Doorcode.authenticate(code)", site.code_for(user_id, jti="1"))
    assert page.evaluate("heard") == [user_id, user_id]

    page.evaluate("stop()")
    page.evaluate("code => Doorcode.authenticate(code)", site.code_for(user_id, jti="2"))
    assert page.evaluate("heard") == [user_id, user_id]


def test_on_does_not_replay_what_no_longer_holds(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, None))
    page.evaluate("Doorcode.authenticate('no code').catch(() => {})")
    page.evaluate("code => Doorcode.authenticate(code)", site.code_for(new_user_id()))
    page.evaluate("Doorcode.signOut()")

    page.evaluate("""async () => {
      window.heard = [];
      for (const name of ["ready", "error", "signout"]) Doorcode.on(name, () => heard.push(name));
      await new Promise(done => setTimeout(done, 50));
    }""")
    assert page.evaluate("heard") == ["signout"]


def test_access_token_is_one_for_other_services(page: Page, shop: Frontend, site: Site) -> None:
    user_id = new_user_id()
    sent = operations_sent(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(user_id)))

    first, second = page.evaluate("Promise.all([Doorcode.getAccessToken(), Doorcode.getAccessToken()])")

    assert first == second
    assert len(sent) == 1
    key = jwt.PyJWKClient(f"{site.server.url}/.well-known/jwks.json").get_signing_key_from_jwt(first)
    claims = jwt.decode(first, key, ["ES256"], audience="doorcode", issuer=site.server.url)
    assert claims["sub"] == user_id


def test_second_script_of_a_page_hands_its_code_to_the_first(page: Page, shop: Frontend, site: Site) -> None:
    """As where a page's body is exchanged without a page load."""
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    wait_for(page, "ready")
    page.evaluate("window.api = Doorcode")

    user_id = new_user_id()
    page.evaluate(
        """([src, code]) => new Promise(done => {
          const script = document.createElement("script");
          Object.assign(script, {src, onload: done});
          script.dataset.externalAuthCode = code;
          document.body.append(script);
        })""",
        [f"{site.server.url}/widget.js", site.code_for(user_id)],
    )

    assert page.evaluate("Doorcode.getSession()")["user"]["id"] == user_id
    assert page.evaluate("api == Doorcode")
    assert page.locator("[data-external-auth-code]").count() == 0


def test_strict_content_security_policy_needs_the_origin_twice(page: Page, shop: Frontend, site: Site) -> None:
    """As the guide says: the script, and what it asks."""
    here = site.server.url
    policy = f"default-src 'none'; script-src {here}; connect-src {here}"
    code = site.code_for(new_user_id())
    page.goto(
        shop.show(
            f'<script defer data-external-auth-code="{code}" src="{here}/widget.js"></script>',
            "/strict",
            Content_Security_Policy=policy,
        )
    )

    assert page.evaluate("Doorcode.getSession()")["newUser"] is True


def test_service_workers_and_scripts_with_integrity_can_load_it(page: Page, shop: Frontend, site: Site) -> None:
    """`crossorigin` asks for CORS headers on the script itself, as `integrity` needs."""
    page.goto(
        shop.show(
            f'<script defer crossorigin src="{site.server.url}/widget.js"></script>',
            Cross_Origin_Embedder_Policy="require-corp",
        )
    )

    assert page.evaluate("typeof Doorcode.getSession") == "function"
