"""PostgreSQL for a server: Tortoise's asyncpg client without the reset that costs a round trip for every query."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base_postgres.client import translate_exceptions
from tortoise.exceptions import OperationalError

from service.errors import BadUserInput


class _RejectsNul(AsyncpgDBClient):
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

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[asyncpg.Record]:
        """The rows of a look-up."""
        async with self.acquire_connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *values)
            return rows

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """The rows that the statement changed: the last word of the command's tag, `UPDATE 1` or `INSERT 0 1`."""
        async with self.acquire_connection() as connection:
            return int((await connection.execute(query, *values)).rpartition(" ")[2])


class Transaction(_RejectsNul, TransactionWrapper):
    """A transaction on a connection of the pool."""

    async def undo(self) -> None:
        """Roll back, as far as it came. A connection that cannot is closed by the pool, or rolled back by asyncpg."""
        if not self._finalized:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self.rollback()


class Client(_RejectsNul):
    """asyncpg rolls a forgotten transaction back by itself; no other state is ever set on a connection."""

    async def create_pool(self, **kwargs: Any) -> "asyncpg.Pool[asyncpg.Record]":
        """The pool, without its resets."""
        return await super().create_pool(reset=_keep_as_it_is, **kwargs)

    async def take(self) -> Transaction:
        """A connection of the pool for one transaction, to be given back whatever happens."""
        assert self._pool is not None, "opening the database has made it"
        transaction = Transaction(self)
        transaction._connection = await self._pool.acquire()  # type: ignore[assignment]
        return transaction

    async def give_back(self, transaction: Transaction) -> None:
        """The end of a transaction. Without a pool, the database was closed meanwhile."""
        if self._pool is not None:
            await self._pool.release(transaction._connection)  # type: ignore[arg-type]


async def _keep_as_it_is(connection: object) -> None:
    """No `LISTEN`, no session settings, no advisory locks: nothing to reset."""


client_class = Client
