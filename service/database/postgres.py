"""Tortoise's asyncpg client without the reset of each connection, which costs a round trip for every query.

A request waits `LONGEST_WAIT` for a connection of the pool, and is answered 503 then.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base_postgres.client import translate_exceptions
from tortoise.exceptions import OperationalError, TransactionManagementError

from service.database.limited_reads import PoolBusyError, Turns, read_error
from service.errors import BadUserInput

LONGEST_WAIT = 10.0  # seconds for a free connection; asyncpg itself waits without end


class _RejectsNul(AsyncpgDBClient):
    """Rejects NUL in values: GraphQL strings may hold it, PostgreSQL text may not. Raises an error for the client."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._translate_exceptions(func, *args, **kwargs)
        except TransactionManagementError as error:
            if isinstance(error.__cause__, asyncpg.ReadOnlySQLTransactionError):
                await self._renew_connections()
            raise
        except OperationalError as error:
            if isinstance(error.__cause__, asyncpg.CharacterNotInRepertoireError):
                raise BadUserInput(
                    "A text has a NUL character in it, which cannot be stored or searched for. Take it out."
                ) from error
            raise

    async def _renew_connections(self) -> None:
        """Connect again from now on: after a failover, the server of these connections stays read-only."""
        pool = self._parent._pool if isinstance(self, TransactionWrapper) else self._pool
        if pool is not None:
            await pool.expire_connections()

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[asyncpg.Record]:
        """Return the rows of a query."""
        async with self.acquire_connection() as connection:
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
        async with self.acquire_connection() as connection:
            return int((await connection.execute(query, *values)).rpartition(" ")[2])


class Transaction(_RejectsNul, TransactionWrapper):
    """A transaction on a connection of the pool."""

    async def begin(self) -> None:
        """Begin at the isolation level that the locks are written for, whatever the database's default is."""
        self.transaction = self._connection.transaction(isolation="read_committed")
        await self.transaction.start()

    async def undo(self) -> None:
        """Roll back. If the connection fails meanwhile, the pool closes it or asyncpg rolls back."""
        if not self._finalized:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self.rollback()


class _Acquiring:
    """A pooled connection for one statement. Raises `PoolBusyError` if none is free in time."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._connection: Any = None

    async def __aenter__(self) -> Any:
        self._connection = await _acquire(self._pool)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._pool.release(self._connection)


class _InTransaction:
    """A pooled connection for one statement, inside a transaction of its own.

    A pooler in transaction mode may give each message outside a transaction to another server. asyncpg parses and runs
    a statement by two messages, and the second would not find what the first has parsed.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._acquiring = _Acquiring(pool)
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

    def __init__(self, *, connect: Mapping[str, Any], transaction_pooling: bool, **kwargs: Any) -> None:
        """`connect` goes to asyncpg as it is; `transaction_pooling` says that a pooler is in between."""
        super().__init__(**kwargs)
        self._connect = connect
        self._transaction_pooling = transaction_pooling
        self._turns = Turns()

    def acquire_connection(self) -> Any:
        """Return the context of one statement's connection."""
        if self._pool is None:
            return super().acquire_connection()  # opens the pool
        return (_InTransaction if self._transaction_pooling else _Acquiring)(self._pool)

    @translate_exceptions
    async def read_limited(
        self, query: str, values: Sequence[object], seconds: float, scans: bool
    ) -> Sequence[asyncpg.Record]:
        """Return the rows of a query. Raises `ReadTooLongError` if it takes longer, with the wait for its turn."""
        left = await self._turns.take(scans=scans, seconds=seconds)
        try:
            async with self.acquire_connection() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL statement_timeout = {round(left * 1000)}")
                rows: list[asyncpg.Record] = await connection.fetch(query, *values)
                return rows
        except asyncpg.QueryCanceledError as error:
            raise read_error(left, seconds) from error
        finally:
            self._turns.give_back(scans=scans)

    async def create_pool(self, **kwargs: Any) -> "asyncpg.Pool[asyncpg.Record]":
        """Create the pool without resets."""
        return await asyncpg.create_pool(
            **self._connect,
            min_size=self.pool_minsize,
            max_size=self.pool_maxsize,
            # Behind a pooler, a default that one client sets reaches the others. There every statement names its level.
            init=None if self._transaction_pooling else _read_committed_by_default,
            reset=_keep_as_it_is,
        )

    async def take(self) -> Transaction:
        """Take a connection from the pool for one transaction. The caller must release it in every case."""
        assert self._pool is not None, "opening the database has made it"
        transaction = Transaction(self)
        transaction._connection = await _acquire(self._pool)
        return transaction

    async def give_back(self, transaction: Transaction) -> None:
        """Give the connection back. If there is no pool, the database was closed meanwhile."""
        if self._pool is not None:
            await self._pool.release(transaction._connection)  # type: ignore[arg-type]


async def _acquire(pool: "asyncpg.Pool[asyncpg.Record]") -> Any:
    try:
        return await pool.acquire(timeout=LONGEST_WAIT)
    except TimeoutError as error:
        raise PoolBusyError(f"no connection became free in {LONGEST_WAIT:.0f} seconds") from error


async def _read_committed_by_default(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """The locks are written for READ COMMITTED. An operator may have set another default for the database or the role."""
    if await connection.fetchval("SHOW default_transaction_isolation") != "read committed":
        await connection.execute("SET default_transaction_isolation = 'read committed'")


async def _keep_as_it_is(connection: object) -> None:
    """Do not reset the connection: the service uses no `LISTEN`, no session settings and no advisory locks on it."""


client_class = Client
