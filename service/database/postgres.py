"""PostgreSQL for a server: Tortoise's asyncpg client without the reset that costs a round trip for every query."""

from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import TransactionContext, TransactionContextPooled
from tortoise.exceptions import OperationalError

from service.errors import BadUserInput


class _PlainWords(AsyncpgDBClient):
    """PostgreSQL's text holds no NUL, and GraphQL's strings may: that is the client's mistake, and none of ours."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except OperationalError as error:
            if isinstance(error.__cause__, asyncpg.CharacterNotInRepertoireError):
                raise BadUserInput(
                    "A text has a NUL character in it, which cannot be stored or searched for. Take it out."
                ) from error
            raise


class Transaction(_PlainWords, TransactionWrapper):
    """A transaction on a connection of the pool."""


class Client(_PlainWords):
    """asyncpg rolls a forgotten transaction back by itself; no other state is ever set on a connection."""

    async def create_pool(self, **kwargs: Any) -> "asyncpg.Pool[asyncpg.Record]":
        return await super().create_pool(reset=_keep_as_it_is, **kwargs)

    def _in_transaction(self) -> TransactionContext:
        return TransactionContextPooled(Transaction(self), self._pool_init_lock)


async def _keep_as_it_is(connection: object) -> None:
    """No `LISTEN`, no session settings, no advisory locks: nothing to reset."""


client_class = Client
