"""The context of a request: the instance, the caller, and batched reads of this request."""

from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry
from starlette.requests import Request
from strawberry.dataloader import DataLoader

from service.accounts.lookup import find_all_by_id
from service.accounts.models import User
from service.authority import Caller
from service.credentials import identify
from service.instance import Instance
from service.paging import Page
from service.sessions.lifecycle import LiveSession
from service.sessions.listing import count_live, first_pages


@dataclass(slots=True)
class Context:
    """The context of one request."""

    instance: Instance
    caller: Caller
    response_headers: dict[str, str] = field(default_factory=dict)
    """Headers of the response, such as `Retry-After`."""
    granted: list[LiveSession] = field(default_factory=list)
    """The sessions that this request opened or continued by a sign-in."""
    _session_pages: dict[tuple[int, bool], DataLoader[User, Page]] = field(default_factory=dict)
    _users: DataLoader[str, User | None] | None = None
    _session_counts: dict[bool, DataLoader[User, int]] = field(default_factory=dict)

    @property
    def own_sessions(self) -> list[LiveSession]:
        """The sessions of the caller and of sign-ins in this request. Their users may read their own data."""
        return [*([self.caller.session] if self.caller.session else []), *self.granted]

    @property
    def shows_admin_sessions(self) -> bool:
        """Whether sessions with admin rights are listed: for API keys and for sessions that have these rights themselves."""
        return self.caller.may_read_everything or any(session.has_admin_rights for session in self.granted)

    async def find_user(self, user_id: str) -> User | None:
        """Return the user with this ID. One query finds all users of the request."""
        if self._users is None:
            self._users = DataLoader(find_all_by_id)
        return await self._users.load(user_id)

    async def first_sessions(self, user: User, size: int) -> Page:
        """Return the first page of a user's sessions. One query reads the pages of all users of the request."""
        with_admin_rights = self.shows_admin_sessions
        key = size, with_admin_rights
        if key not in self._session_pages:

            async def load(users: list[User]) -> list[Page]:
                return await first_pages(users, size, with_admin_rights=with_admin_rights)

            self._session_pages[key] = DataLoader(load, cache_key_fn=_serial)
        return await self._session_pages[key].load(user)

    async def count_sessions(self, user: User) -> int:
        """Return the number of live sessions of a user. One query counts for all users of the request."""
        with_admin_rights = self.shows_admin_sessions
        if with_admin_rights not in self._session_counts:

            async def load(users: list[User]) -> list[int]:
                return await count_live(users, with_admin_rights=with_admin_rights)

            self._session_counts[with_admin_rights] = DataLoader(load, cache_key_fn=_serial)
        return await self._session_counts[with_admin_rights].load(user)


Info: TypeAlias = strawberry.Info[Context, None]


async def context_for(request: Request, instance: Instance) -> Context:
    """Return the context of a request over HTTP."""
    return Context(instance, await identify(request, instance.settings))


def _serial(user: User) -> int:
    return int(user.serial)
