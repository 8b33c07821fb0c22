"""The panel over HTTP: a served site, an admin's cookie, forms that its own pages send."""

import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import httpx2
import jwt

from service.accounts.admins import make_admin
from service.clock import now
from service.database import transaction
from service.external_auth.secrets import current_secret
from service.sessions.lifecycle import Opening, open_session
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import CLIENT, TESTER
from tests.site import Site, parameters, set_cookies

COOKIE = "doorcode-admin"
ADMIN = "boss@example.com"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
PAGES = [
    "/admin/users",
    "/admin/users.csv",
    "/admin/users/user",
    "/admin/users/import",
    "/admin/users/all.csv",
    "/admin/users/sign-in-link",
    "/admin/authentication",
    "/admin/authentication/secret",
    "/admin/authentication/leaked",
    "/admin/authentication/snippets",
    "/admin/authentication/debugger",
    "/admin/authentication/recommended",
    "/admin/groups",
    "/admin/seats",
    "/admin/audit",
    "/admin/audit.csv",
    "/admin/audit.json",
    "/admin/api-keys",
    "/admin/refusals",
    "/admin/branding",
    "/admin/settings",
]
FORMS = [
    "/admin/users",
    "/admin/users/user",
    "/admin/users/import",
    "/admin/authentication",
    "/admin/authentication/debugger",
    "/admin/seats",
]
FORMS += ["/admin/api-keys", "/admin/branding", "/admin/settings", "/admin", "/admin/authentication/recommended"]
AUTHENTICATION, DEBUGGER = "/admin/authentication", "/admin/authentication/debugger"
USERS, USER = "/admin/users", "/admin/users/user"
POLICY = {"action": "policy", "clockSkewSeconds": "60", "trustEmails": "1"}


@dataclass(frozen=True)
class Panel:
    """A browser that is signed in to the panel."""

    site: Site
    http: httpx2.Client

    @classmethod
    def signed_in(cls, site: Site, email: str = ADMIN) -> Self:
        """With a new session of this admin, who is made where there is none."""
        token = site.call(lambda _: session_token(email))
        return cls(site, httpx2.Client(base_url=site.server.url, cookies={COOKIE: token}))

    def get(self, path: str, /, **query: str) -> httpx2.Response:
        """A page."""
        return self.http.get(path, params=query)

    def post(self, path: str, /, **fields: str) -> httpx2.Response:
        """A form, as a page of this origin sends it."""
        return self.post_with(FROM_HERE, path, **fields)

    def post_with(self, headers: Mapping[str, str], path: str, /, **fields: str) -> httpx2.Response:
        """A form, with these headers."""
        return self.http.post(path, data=fields or {"sent": "1"}, headers=dict(headers))

    def page(self, path: str, /, **query: str) -> str:
        """What a page says, where it is shown, without the IDs of its forms, which are new each time."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return re.sub(r'name="formId" value="\w+"', "", words(response))

    def done(self, path: str, /, **fields: str) -> str:
        """Where a form that did its work leads."""
        response = self.post(path, **fields)
        assert response.status_code == 303, words(response)
        return response.headers["location"]

    def secret_made(self, path: str, /, **fields: str) -> tuple[str, str]:
        """The secret that a form made, and the address of the page that shows it."""
        address = self.done(path, **fields)
        assert address.startswith("/admin/authentication/secret?")
        return self.secret_at(address), address

    def secret_at(self, address: str) -> str:
        """The secret that this page shows."""
        response = self.http.get(address)
        assert response.status_code == 200, response.text
        return value_of(response, "aria-label")


async def session_token(
    email: str, token_transport: TokenTransport = TokenTransport.ADMIN_COOKIE, method: SignInMethod = SignInMethod.EMAIL
) -> str:
    """A new session's token of this admin, who is made where there is none."""
    async with transaction():
        user = await make_admin(email, TESTER)
    opened = await open_session(user, Opening(method, token_transport, CLIENT), now() + timedelta(hours=8))
    return opened.token


def value_of(response: httpx2.Response, attribute: str) -> str:
    """The value of the read-only field."""
    [tag] = re.findall(rf'<input[^>]*readonly[^>]*{attribute}="(?:Secret|API key)"[^>]*>', response.text)
    [value] = re.findall(r'value="([^"]*)"', tag)
    return str(value)


def words(response: httpx2.Response) -> str:
    """A page's source with its entities resolved."""
    return html.unescape(response.text)


def links(response: httpx2.Response, rel: str) -> list[dict[str, str]]:
    """The parameters of the links with this relation."""
    return [parameters(html.unescape(href)) for href in re.findall(rf'rel="{rel}" href="([^"]*)"', response.text)]


def sign_in_by_code(site: Site, user_id: str, *, issued_at: float | None = None, **user: object) -> None:
    """Makes a user as a link does, which is made a second later: after the cut-offs of other tests, which are to the second."""
    current = site.call(lambda instance: current_secret(instance.cipher))
    assert current
    code = jwt.encode({"user": {"id": user_id, **user}, "iat": issued_at or time.time() + 1}, current.text, "HS256")
    with site.client() as client:
        assert "doorcode" in set_cookies(client.get("/", params={"externalAuthCode": code}))


def accepts(site: Site, secret: str) -> bool:
    """Whether a code signed with this secret signs a user in."""
    code = jwt.encode({"user": {"id": "crm-signer"}, "iat": time.time()}, secret, "HS256")
    with site.client() as client:
        return "doorcode" in set_cookies(client.get("/", params={"externalAuthCode": code}))
