"""PostgreSQL for a server: Tortoise's asyncpg client without the reset that costs a round trip for every query."""

from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from service.errors import BadUserInput


class Client(AsyncpgDBClient):
    """asyncpg rolls a forgotten transaction back by itself; no other state is ever set on a connection."""

    async def create_pool(self, **kwargs: Any) -> "asyncpg.Pool[asyncpg.Record]":
        return await super().create_pool(reset=_keep_as_it_is, **kwargs)

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except asyncpg.CharacterNotInRepertoireError as error:
            raise BadUserInput("A text has a NUL character in it, which cannot be stored or searched for. Take it out.") from error


async def _keep_as_it_is(connection: object) -> None:
    """No `LISTEN`, no session settings, no advisory locks: nothing to reset."""


client_class = Client
