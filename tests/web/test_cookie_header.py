"""The `Cookie` header as hostile subdomains and other instances fill it: on both databases, over ASGI with raw bytes."""

import pytest

from service.credentials import MAX_COOKIES_TRIED, cookie_name
from service.instance import Instance
from service.sessions.models import TokenTransport
from tests.actions import member, open_for
from tests.clients import Api

DEAD = "dcs_" + "A" * 43


async def member_token() -> str:
    opened = await open_for(await member("ana@example.com"), token_transport=TokenTransport.COOKIE)
    return opened.token


async def verified(api: Api, *headers: bytes) -> int:
    """What `/verify` answers to these `Cookie` headers."""
    return (await api.http.get("/verify", headers=[(b"cookie", header) for header in headers])).status_code


@pytest.mark.parametrize("dead_before", range(MAX_COOKIES_TRIED))
async def test_live_cookie_counts_wherever_it_is_among_the_first_five(api: Api, dead_before: int) -> None:
    live = await member_token()
    cookies = [f"doorcode={DEAD[:-1]}{number}" for number in range(dead_before)] + [f"doorcode={live}"]
    cookies += [f"doorcode={DEAD[:-1]}{number}" for number in range(5, 9)]
    assert await verified(api, "; ".join(cookies).encode()) == 200


async def test_sixth_cookie_of_the_name_is_not_tried(api: Api) -> None:
    live = await member_token()
    cookies = [f"doorcode={DEAD[:-1]}{number}" for number in range(MAX_COOKIES_TRIED)]
    assert await verified(api, "; ".join([*cookies, f"doorcode={live}"]).encode()) == 401


async def test_cookies_of_several_header_fields_are_read(api: Api) -> None:
    live = await member_token()
    assert await verified(api, f"doorcode={DEAD}".encode(), f"a=b;doorcode={live}".encode()) == 200


async def test_first_live_cookie_wins(api: Api) -> None:
    first, second = (
        await member_token(),
        await open_for(await member("bob@example.com"), token_transport=TokenTransport.COOKIE),
    )
    header = f"doorcode={first}; doorcode={second.token}"
    answer = await api.http.get("/verify", headers={"Cookie": header})
    assert answer.headers["x-auth-email"] == "ana@example.com"


@pytest.mark.parametrize("before", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1f", b"\xc2\xa0", b"\xe2\x80\x8b"])
@pytest.mark.parametrize("after", [False, True])
async def test_name_with_other_white_space_is_another_name(api: Api, before: bytes, after: bool) -> None:
    live = (await member_token()).encode()
    name = b"doorcode" + before if after else before + b"doorcode"
    assert await verified(api, name + b"=" + live) == 401
    assert await verified(api, name + b"=" + DEAD.encode() + b"; doorcode=" + live) == 200
    assert await verified(api, b"doorcode=" + live + b"; " + name + b"=" + DEAD.encode()) == 200


@pytest.mark.parametrize(
    "template", [b"doorcode=%s", b" \tdoorcode = %s\t ", b'doorcode="%s"', b"a;=;;b=c; doorcode=%s;"]
)
async def test_cookie_is_read_as_browsers_and_libraries_write_it(api: Api, template: bytes) -> None:
    assert await verified(api, template % (await member_token()).encode()) == 200


@pytest.mark.parametrize("name", [b"Doorcode", b"doorcode-admin", b"__Host-doorcode", b"xdoorcode", b"doorcode[]", b""])
async def test_other_name_is_not_ours(api: Api, name: bytes) -> None:
    assert await verified(api, name + b"=" + (await member_token()).encode()) == 401


async def test_graphql_and_the_panel_read_the_header_in_the_same_way(api: Api, instance: Instance) -> None:
    live = await member_token()
    name = cookie_name(instance.settings, TokenTransport.COOKIE)
    headers = {"Cookie": f"{name}={DEAD}; {name}={live}", "Sec-Fetch-Site": "same-origin"}
    answer = await api.http.post("/graphql", json={"query": "{ viewer { email } }"}, headers=headers)
    assert answer.json() == {"data": {"viewer": {"email": "ana@example.com"}}}


async def test_signing_out_ends_every_session_that_the_cookies_carry(api: Api) -> None:
    first, second = (
        await member_token(),
        (await open_for(await member("bob@example.com"), token_transport=TokenTransport.COOKIE)).token,
    )
    headers = {"Cookie": f"doorcode={DEAD}; doorcode={first}; doorcode={second}", "Sec-Fetch-Site": "same-origin"}
    assert (await api.http.post("/logout", headers=headers)).status_code == 303
    assert await verified(api, f"doorcode={first}".encode()) == 401
    assert await verified(api, f"doorcode={second}".encode()) == 401
