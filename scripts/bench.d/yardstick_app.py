"""The yardstick: what Python can do at most with the same parts, without an ORM and without GraphQL.

Starlette, PyJWT, orjson; sqlite3 in the event loop's own thread, with prepared statements, or bare asyncpg. It keeps the
rules that Doorcode keeps and that cost something: a session is stored before it is answered, under the hash of a token
of 256 bits; external ids and hashes are unique; the seat is taken in the transaction that inserts the user. It knows one
secret, one policy and one kind of session, it counts nothing and logs nothing.

Run by uvicorn, with YARDSTICK_DATABASE (a path, or a postgres:// URL), YARDSTICK_SECRET and YARDSTICK_ADMIN.
"""

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import jwt
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils import uuid7

SESSION_LIFETIME = 7 * 86_400_000  # milliseconds

# Of both databases. Times are milliseconds since 1970.
SCHEMA = """
CREATE TABLE users (
  id TEXT PRIMARY KEY, email TEXT NOT NULL, origin TEXT NOT NULL, external_id TEXT UNIQUE, created_at BIGINT NOT NULL
);
CREATE INDEX users_by_creation ON users (created_at, id);
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), token_hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE TABLE seats (used BIGINT NOT NULL, seat_limit BIGINT NOT NULL);
"""

_KNOWN = "SELECT id, email, origin FROM users WHERE external_id = $1"
_TAKE_SEAT = "UPDATE seats SET used = used + 1 WHERE used < seat_limit"
_ADD_USER = "INSERT INTO users (id, email, origin, external_id, created_at) VALUES ($1, $2, $3, $4, $5)"
_ADD_SESSION = "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)"
_VIEWER = "SELECT u.id, u.email FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = $1 AND s.expires_at > $2"
_PAGE = (
    "SELECT id, email, origin, created_at FROM users WHERE created_at <= $1 AND (created_at < $1 OR id < $2)"
    " ORDER BY created_at DESC, id DESC LIMIT 51"
)
_SEARCH = (
    "SELECT id, email, origin, created_at FROM users WHERE email LIKE $1 ORDER BY created_at DESC, id DESC LIMIT 51"
)
_SEATS = "SELECT used, seat_limit FROM seats"
_OPEN_FOR_KNOWN = (
    "WITH u AS (SELECT id, email, origin FROM users WHERE external_id = $1),"
    " s AS (INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at) SELECT $2, u.id, $3, $4, $5 FROM u)"
    " SELECT id, email, origin FROM u"
)


class Refused(Exception):
    """No user is signed in."""


class NewSession:
    """What is stored of a session, and its token, which is not."""

    def __init__(self) -> None:
        self.id = str(uuid7())
        self.token = secrets.token_urlsafe(32)
        self.token_hash = _hash(self.token)
        self.created_at = _now()
        self.expires_at = self.created_at + SESSION_LIFETIME


class OnSqlite:
    """Everything in the event loop's thread: nothing takes longer than handing it to another would."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"):
            self._execute(f"PRAGMA {pragma}")
        self._execute("PRAGMA cache_size=-65536")
        self._execute("PRAGMA mmap_size=1073741824")

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement.replace("$", "?"), values)

    async def close(self) -> None:
        self._connection.close()

    async def exchange(self, external_id: str, email: str) -> tuple[Any, NewSession]:
        """The user, and the session that was opened for it."""
        session = NewSession()
        user = self._execute(_KNOWN, (external_id,)).fetchone()
        if user is not None:
            self._open(session, user[0])
            return user, session
        self._execute("BEGIN IMMEDIATE")
        try:
            if self._execute(_TAKE_SEAT).rowcount != 1:
                raise Refused("SEAT_LIMIT")
            user = (str(uuid7()), email, "EXTERNAL_JWT")
            self._execute(_ADD_USER, (*user, external_id, session.created_at))
            self._open(session, user[0])
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")
        return user, session

    def _open(self, session: NewSession, user_id: str) -> None:
        self._execute(_ADD_SESSION, (session.id, user_id, session.token_hash, session.created_at, session.expires_at))

    async def viewer(self, token_hash: str) -> Any:
        """Whose live session this is."""
        return self._execute(_VIEWER, (token_hash, _now())).fetchone()

    async def rows(self, statement: str, *values: object) -> Any:
        """All rows of a statement."""
        return self._execute(statement, values).fetchall()


class OnPostgres:
    """A pool, and one statement for an exchange by a known user."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def close(self) -> None:
        await self._pool.close()

    async def exchange(self, external_id: str, email: str) -> tuple[Any, NewSession]:
        """The user, and the session that was opened for it."""
        session = NewSession()
        values = (session.token_hash, session.created_at, session.expires_at)
        async with self._pool.acquire() as connection:
            user = await connection.fetchrow(_OPEN_FOR_KNOWN, external_id, session.id, *values)
            if user is not None:
                return user, session
            async with connection.transaction():
                if await connection.execute(_TAKE_SEAT) != "UPDATE 1":
                    raise Refused("SEAT_LIMIT")
                user = (str(uuid7()), email, "EXTERNAL_JWT")
                await connection.execute(_ADD_USER, *user, external_id, session.created_at)
                await connection.execute(_ADD_SESSION, session.id, user[0], *values)
        return user, session

    async def viewer(self, token_hash: str) -> Any:
        """Whose live session this is."""
        return await self._pool.fetchrow(_VIEWER, token_hash, _now())

    async def rows(self, statement: str, *values: object) -> Any:
        """All rows of a statement."""
        return await self._pool.fetch(statement, *values)


