"""Tortoise's asyncpg client without the reset of each connection, which costs a round trip for every query.

Waits are bounded: for a connection of the pool (`postgres_pool.py`), for locks, and for the answer of a statement.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base_postgres.client import translate_exceptions
from tortoise.exceptions import OperationalError, TransactionManagementError

from service.database.limited_reads import PoolBusyError, Turns, read_error
from service.database.postgres_pool import BoundedPool, Pool, Share
from service.errors import BadUserInput

_UNDO_SECONDS = 2.0  # in which the server may confirm a rollback, else the connection is closed


class _RejectsNul(AsyncpgDBClient):
    """Rejects NUL in values: GraphQL strings may hold it, PostgreSQL text may not. Raises an error for the client."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except TransactionManagementError as error:
            if isinstance(error.__cause__, asyncpg.ReadOnlySQLTransactionError):  # after a failover, it stays read-only
                await self._renew_connections()
            raise
        except asyncpg.InvalidCachedStatementError:  # every connection has prepared its own statements
            await self._renew_connections()
            raise
        except PoolBusyError:
            raise
        except TimeoutError:  # the server does not answer: it may have lost its network, and never close a connection
            await self._renew_connections()
            raise
        except OperationalError as error:
            if isinstance(error.__cause__, asyncpg.CharacterNotInRepertoireError):
                raise BadUserInput(
                    "A text has a NUL character in it, which cannot be stored or searched for. Take it out."
                ) from error
            raise

    async def _renew_connections(self) -> None:
        """Connect again from now on, because what is wrong with one connection is wrong with all of them."""
        pool = self._parent._pool if isinstance(self, TransactionWrapper) else self._pool
        if pool is not None:
            await pool.expire_connections()

    def connection_for(self, query: str) -> Any:
        """Return the context of the connection for this statement. In a transaction, it is that of the transaction."""
        del query
        return self.acquire_connection()

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[asyncpg.Record]:
        """Return the rows of a query."""
        async with self.connection_for(query) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *values)
            return rows

    read_short = read_one

    async def read_limited(
        self, query: str, values: Sequence[object], seconds: float, scans: bool
    ) -> Sequence[asyncpg.Record]:
        """Return the rows of a query. Inside a transaction there is no limit."""
        del seconds, scans
        rows: Sequence[asyncpg.Record] = await self.read_one(query, values)
        return rows

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it changed: the last word of `UPDATE 1` or `INSERT 0 1`."""
        async with self.connection_for(query) as connection:
            return int((await connection.execute(query, *values)).rpartition(" ")[2])


class Transaction(_RejectsNul, TransactionWrapper):
    """A transaction on a connection of the pool."""

    async def begin(self) -> None:
        """Begin at the isolation level that the locks are written for, whatever the database's default is."""
        self.transaction = self._connection.transaction(isolation="read_committed")
        await self.transaction.start()

    async def undo(self) -> None:
        """Roll back. If the server does not answer, close the connection: then it rolls back by itself."""
        if self._finalized:
            return
        try:
            async with asyncio.timeout(_UNDO_SECONDS):
                await self.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            with suppress(asyncpg.InterfaceError):
                self._connection.terminate()


class _Acquiring:
    """A pooled connection for one statement. Raises `PoolBusyError` if none is free in time."""

    def __init__(self, pool: BoundedPool, share: str) -> None:
        self._pool = pool
        self._share = share
        self._connection: Any = None

    async def __aenter__(self) -> Any:
        self._connection = await self._pool.acquire(self._share)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._pool.release(self._connection, self._share)


