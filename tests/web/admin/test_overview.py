"""The first page of the panel."""

import html
import re

from service.audit.daily_counts import Counted, count_one
from service.external_auth.secrets import disable, enable, list_secrets, revoke
from service.instance import Instance
from tests.actions import TESTER
from tests.site import new_user_id, set_cookies
from tests.web.admin.panel import AUTHENTICATION, USER, Panel, sign_in_by_code, words

OVERVIEW = "/admin"


def test_new_user_is_shown(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)

    assert user_id in panel.page(OVERVIEW)


def test_secret_that_was_never_used_is_told(panel: Panel) -> None:
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="3600")

    page = panel.page(OVERVIEW)
    assert "not used yet" in page
    assert "Retiring" in page


def test_steps_are_shown_until_all_are_done(panel: Panel) -> None:
    """The site of these tests names no application, so one step stays."""
    page = panel.page(OVERVIEW)

    assert "Name your application" in page
    assert page.count('class="done"') >= 3


def test_sign_ins_and_refusals_are_shown_by_day_and_reason(panel: Panel) -> None:
    sign_in_by_code(panel.site, new_user_id())
    with panel.site.client() as client:
        client.get("/", params={"externalAuthCode": "junk"})
    page = panel.page(OVERVIEW)

    assert page.count('<rect class="day"') == 30
    assert re.search(r"<title>\d{4}-\d\d-\d\d: [1-9][\d,]* sign-ins, [1-9][\d,]* refused</title>", page)
    assert 'href="/admin/refusals?code=MALFORMED_CODE"' in page


def test_new_secret_that_is_not_used_while_the_old_one_stops_is_a_warning(panel: Panel) -> None:
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="3600")
    assert "is new and not used yet" in panel.page(OVERVIEW)

    sign_in_by_code(panel.site, new_user_id())
    panel.secret_made(AUTHENTICATION, action="rotate", gracePeriodSeconds="3600")
    assert "stops working soon, and codes were signed with it" in panel.page(OVERVIEW)


def test_mail_that_failed_last_is_a_warning_until_one_is_sent(panel: Panel) -> None:
    panel.site.call(lambda _: count_one(Counted.MAIL, "retried"))
    assert "The last mail was not sent." in panel.page(OVERVIEW)
    panel.site.call(lambda _: count_one(Counted.MAIL, "sent"))
    assert "The last mail was not sent." not in panel.page(OVERVIEW)


def test_refused_origin_is_named_with_the_setting_that_would_allow_it(panel: Panel) -> None:
    with panel.site.client() as client:
        client.post("/graphql", json={"query": "{signInMethods}"}, headers={"Origin": "https://shop.example"})
    page = panel.page(OVERVIEW)
    assert "https://shop.example" in page
    assert "If a refused origin is a page of yours" in page


def test_test_link_signs_in_the_test_user(panel: Panel) -> None:
    response = panel.post(OVERVIEW)
    [url] = re.findall(r'readonly value="([^"]+)"', response.text)
    with panel.site.client() as client:
        assert "doorcode" in set_cookies(client.get(html.unescape(url).replace(panel.site.settings.public_url, "")))
    assert "Test user" in panel.page(USER, id="doorcode-test-user")


def test_test_link_without_a_secret_says_what_to_do(panel: Panel) -> None:
    panel.site.call(remove_secrets)
    try:
        response = panel.post(OVERVIEW)
        assert response.status_code == 409
        assert "Enable JWT sign-in" in words(response)
        assert "Make a test link" not in panel.page(OVERVIEW)
    finally:
        panel.site.call(lambda instance: enable(instance.cipher, TESTER))


async def remove_secrets(instance: Instance) -> None:
    """Disables JWT sign-in and revokes every secret."""
    await disable(TESTER)
    for secret in await list_secrets():
        await revoke(secret.id, TESTER, end_sessions=False)
