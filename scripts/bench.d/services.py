"""The services that are compared: how each is filled, started and asked."""

import base64
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import asyncpg
import yardstick_app
from cryptography.fernet import Fernet
from tortoise.backends.base.executor import EXECUTOR_CACHE
from workload import Person, Workload

from service.accounts.metadata import dump_metadata
from service.accounts.models import Seats, User, UserOrigin
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.log import Actor
from service.clock import HOUR, floor
from service.database import migrate, transaction
from service.encryption import Cipher
from service.external_auth.models import ExternalAuth, JwtSecret
from service.ids import new_id
from service.instance import open_instance
from service.sessions.models import Session, SignInMethod, TokenTransport
from service.settings import load_settings

SEAT_LIMIT = 10_000_000
SESSION_LIFETIME = timedelta(days=7)
BATCH = 1_000
T = TypeVar("T")

EXCHANGE = """
mutation SignIn($code: String!) {
  exchangeExternalAuthCode(externalAuthCode: $code) {
    ... on SessionGrant { token session { expiresAt } user { id email origin } }
    ... on SignInError { code message }
  }
}
"""
VIEWER = "query Viewer { viewer { id email } }"
PAGE = """
query Users($after: String, $filter: UserFilter) {
  users(first: 50, after: $after, filter: $filter) {
    edges { cursor node { id email origin createdAt } } pageInfo { hasNextPage endCursor }
  }
}
"""
SEATS = "query Seats { seatUsage { used limit } }"
YOGA_PACKAGES = ("graphql", "graphql-yoga", "jsonwebtoken", "better-sqlite3", "pg")


class Service(Protocol):
    """A service under test. Databases are paths on SQLite, `postgres://` URLs otherwise."""

    name: str

    async def fill(self, database: str, workload: Workload) -> None:
        """Make the tables in an empty database, and add all users."""

    def command(self, port: int) -> list[str]: ...

    def environment(self, database: str, directory: Path) -> dict[str, str]: ...

    def exchange(self, code: str) -> bytes: ...

    def viewer(self, token: str) -> bytes: ...

    def page(self, person: Person, workload: Workload) -> bytes:
        """50 users in the order of creation, from behind this one, with their cursors."""

    def seats(self) -> bytes: ...

    def search(self, person: Person) -> bytes:
        """For the middle of this user's address."""

    def token_in(self, answer: dict[str, Any]) -> str | None:
        """The token in the answer to an exchange. None if no user was signed in."""


class Doorcode:
    """This service, as `doorcode serve` runs it."""

    name = "Doorcode"

    def __init__(self) -> None:
        self._key = Fernet.generate_key().decode()
        self._api_key = ""

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "service", "serve", f"--port={port}"]

    def environment(self, database: str, directory: Path) -> dict[str, str]:
        url = database if database.startswith("postgres") else f"sqlite://{database}"
        return {
            "DOORCODE_DATABASE_URL": url,
            "DOORCODE_DATA_DIR": str(directory),
            "DOORCODE_ENCRYPTION_KEYS": self._key,
            "DOORCODE_LOG_FORMAT": "json",
        }

    async def fill(self, database: str, workload: Workload) -> None:
        """Mark every user as just seen, so that the write of the hour's first sign-in is not measured."""
        EXECUTOR_CACHE.clear()  # Tortoise keeps SQL by the model alone, and this process fills databases of both kinds
        settings = load_settings(self.environment(database, Path(database).parent))
        await migrate(settings)
        moment = datetime.fromtimestamp(workload.moment, UTC)
        async with open_instance(settings) as instance, transaction():
            await ExternalAuth.filter(id=1).update(enabled=True, version=1)
            await _add_secret(workload.secret, instance.cipher, moment)
            for people in _batches(workload.everyone):
                await User.bulk_create(_users(people, workload, moment))
            await Seats.filter(id=1).update(active_external_jwt=len(workload.everyone), seat_limit=SEAT_LIMIT)
            signed_in = [person.external_id for person in workload.signed_in]
            rows = [row for ids in _batches(signed_in) for row in await User.filter(external_id__in=ids)]
            serials = {user.external_id: user.serial for user in rows}
            await Session.bulk_create(_sessions(workload, serials, moment), batch_size=1_000)
        async with open_instance(settings):
            expires_at = moment + timedelta(days=1)
            self._api_key = (await create_api_key("bench", ApiKeyScope.READ, expires_at, Actor.anonymous(None))).token

    def exchange(self, code: str) -> bytes:
        return _post("/graphql", {"query": EXCHANGE, "variables": {"code": code}})

    def viewer(self, token: str) -> bytes:
        return _post("/graphql", {"query": VIEWER}, token)

    def page(self, person: Person, workload: Workload) -> bytes:
        created_at = datetime.fromtimestamp(workload.created_at(person) / 1000, UTC)
        position = json.dumps(["created-", created_at.isoformat(), person.external_id]).encode()
        after = base64.urlsafe_b64encode(position).decode()
        return _post("/graphql", {"query": PAGE, "variables": {"after": after}}, self._api_key)

    def seats(self) -> bytes:
        return _post("/graphql", {"query": SEATS}, self._api_key)

    def search(self, person: Person) -> bytes:
        variables = {"filter": {"search": _middle(person)}}
        return _post("/graphql", {"query": PAGE, "variables": variables}, self._api_key)

    def token_in(self, answer: dict[str, Any]) -> str | None:
        token: str | None = answer["data"]["exchangeExternalAuthCode"].get("token")
        return token


