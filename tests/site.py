"""A served Doorcode with JWT sign-in enabled, and the same database opened in the test's process: codes, clients, policy."""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
from anyio.from_thread import BlockingPortal
from starlette.responses import Response
from tortoise.backends.base.executor import EXECUTOR_CACHE

from service.accounts.models import User
from service.external_auth import codes, secrets
from service.external_auth.configuration import update_policy
from service.external_auth.policy import Policy
from service.instance import Instance, open_instance
from service.settings import Settings, load_settings
from tests.actions import TESTER
from tests.processes import Server

Result = TypeVar("Result")


@dataclass(frozen=True)
class Site:
    """A real server, and the same database opened by the test too, as a command would."""

    server: Server
    settings: Settings
    portal: BlockingPortal
    secret: secrets.NewSecret = field(repr=False)

    @classmethod
    def open(cls, directory: Path, database_url: str, portal: BlockingPortal, environ: Mapping[str, str]) -> Self:
        """Starts a server on a migrated database and switches external authentication on."""
        environ = {"DOORCODE_DATABASE_URL": database_url, "DOORCODE_DATA_DIR": str(directory), **environ}
        server = Server(directory, environ)
        settings = load_settings({"DOORCODE_PUBLIC_URL": server.url, **environ})
        try:
            server.wait_until_ready()
            return cls(server, settings, portal, on_instance(portal, settings, _front_door_secret))
        except BaseException:
            server.kill()
            raise

    def call(self, work: Callable[[Instance], Awaitable[Result]]) -> Result:
        """Run something against the server's database, as a command would."""
        return on_instance(self.portal, self.settings, work)

    def sign(self, claims: dict[str, Any]) -> str:
        """A code with these claims, signed with the current secret."""
        return codes.sign(claims, self.secret.text, self.secret.row.id)

    def code_for(self, user_id: str, **claims: Any) -> str:
        """A code that signs this user in, and creates the user if the ID is new."""
        return self.sign({"user": {"id": user_id}, "exp": int(time.time()) + 600, **claims})

    def client(self) -> httpx2.Client:
        """A client with a cookie jar that follows no redirect."""
        return httpx2.Client(base_url=self.server.url, follow_redirects=False)

    def find(self, user_id: str) -> User | None:
        """The user with this id."""
        return self.call(lambda _: User.get_or_none(id=user_id))

    @contextmanager
    def policy(self, **changes: Any) -> Iterator[None]:
        """Changes the policy until the end of the block. What it was before is what a new database has."""
        self._set_policy(changes)
        try:
            yield
        finally:
            self._set_policy({name: getattr(Policy(), name) for name in changes})

    def _set_policy(self, values: Mapping[str, object]) -> None:
        self.call(lambda _: update_policy(values, TESTER))


@contextmanager
def served(directory: Path, background: BlockingPortal, **environ: str) -> Iterator[Site]:
    """A Doorcode on SQLite until the end of the block."""
    site = Site.open(directory, f"sqlite://{directory}/site.sqlite3", background, environ)
    try:
        yield site
    finally:
        site.server.close()


def new_user_id() -> str:
    """An ID that no user has yet: servers outlive tests."""
    return f"crm-{uuid.uuid4().hex}"


def on_instance(portal: BlockingPortal, settings: Settings, work: Callable[[Instance], Awaitable[Result]]) -> Result:
    """Opens an instance for as long as the work takes."""

    async def run() -> Result:
        EXECUTOR_CACHE.clear()  # Tortoise keeps statements here for a process that only ever knows one kind of database
        async with open_instance(settings) as instance:
            return await work(instance)

    return portal.call(run)


def parameters(url: str) -> dict[str, str]:
    """The query parameters of an address, each of which is there once."""
    return {name: value for name, [value] in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def set_cookies(response: httpx2.Response | Response) -> dict[str, dict[str, str]]:
    """The cookies that a response sets, by name: the value under "", then the attributes in lower case."""
    headers = response.headers.raw if isinstance(response, httpx2.Response) else response.raw_headers
    cookies = {}
    for header in (value.decode() for name, value in headers if name.lower() == b"set-cookie"):
        (name, value), *attributes = (part.strip().partition("=")[::2] for part in header.split(";"))
        cookies[name] = {"": value.strip('"'), **{key.lower(): value for key, value in attributes}}
    return cookies


async def _front_door_secret(instance: Instance) -> secrets.NewSecret:
    made = await secrets.enable(instance.cipher, TESTER) or await secrets.current_secret(instance.cipher)
    assert made
    return made
