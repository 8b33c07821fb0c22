"""All kinds of callers, and the headers by which each proves its authority over HTTP."""

from dataclasses import dataclass
from datetime import timedelta

from service.accounts.models import User
from service.api_keys.keys import create_api_key, revoke_api_key
from service.api_keys.models import ApiKeyScope
from service.clock import now
from service.database import Statement, write
from service.instance import Instance
from service.sessions.lifecycle import end_session
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import TESTER, admin, member, open_for

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Callers:
    """The headers of each, by name; and who the two people are."""

    headers: dict[str, dict[str, str]]
    admin: User
    member: User


def bearer(token: str) -> dict[str, str]:
    """As a program sends it."""
    return {"Authorization": f"Bearer {token}"}


def cookie(name: str, token: str, **headers: str) -> dict[str, str]:
    """As a browser sends it."""
    return {"Cookie": f"{name}={token}", **headers}


async def api_key(scope: ApiKeyScope = ApiKeyScope.ADMIN) -> str:
    """A key's token."""
    return (await create_api_key("tests", scope, None, TESTER)).token


async def admin_token(email: str = "boss@example.com") -> str:
    """The bearer token of an admin in person."""
    return (await open_for(await admin(email))).token


async def all_callers(instance: Instance) -> Callers:
    """One of each kind."""
    assert instance.settings.public_url.startswith("http:"), "cookies have their short names"
    boss, grace = await admin("boss@example.com"), await member("grace@example.com")

    async def token(person: User, method: SignInMethod, token_transport: TokenTransport = TokenTransport.BEARER) -> str:
        return (await open_for(person, method, token_transport)).token

    ended = await open_for(boss)
    await end_session(ended.session.id)
    revoked = await create_api_key("revoked", ApiKeyScope.ADMIN, None, TESTER)
    await revoke_api_key(revoked.row.id, TESTER)
    over = await create_api_key("over", ApiKeyScope.ADMIN, now() + timedelta(days=1), TESTER)
    await write(Statement("UPDATE api_keys SET expires_at = $1 WHERE id = $2"), now(), over.row.id)
    members_cookie = await token(boss, SignInMethod.EMAIL, TokenTransport.COOKIE)
    admin_cookie = await token(boss, SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE)
    by_email = await token(boss, SignInMethod.EMAIL)
    return Callers(
        {
            "anonymous": {},
            "unknown token": bearer("dcs_" + "x" * 43),
            "malformed token": bearer("nonsense"),
            "empty token": {"Authorization": "Bearer"},
            "ended session": bearer(ended.token),
            "expired session": bearer((await open_for(boss, lifetime=-1)).token),
            "revoked key": bearer(revoked.token),
            "expired key": bearer(over.token),
            "bad bearer with a good cookie": {
                **bearer("dcs_" + "x" * 43),
                **cookie("doorcode-admin", admin_cookie, **SAME_ORIGIN),
            },
            "admin cookie from nowhere": cookie("doorcode-admin", admin_cookie),
            "admin cookie from another site": cookie(
                "doorcode-admin", admin_cookie, Origin="https://evil.example", **{"Sec-Fetch-Site": "cross-site"}
            ),
            "admin cookie under the members' name": cookie("doorcode", admin_cookie, **SAME_ORIGIN),
            "members' cookie under the admin's name": cookie("doorcode-admin", members_cookie, **SAME_ORIGIN),
            "member by email": bearer(await token(grace, SignInMethod.EMAIL)),
            "member by code": bearer(await token(grace, SignInMethod.EXTERNAL_JWT)),
            "member by cookie": cookie(
                "doorcode", await token(grace, SignInMethod.EMAIL, TokenTransport.COOKIE), **SAME_ORIGIN
            ),
            "admin by code": bearer(await token(boss, SignInMethod.EXTERNAL_JWT)),
            "admin by members' cookie": cookie("doorcode", members_cookie, **SAME_ORIGIN),
            "admin by members' cookie's token": bearer(members_cookie),
            "READ key": bearer(await api_key(ApiKeyScope.READ)),
            "USERS key": bearer(await api_key(ApiKeyScope.USERS)),
            "ADMIN key": bearer(await api_key(ApiKeyScope.ADMIN)),
            "admin": bearer(by_email),
            "admin by admin cookie": cookie("doorcode-admin", admin_cookie, **SAME_ORIGIN),
            "admin by admin cookie, told by Origin": cookie(
                "doorcode-admin", admin_cookie, Origin=instance.settings.public_url
            ),
        },
        boss,
        grace,
    )


ANONYMOUS = [
    "anonymous",
    "unknown token",
    "malformed token",
    "empty token",
    "ended session",
    "expired session",
    "revoked key",
    "expired key",
    "bad bearer with a good cookie",
    "admin cookie from nowhere",
    "admin cookie from another site",
    "admin cookie under the members' name",
    "members' cookie under the admin's name",
]
WITHOUT_RIGHTS = [
    "member by email",
    "member by code",
    "member by cookie",
    "admin by code",
    "admin by members' cookie",
    "admin by members' cookie's token",
]
IN_PERSON = ["admin", "admin by admin cookie", "admin by admin cookie, told by Origin"]
ALL_CALLERS = [*ANONYMOUS, *WITHOUT_RIGHTS, "READ key", "USERS key", "ADMIN key", *IN_PERSON]
