"""Fills a Doorcode with the data of a month, by the service's own functions."""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import jwt
import time_machine

from service import database
from service.accounts.administration import add_invited_user, deactivate_user
from service.accounts.admins import make_admin
from service.accounts.models import UserRole
from service.accounts.seats import set_seat_limit
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.errors import SignInRefused
from service.external_auth import codes, secrets
from service.external_auth.exchange import exchange
from service.instance import Instance, open_instance
from service.sessions.lifecycle import Client, Opening, open_session
from service.sessions.models import SignInMethod, TokenTransport
from service.settings import Settings
from service.sign_in.attempt import SignInAttempt
from service.web.guide.chapters import CHAPTERS

DAYS = 30
SEATS = 40
ADMIN = "grace@example.com"
BROWSER = Client("192.0.2.17", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36")
PEOPLE = [
    "Ada Lovelace",
    "Alan Turing",
    "Annie Easley",
    "Barbara Liskov",
    "Charles Babbage",
    "Donald Knuth",
    "Edsger Dijkstra",
    "Frances Allen",
    "Hedy Lamarr",
    "Jean Bartik",
    "John Backus",
    "Karen Jones",
    "Katherine Johnson",
    "Ken Thompson",
    "Leslie Lamport",
    "Margaret Hamilton",
    "Mary Jackson",
    "Niklaus Wirth",
    "Radia Perlman",
    "Sophie Wilson",
    "Tony Hoare",
    "Vint Cerf",
]


@dataclass(frozen=True)
class Month:
    """The addresses and tokens that show every page."""

    admin_token: str
    good_code: str
    bad_code: str

    def pages(self) -> dict[str, str]:
        """An admin's, by name."""
        return {
            "users": "/admin/users",
            "no-users": "/admin/users?search=nobody",
            "user": "/admin/users/user?id=crm-1",
            "authentication": "/admin/authentication",
            "snippets": "/admin/authentication/snippets",
            "debugger": "/admin/authentication/debugger",
            "seats": "/admin/seats",
            "audit": "/admin/audit",
            "api-keys": "/admin/api-keys",
            "problem": "/admin/users/user?id=nobody",
        }

    def pages_of_strangers(self) -> dict[str, str]:
        """The pages without a session, by name. The last two sign a user in, or refuse to."""
        chapters = {f"guide-{name}": f"/guide/{name}" for name in CHAPTERS}
        return {
            "guide": "/guide",
            **chapters,
            "login": "/login",
            "admin-login": "/admin/login",
            "signed-out": "/",
            "not-found": "/nothing-here",
            "refused": f"/?externalAuthCode={quote(self.bad_code)}",
            "signed-in": f"/?externalAuthCode={quote(self.good_code)}",
        }


async def live_a_month(settings: Settings) -> Month:
    """On the database of these settings, which has to be new."""
    await database.migrate(settings)
    async with open_instance(settings) as instance:
        with time_machine.travel(now() - timedelta(days=DAYS)) as clock:
            admin = Actor(await _begin(instance))
            for day in range(DAYS):
                await _fill_day(instance, admin, day)
                clock.shift(timedelta(days=1))
        return await _finish(instance, admin)


async def _begin(instance: Instance) -> str:
    async with transaction():
        user = await make_admin(ADMIN, Actor("setup"))
    await secrets.enable(instance.cipher, Actor(user.id))
    await set_seat_limit(SEATS, Actor(user.id))
    return user.id


async def _fill_day(instance: Instance, admin: Actor, day: int) -> None:
    for number in range(min(day + 1, len(PEOPLE))):
        if (day + number) % 3 == 0 or number == day:
            await _sign_in(instance, number)
    if day == 12:
        await secrets.rotate(instance.cipher, admin)
    if day == 20:
        await deactivate_user("crm-5", admin)
    if day % 5 == 0:
        async with transaction():
            await add_invited_user(f"guest{day}@example.org", UserRole.MEMBER, admin)


async def _sign_in(instance: Instance, number: int) -> None:
    name = PEOPLE[number]
    user = {
        "id": f"crm-{number}",
        "email": f"{name.split(' ')[0].lower()}@example.com",
        "name": name,
        "team": "Research",
    }
    code = await _code(instance, {"user": user, "exp": int(time.time()) + 300})
    try:
        await exchange(code, SignInAttempt(BROWSER, TokenTransport.COOKIE, None, None), instance.external_auth)
    except SignInRefused:
        assert number == 5, "only one of them was deactivated"


async def _finish(instance: Instance, admin: Actor) -> Month:
    await secrets.rotate(instance.cipher, admin, grace_period=86_400)
    await _sign_in(instance, 1)
    await create_api_key("Directory sync", ApiKeyScope.ADMIN, now() + timedelta(days=90), admin)
    await create_api_key("Monitoring", ApiKeyScope.READ, None, admin)
    async with transaction():
        user = await make_admin(ADMIN, admin)
    opening = Opening(SignInMethod.EMAIL, TokenTransport.ADMIN_COOKIE, BROWSER)
    opened = await open_session(user, opening, now() + timedelta(hours=1))
    good = {"user": {"id": "crm-1"}, "exp": int(time.time()) + 3600}
    bad = jwt.PyJWS().encode(
        json.dumps({**good, "exp": good["exp"] - 9000}).encode(), "another system's secret", "HS256"
    )
    return Month(opened.token, await _code(instance, good), bad)


async def _code(instance: Instance, claims: dict[str, object]) -> str:
    current = await secrets.current_secret(instance.cipher)
    assert current, "it was made at the beginning"
    return codes.sign(claims, current.text, current.row.id)