class _InTransaction:
    """A pooled connection for one statement, inside a transaction of its own.

    A pooler in transaction mode may give each message outside a transaction to another server. asyncpg parses and runs
    a statement by two messages, and the second would not find what the first has parsed.
    """

    def __init__(self, pool: BoundedPool, share: str) -> None:
        self._acquiring = _Acquiring(pool, share)
        self._transaction: Any = None

    async def __aenter__(self) -> Any:
        connection = await self._acquiring.__aenter__()
        self._transaction = connection.transaction(isolation="read_committed")
        try:
            await self._transaction.start()
        except BaseException:
            await self._acquiring.__aexit__(None, None, None)
            raise
        return connection

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            await self._transaction.__aexit__(kind, error, traceback)
        finally:
            await self._acquiring.__aexit__(kind, error, traceback)


class Client(_RejectsNul):
    """A client whose pool does not reset connections. asyncpg rolls back open transactions; no other state is set."""

    def __init__(
        self,
        *,
        connect: Mapping[str, Any],
        transaction_pooling: bool,
        longest_wait: float,
        limits: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        """`connect` goes to asyncpg as it is; `transaction_pooling` says that a pooler is in between.

        `longest_wait` is in seconds. `limits` are settings of the session that bound its statements.
        """
        super().__init__(**kwargs)
        self._connect = connect
        self._transaction_pooling = transaction_pooling
        self._longest_wait = longest_wait
        self._limits = limits
        self._turns = Turns()
        self._bounded: BoundedPool

    def acquire_connection(self) -> Any:
        """Return the context of one statement's connection, for statements of the ORM."""
        return self.connection_for(Share.OTHER)

    def connection_for(self, query: str) -> Any:
        """Return the context of one statement's connection, in the share of this statement."""
        if self._pool is None:
            return super().acquire_connection()  # opens the pool
        return (_InTransaction if self._transaction_pooling else _Acquiring)(self._bounded, query)

    @translate_exceptions
    async def read_limited(
        self, query: str, values: Sequence[object], seconds: float, scans: bool
    ) -> Sequence[asyncpg.Record]:
        """Return the rows of a query. Raises `ReadTooLongError` if it takes longer, with the wait for its turn."""
        left = await self._turns.take(scans=scans, seconds=seconds)
        try:
            async with self.connection_for(Share.SEARCH) as connection, connection.transaction():
                await connection.execute(f"SET LOCAL statement_timeout = {round(left * 1000)}")
                rows: list[asyncpg.Record] = await connection.fetch(query, *values)
                return rows
        except asyncpg.QueryCanceledError as error:
            raise read_error(left, seconds) from error
        finally:
            self._turns.give_back(scans=scans)

    async def create_pool(self, **kwargs: Any) -> Pool:
        """Create the pool without resets."""
        pool = await asyncpg.create_pool(
            **self._connect,
            min_size=self.pool_minsize,
            max_size=self.pool_maxsize,
            # Behind a pooler, what one client sets reaches the others. There every statement names its level, and only
            # the wait for the answer is bounded.
            init=None if self._transaction_pooling else self._set_up,
            reset=_keep_as_it_is,
        )
        self._bounded = BoundedPool(pool, self._longest_wait)
        return pool

    async def _set_up(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await _read_committed_by_default(connection)
        if self._limits:
            await connection.execute("; ".join(f"SET {name} = {value}" for name, value in self._limits.items()))

    async def take(self) -> Transaction:
        """Take a connection from the pool for one transaction. The caller must release it in every case."""
        transaction = Transaction(self)
        transaction._connection = await self._bounded.acquire(Share.TRANSACTION)
        return transaction

    async def give_back(self, transaction: Transaction) -> None:
        """Give the connection back. If there is no pool, the database was closed meanwhile."""
        if self._pool is not None:
            await self._bounded.release(transaction._connection, Share.TRANSACTION)


async def _read_committed_by_default(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """The locks are written for READ COMMITTED. An operator may have set another default for the database or the role."""
    if await connection.fetchval("SHOW default_transaction_isolation") != "read committed":
        await connection.execute("SET default_transaction_isolation = 'read committed'")


async def _keep_as_it_is(connection: object) -> None:
    """Do not reset the connection: the service uses no `LISTEN`, no session settings and no advisory locks on it."""


client_class = Client
