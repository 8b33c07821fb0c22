"""Sign-ins and sign-outs in a row: the last one counts, and no session stays live without a holder."""

from playwright.sync_api import Page

from tests.browser.frontend import Frontend
from tests.browser.widget import events, eventually, hold, is_live, wait_for
from tests.site import Site, new_user_id


def test_sign_out_ends_the_session_at_the_server(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    session = wait_for(page, "ready")
    assert is_live(site, session["token"])

    assert page.evaluate("Doorcode.signOut()") is True

    assert not is_live(site, session["token"])
    assert events(page) == ["ready", "signout"]
    assert page.evaluate("Promise.all([Doorcode.getSession(), Doorcode.getAccessToken()])") == [None, None]
    assert page.evaluate("Doorcode.signOut()") is False


def test_sign_out_on_the_way_to_another_page_arrives(page: Page, shop: Frontend, site: Site) -> None:
    """The browser completes the request after the page is closed (`keepalive`)."""
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    session = wait_for(page, "ready")
    elsewhere = shop.show("<h1>Bye</h1>", "/bye")
    page.evaluate("""() => {
      const fetch = window.fetch;
      window.fetch = (url, how) => {
        sessionStorage.keepalive = how.keepalive;
        return fetch(url, how);
      };
    }""")

    page.evaluate("url => { Doorcode.signOut(); location.href = url }", elsewhere)
    page.get_by_role("heading", name="Bye").wait_for()
    assert page.evaluate("sessionStorage.keepalive") == "true"

    eventually(page, lambda: not is_live(site, session["token"]))


def test_sign_in_of_another_user_ends_the_previous_session(page: Page, shop: Frontend, site: Site) -> None:
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    first = wait_for(page, "ready")

    second = page.evaluate("code => Doorcode.authenticate(code)", site.code_for(new_user_id()))

    eventually(page, lambda: not is_live(site, first["token"]))
    assert is_live(site, second["token"])


def test_of_two_sign_ins_the_later_counts(page: Page, shop: Frontend, site: Site) -> None:
    """Even if the first answer comes last. No session stays live without a holder."""
    page.goto(shop.show_widget(site.server.url, None))
    held = hold(page)
    page.evaluate("code => { window.first = Doorcode.authenticate(code) }", site.code_for(new_user_id()))
    eventually(page, lambda: held)
    later = page.evaluate("code => Doorcode.authenticate(code)", site.code_for(new_user_id()))

    answer = held[0].fetch()
    token = answer.json()["data"]["exchangeExternalAuthCode"]["token"]
    held[0].fulfill(response=answer)

    assert page.evaluate("first") == later
    assert page.evaluate("Doorcode.getSession()") == later
    assert events(page) == ["ready"]
    eventually(page, lambda: not is_live(site, token))
    assert is_live(site, later["token"])


def test_sign_out_while_a_sign_in_is_under_way_holds(page: Page, shop: Frontend, site: Site) -> None:
    held = hold(page)
    page.goto(shop.show_widget(site.server.url, site.code_for(new_user_id())))
    eventually(page, lambda: held)
    page.evaluate("Doorcode.signOut()")

    answer = held[0].fetch()
    token = answer.json()["data"]["exchangeExternalAuthCode"]["token"]
    held[0].fulfill(response=answer)

    eventually(page, lambda: not is_live(site, token))
    assert page.evaluate("Doorcode.getSession()") is None
    assert events(page) == ["signout"]
