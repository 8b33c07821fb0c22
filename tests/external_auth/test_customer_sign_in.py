"""Where sign-in starts and ends at the customer's: which URLs are accepted, and what changes record."""

import pytest

from service.audit.models import AuditEvent
from service.errors import BadUserInput
from service.external_auth.configuration import update_sign_in
from service.external_auth.customer_sign_in import JwtSignIn
from service.external_auth.models import ExternalAuth
from service.instance import Instance
from tests.actions import TESTER

GOOD = [
    "https://crm.example.com",
    "https://crm.example.com:8443/login?tenant=7&x=%20",
    "https://crm.example.com/?",
    "https://münchen.example/",
    "http://localhost:3000/login",
    "http://shop.demo.localhost/login",
    "http://127.0.0.1/",
    "http://[::1]:1/",
]
BAD = [
    "",
    " ",
    "crm.example.com",
    "/login",
    "//crm.example.com/",
    "http://crm.example.com/",
    "http://127.0.0.1.example.com/",
    "ftp://crm.example.com/",
    "javascript:alert(1)",
    "https://",
    "https:///login",
    "https://user@crm.example.com/",
    "https://user:pass@crm.example.com/",
    "https://@crm.example.com/",
    "https://crm.example.com/#top",
    "https://crm.example.com/#",
    "https://crm.example.com:x/",
    "https://crm.example.com/a b",
    "https://crm.example.com/\n",
    "https://crm.example.com\\@evil.example/",
    "https://crm.example.com/\u2028",
    "https://crm.example.com/" + "x" * 2_048,
    7,
    True,
]


@pytest.mark.parametrize("name", ["sign_in_url", "sign_out_url"])
@pytest.mark.parametrize("url", GOOD)
async def test_good_url_is_kept_as_it_is(instance: Instance, name: str, url: str) -> None:
    await update_sign_in({name: url}, TESTER)
    assert getattr(await ExternalAuth.get(id=1), name) == url
    [event] = await AuditEvent.all()
    assert event.action == "jwt.sign_in_updated"


@pytest.mark.parametrize("url", BAD, ids=repr)
def test_bad_url_is_refused(url: object) -> None:
    with pytest.raises(ValueError, match=r"URL|https|valid string|[Pp]ort"):
        JwtSignIn.model_validate({"sign_in_url": url})


async def test_refused_change_changes_nothing(instance: Instance) -> None:
    await update_sign_in({"sign_in_url": GOOD[0]}, TESTER)
    for changes in (
        {"sign_in_url": None, "sign_out_url": BAD[5]},
        {"require_state": None},
        {"start_automatically": "yes"},
    ):
        with pytest.raises(BadUserInput):
            await update_sign_in(changes, TESTER)
    row = await ExternalAuth.get(id=1)
    assert (row.sign_in_url, row.sign_out_url, row.require_state) == (GOOD[0], None, False)


async def test_change_holds_for_the_next_request_of_every_process(instance: Instance) -> None:
    cache = instance.external_auth.configuration_cache
    assert (await cache.current()).sign_in == JwtSignIn()
    await update_sign_in({"sign_in_url": GOOD[0], "require_state": True}, TESTER)
    assert (await cache.current()).sign_in == JwtSignIn(sign_in_url=GOOD[0], require_state=True)
    await update_sign_in({"sign_in_url": None}, TESTER)
    assert (await cache.current()).sign_in == JwtSignIn(require_state=True)


@pytest.mark.parametrize(
    ("url", "started"),
    [
        ("https://x.test", "https://x.test?returnTo=%2Fa%3Fb%3D1%262%20%C3%AB&state=S"),
        ("https://x.test/?", "https://x.test/?returnTo=%2Fa%3Fb%3D1%262%20%C3%AB&state=S"),
        ("https://x.test/?a=1&b", "https://x.test/?a=1&b&returnTo=%2Fa%3Fb%3D1%262%20%C3%AB&state=S"),
    ],
)
def test_return_to_and_state_are_added_to_the_urls_own_query(url: str, started: str) -> None:
    assert JwtSignIn(sign_in_url=url).start_url("S", "/a?b=1&2 ë") == started
    assert JwtSignIn(sign_in_url=url).start_url("S", None) == started.replace("returnTo=%2Fa%3Fb%3D1%262%20%C3%AB&", "")
    assert JwtSignIn().start_url("S", "/a") is None