async def exchange(request: Request) -> Response:
    try:
        claims = _verified(orjson.loads(await request.body())["code"])
        user, session = await request.app.state.database.exchange(claims["id"], claims["email"])
    except Refused as refusal:
        return _answer({"error": str(refusal)}, 401)
    return _answer(
        {
            "session": {"token": session.token, "expiresAt": _written(session.expires_at)},
            "user": {"id": user[0], "email": user[1], "origin": user[2]},
        }
    )


async def viewer(request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    user = await request.app.state.database.viewer(_hash(token)) if scheme == "Bearer" else None
    return _answer({"id": user[0], "email": user[1]}) if user else _answer({"error": "UNAUTHENTICATED"}, 401)


async def users(request: Request) -> Response:
    if not _is_admin(request):
        return _answer({"error": "UNAUTHENTICATED"}, 401)
    database, wanted = request.app.state.database, request.query_params
    if "search" in wanted:
        rows = await database.rows(_SEARCH, f"%{wanted['search']}%")
    else:
        rows = await database.rows(_PAGE, int(wanted["time"]), wanted["id"])
    shown = [
        {"cursor": f"{row[3]},{row[0]}", "id": row[0], "email": row[1], "origin": row[2], "createdAt": _written(row[3])}
        for row in rows[:50]
    ]
    return _answer({"users": shown, "hasNextPage": len(rows) > 50})


async def seats(request: Request) -> Response:
    if not _is_admin(request):
        return _answer({"error": "UNAUTHENTICATED"}, 401)
    [row] = await request.app.state.database.rows(_SEATS)
    return _answer({"used": row[0], "limit": row[1]})


def _is_admin(request: Request) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme == "Bearer" and secrets.compare_digest(_hash(token), _hash(os.environ["YARDSTICK_ADMIN"]))


async def ready(_: Request) -> Response:
    return Response("ok")


def _verified(code: str) -> dict[str, str]:
    try:
        claims = jwt.decode(code, os.environ["YARDSTICK_SECRET"], algorithms=["HS256"], options={"require": ["exp"]})
        return {"id": str(claims["user"]["id"]), "email": str(claims["user"]["email"])}
    except (jwt.PyJWTError, KeyError, TypeError) as error:
        raise Refused("INVALID_CODE") from error


def _answer(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _written(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


async def _keep_connection(_: object) -> None:
    """No session state is ever set, so nothing has to be reset."""


@asynccontextmanager
async def _lifespan(application: Starlette) -> AsyncIterator[None]:
    url = os.environ["YARDSTICK_DATABASE"]
    if url.startswith("postgres"):
        pool = await asyncpg.create_pool(url, min_size=8, max_size=8, reset=_keep_connection, command_timeout=10)
        application.state.database = OnPostgres(pool)
    else:
        application.state.database = OnSqlite(url)
    yield
    await application.state.database.close()


app = Starlette(
    routes=[
        Route("/exchange", exchange, methods=["POST"]),
        Route("/viewer", viewer),
        Route("/users", users),
        Route("/seats", seats),
        Route("/readyz", ready),
    ],
    lifespan=_lifespan,
)
