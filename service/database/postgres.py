"""Tortoise's asyncpg client without the reset of each connection, which costs a round trip for every query."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base_postgres.client import translate_exceptions
from tortoise.exceptions import OperationalError

from service.errors import BadUserInput


class _RejectsNul(AsyncpgDBClient):
    """Rejects NUL in values: GraphQL strings may hold it, PostgreSQL text may not. Raises an error for the client."""

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
        """Return the rows of a query."""
        async with self.acquire_connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *values)
            return rows

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it changed: the last word of `UPDATE 1` or `INSERT 0 1`."""
        async with self.acquire_connection() as connection:
            return int((await connection.execute(query, *values)).rpartition(" ")[2])


class Transaction(_RejectsNul, TransactionWrapper):
    """A transaction on a connection of the pool."""

    async def undo(self) -> None:
        """Roll back. If the connection fails meanwhile, the pool closes it or asyncpg rolls back."""
        if not self._finalized:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self.rollback()


class Client(_RejectsNul):
    """A client whose pool does not reset connections. asyncpg rolls back open transactions; no other state is set."""

    async def create_pool(self, **kwargs: Any) -> "asyncpg.Pool[asyncpg.Record]":
        """Create the pool without resets."""
        return await super().create_pool(reset=_keep_as_it_is, **kwargs)

    async def take(self) -> Transaction:
        """Take a connection from the pool for one transaction. The caller must release it in every case."""
        assert self._pool is not None, "opening the database has made it"
        transaction = Transaction(self)
        transaction._connection = await self._pool.acquire()  # type: ignore[assignment]
        return transaction

    async def give_back(self, transaction: Transaction) -> None:
        """Give the connection back. If there is no pool, the database was closed meanwhile."""
        if self._pool is not None:
            await self._pool.release(transaction._connection)  # type: ignore[arg-type]


async def _keep_as_it_is(connection: object) -> None:
    """Do not reset the connection: the service uses no `LISTEN`, no session settings and no advisory locks on it."""


client_class = Client
