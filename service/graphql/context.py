"""What every resolver is handed: the instance, who asks, and what is loaded together for this request."""

from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry
from starlette.requests import Request
from strawberry.dataloader import DataLoader

from service.accounts.models import User
from service.authority import Caller
from service.credentials import identify
from service.instance import Instance
from service.paging import Page
from service.sessions.lifecycle import LiveSession
from service.sessions.listing import count_live, first_pages


@dataclass(slots=True)
class Context:
    """One request."""

    instance: Instance
    caller: Caller
    response_headers: dict[str, str] = field(default_factory=dict)
    """Sent with the answer, `Retry-After` for one."""
    granted: list[LiveSession] = field(default_factory=list)
    """Sessions that this very request has signed somebody in with."""
    _session_pages: dict[int, DataLoader[User, Page]] = field(default_factory=dict)
    _session_counts: DataLoader[User, int] | None = None

    @property
    def own_sessions(self) -> list[LiveSession]:
        """The session that asks, and those that this request has opened: whose they are may see what is theirs."""
        return [*([self.caller.session] if self.caller.session else []), *self.granted]

    async def first_sessions(self, user: User, size: int) -> Page:
        """A user's first page of sessions: however many users ask for theirs, it is one query."""
        if size not in self._session_pages:

            async def load(users: list[User]) -> list[Page]:
                return await first_pages(users, size)

            self._session_pages[size] = DataLoader(load, cache_key_fn=_serial)
        return await self._session_pages[size].load(user)

    async def count_sessions(self, user: User) -> int:
        """How many live sessions a user has: one query for all users that are asked about."""
        if self._session_counts is None:
            self._session_counts = DataLoader(count_live, cache_key_fn=_serial)
        return await self._session_counts.load(user)


Info: TypeAlias = strawberry.Info[Context, None]


async def context_for(request: Request, instance: Instance) -> Context:
    """The context of a request over HTTP."""
    return Context(instance, await identify(request, instance.settings))


def _serial(user: User) -> int:
    return int(user.serial)