async def _add_secret(text: str, cipher: Cipher, moment: datetime) -> None:
    await JwtSecret.create(
        id=new_id("jws_"), encrypted_secret=cipher.encrypt(text), hint=text[:4], created_at=moment, last_used_at=moment
    )


def _batches(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts of which each fits into one statement, and of which not all are in memory at once."""
    for start in range(0, len(things), BATCH):
        yield things[start : start + BATCH]


def _users(people: Sequence[Person], workload: Workload, moment: datetime) -> Iterable[User]:
    for person in people:
        user = User(
            id=person.external_id,
            metadata=dump_metadata(person.profile),
            origin=UserOrigin.EXTERNAL_JWT,
            created_at=datetime.fromtimestamp(workload.created_at(person) / 1000, UTC),
            last_seen_at=floor(moment, HOUR) + (HOUR if person.number < len(workload.people) else -HOUR),
        )
        user.set_identifiers(email=person.email, email_verified=True, external_id=person.external_id)
        yield user


def _sessions(workload: Workload, serials: dict[str | None, int], moment: datetime) -> Iterable[Session]:
    for person, token_hash in workload.sessions():
        yield Session(
            id=new_id(),
            user_serial=serials[person.external_id],
            user_epoch=0,
            method=SignInMethod.EXTERNAL_JWT,
            method_epoch=0,
            carrier=TokenTransport.BEARER,
            token_hash=token_hash,
            created_at=moment,
            expires_at=moment + SESSION_LIFETIME,
            last_seen_at=moment + HOUR,
        )


class Yardstick:
    """Bare Starlette, on the same server."""

    name = "Starlette"

    def __init__(self, workload: Workload) -> None:
        self._secret, self._admin_token = workload.secret, workload.admin_token

    def command(self, port: int) -> list[str]:
        uvicorn = [
            sys.executable,
            "-m",
            "uvicorn",
            "yardstick_app:app",
            f"--app-dir={Path(__file__).parent}",
            f"--port={port}",
        ]
        return [*uvicorn, "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]

    def environment(self, database: str, directory: Path) -> dict[str, str]:
        return {
            "YARDSTICK_DATABASE": database,
            "YARDSTICK_SECRET": self._secret,
            "YARDSTICK_ADMIN": self._admin_token,
        }

    async def fill(self, database: str, workload: Workload) -> None:
        milliseconds = workload.moment * 1000
        until = milliseconds + yardstick_app.SESSION_LIFETIME
        users = [
            (p.external_id, p.email, "EXTERNAL_JWT", p.external_id, workload.created_at(p)) for p in workload.everyone
        ]
        sessions = [(new_id(), p.external_id, hashed, milliseconds, until) for p, hashed in workload.sessions()]
        tables: dict[str, Sequence[tuple[object, ...]]] = {
            "users": users,
            "sessions": sessions,
            "seats": [(len(users), SEAT_LIMIT)],
        }
        if database.startswith("postgres"):
            await _fill_postgres(database, tables)
        else:
            _fill_sqlite(database, tables)

    def exchange(self, code: str) -> bytes:
        return _post("/exchange", {"code": code})

    def viewer(self, token: str) -> bytes:
        return _request("GET", "/viewer", token)

    def page(self, person: Person, workload: Workload) -> bytes:
        return _request("GET", f"/users?time={workload.created_at(person)}&id={person.external_id}", self._admin_token)

    def seats(self) -> bytes:
        return _request("GET", "/seats", self._admin_token)

    def search(self, person: Person) -> bytes:
        return _request("GET", f"/users?search={quote(_middle(person))}", self._admin_token)

    def token_in(self, answer: dict[str, Any]) -> str | None:
        return str(answer["session"]["token"]) if "session" in answer else None


class Yoga(Yardstick):
    """graphql-yoga on Node, on the same tables as bare Starlette: what a usual GraphQL service costs."""

    name = "yoga"

    @staticmethod
    def missing() -> str | None:
        """Why it cannot be run, or None. `BENCH_YOGA` names a directory in which its packages are installed."""
        if shutil.which("node") is None:
            return "there is no node"
        packages = Path(os.environ.get("BENCH_YOGA", ""), "node_modules")
        missing = [name for name in YOGA_PACKAGES if not (packages / name).is_dir()]
        if "BENCH_YOGA" not in os.environ or missing:
            return f"BENCH_YOGA names no directory in which `npm install {' '.join(YOGA_PACKAGES)}` was run"
        return None

    def command(self, port: int) -> list[str]:
        return ["node", str(Path(__file__).with_name("yoga_app.mjs")), str(port)]

    def environment(self, database: str, directory: Path) -> dict[str, str]:
        return super().environment(database, directory) | {"NODE_ENV": "production"}

    def exchange(self, code: str) -> bytes:
        return _post("/graphql", {"query": EXCHANGE, "variables": {"code": code}})

    def viewer(self, token: str) -> bytes:
        return _post("/graphql", {"query": VIEWER}, token)

    def page(self, person: Person, workload: Workload) -> bytes:
        after = f"{workload.created_at(person)},{person.external_id}"
        return _post("/graphql", {"query": PAGE, "variables": {"after": after}}, self._admin_token)

    def seats(self) -> bytes:
        return _post("/graphql", {"query": SEATS}, self._admin_token)

    def search(self, person: Person) -> bytes:
        variables = {"filter": {"search": _middle(person)}}
        return _post("/graphql", {"query": PAGE, "variables": variables}, self._admin_token)

    def token_in(self, answer: dict[str, Any]) -> str | None:
        token: str | None = answer["data"]["exchangeExternalAuthCode"].get("token")
        return token


def services_for(workload: Workload) -> list[Service]:
    """Return the services to compare: graphql-yoga only if it can be run."""
    others = [Yardstick(workload)] if Yoga.missing() else [Yardstick(workload), Yoga(workload)]
    return [*others, Doorcode()]


async def _fill_postgres(url: str, tables: Mapping[str, Sequence[tuple[object, ...]]]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(yardstick_app.SCHEMA)
    for table, rows in tables.items():
        await connection.copy_records_to_table(table, records=rows)
    await connection.close()


def _fill_sqlite(path: str, tables: Mapping[str, Sequence[tuple[object, ...]]]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(yardstick_app.SCHEMA)
    for table, rows in tables.items():
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.commit()
    connection.close()


@dataclass(frozen=True)
class Operation:
    """What is measured: requests, each of its own, and a text that every good answer holds."""

    name: str
    expected: str
    requests: Callable[[Service, Workload], Iterable[bytes]]


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("exchange", '"token":"', lambda service, work: map(service.exchange, work.codes())),
        Operation("first", '"token":"', lambda service, work: map(service.exchange, work.first_codes())),
        Operation("mixed", '"token":"', lambda service, work: map(service.exchange, work.mixed_codes())),
        Operation("viewer", "@example.com", lambda service, work: map(service.viewer, work.tokens())),
        Operation("page", '"EXTERNAL_JWT"', lambda service, work: (service.page(p, work) for p in work.some())),
        Operation("seats", '"used":', lambda service, work: (service.seats() for _ in range(100))),
        Operation("search", "@example.com", lambda service, work: map(service.search, work.some())),
    )
}


def _middle(person: Person) -> str:
    """The middle of an address, which few others have too."""
    return person.email[2:].partition("example")[0]


def _post(path: str, body: object, token: str | None = None) -> bytes:
    return _request("POST", path, token, json.dumps(body, separators=(",", ":")).encode())


def _request(method: str, path: str, token: str | None = None, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
