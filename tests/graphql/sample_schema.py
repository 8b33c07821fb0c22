"""A small schema with every kind of field that the HTTP edge has to cope with, and the endpoint over it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Annotated, Any

import httpx2
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.schema.config import StrawberryConfig

from service.errors import Forbidden, RequestRefused, TooManyAttempts, Unauthenticated
from service.graphql.scalars import JSON, SCALAR_MAP
from service.graphql.server.documents import Documents
from service.graphql.server.http import GraphQLEndpoint


@dataclass
class SampleContext:
    """A context as the service has one."""

    request: Request | None = None
    response_headers: dict[str, str] = field(default_factory=dict)


Info = strawberry.Info[SampleContext, None]


@strawberry.enum
class Order(Enum):
    """Ways to sort."""

    NEWEST = "newest"
    OLDEST = "oldest"


@strawberry.input
class Filter:
    """What to find."""

    email: str | None = None
    search: strawberry.Maybe[str]
    created_after: datetime | None = None


@strawberry.type
class Session:
    """A session."""

    id: strawberry.ID

    @strawberry.field
    def user(self) -> "User":
        return EVE


@strawberry.type
class SessionConnection:
    """A page of sessions."""

    nodes: list[Session]
    total_count: int


@strawberry.type
class User:
    """A user."""

    id: strawberry.ID
    email: str | None

    @strawberry.field
    def sessions(self, first: int | None = 20, after: str | None = None) -> SessionConnection:
        return SessionConnection(nodes=[Session(id=strawberry.ID("s1"))], total_count=1)

    @strawberry.field
    def friend(self) -> "User | None":
        return EVE

    @strawberry.field
    def broken(self) -> str:
        raise RuntimeError("the inside is showing")


EVE = User(id=strawberry.ID("u1"), email="eve@example.test")


@strawberry.type
class UserConnection:
    """A page of users."""

    nodes: list[User]
    total_count: int


@strawberry.type
class Grant:
    """Signed in."""

    token: str
    user: User
    expires_at: datetime


@strawberry.type
class SignInError:
    """Not signed in."""

    code: str
    message: str


Result = Annotated[Grant | SignInError, strawberry.union("Result")]


@strawberry.type
class Query:
    """Everything that can be asked."""

    @strawberry.field
    def methods(self) -> list[str]:
        return ["EMAIL"]

    @strawberry.field
    def viewer(self) -> User | None:
        return EVE

    @strawberry.field
    def user(self, wanted: Annotated[strawberry.ID, strawberry.argument(name="id")]) -> User | None:
        return EVE if wanted == EVE.id else None

    @strawberry.field
    def users(
        self,
        first: int | None = None,
        last: int | None = None,
        matching: Annotated[Filter | None, strawberry.argument(name="filter")] = None,
        order_by: Order = Order.NEWEST,
    ) -> UserConnection | None:
        return UserConnection(nodes=[EVE], total_count=1)

    @strawberry.field
    def echo(self, text: str = "") -> str:
        return text

    @strawberry.field
    def at_least(self, number: int = 1) -> int:
        return number

    @strawberry.field
    def moment(self, at: datetime | None = None) -> datetime | None:
        return at

    @strawberry.field
    def metadata(self) -> JSON:
        return JSON({"big": 2**80, "small": [1, None, "ü"]})

    @strawberry.field
    def elsewhere(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    @strawberry.field
    def naive(self) -> datetime | None:
        return datetime(2030, 1, 1)  # noqa: DTZ001  # the mistake that is wanted

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("the inside is showing")

    @strawberry.field
    def wrong_type(self) -> int | None:
        return "not a number"  # type: ignore[return-value]

    @strawberry.field
    def forbidden(self) -> str | None:
        raise Forbidden("Only an administrator may.", cause="what only the log may hold")

    @strawberry.field
    async def held_up(self, info: Info) -> str | None:
        raise TooManyAttempts("Wait a little.", retry_after=7)

    @strawberry.field
    async def waits_for_a_cancelled_task(self) -> str | None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task
        return None

    @strawberry.field
    async def slow(self, info: Info) -> str:
        SLOW.started.set()
        await SLOW.release.wait()
        return "done"


@dataclass
class _Slow:
    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


SLOW = _Slow()


@strawberry.type
class Mutation:
    """Everything that can be done."""

    @strawberry.mutation
    async def exchange(self, info: Info, code: str) -> Result:
        MUTATED.append(code)
        if code == "good":
            return Grant(token="dcs_x", user=EVE, expires_at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
        info.context.response_headers["Retry-After"] = "3"
        return SignInError(code="TOO_MANY_ATTEMPTS", message="no")


MUTATED: list[str] = []
"""The codes that mutations were handed: proof of what ran."""

SCHEMA = strawberry.Schema(Query, Mutation, config=StrawberryConfig(scalar_map=SCALAR_MAP))


@dataclass
class SampleEndpoint:
    """An endpoint, and what it told the log."""

    introspection: bool = True
    graphiql: bool = False
    context_for: Callable[[Request], Awaitable[SampleContext]] | None = None
    internal_errors: list[tuple[BaseException, str]] = field(default_factory=list)
    refusals: list[RequestRefused] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Puts the endpoint where the service has it."""
        self.documents = Documents(SCHEMA, introspection=self.introspection)
        self.endpoint = GraphQLEndpoint(
            SCHEMA,
            self.documents,
            context_for=self.context_for or _context_for,
            on_internal_error=lambda error, reference: self.internal_errors.append((error, reference)),
            on_refusal=lambda refusal, _: self.refusals.append(refusal),
            graphiql=self.graphiql,
        )
        self.app = Starlette(routes=[Route("/graphql", self.endpoint)])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        """A client in this process; what the application raises, it raises."""
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://sample.test") as client:
            yield client

    async def send(self, body: Any, **headers: str) -> httpx2.Response:
        """Post this, as JSON unless it is bytes."""
        async with self.client() as client:
            if isinstance(body, bytes):
                content_type = headers.pop("content_type", "application/json")
                names = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.post("/graphql", content=body, headers={"content-type": content_type, **names})
            return await client.post("/graphql", json=body, headers=headers)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to this document; it has to be one of status 200."""
        response = await self.send({"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


async def _context_for(request: Request) -> SampleContext:
    return SampleContext(request)


def messages(answer: dict[str, Any]) -> list[str]:
    """Of the errors in an answer."""
    return [error["message"] for error in answer.get("errors", [])]


def codes(answer: dict[str, Any]) -> list[str]:
    """`extensions.code` of the errors in an answer."""
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


async def refuse_context(_request: Request) -> SampleContext:
    raise Unauthenticated("Sign in first.")


def post_scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    every = [(b"content-type", b"application/json"), *headers]
    return {"type": "http", "method": "POST", "path": "/graphql", "headers": every, "query_string": b""}
