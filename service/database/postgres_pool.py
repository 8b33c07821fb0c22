"""The pool of PostgreSQL connections of one process, with bounds for those who wait.

Statements that wait for a lock in the database keep their connections. So the same statement holds `SAME_STATEMENT`
connections at most, and transactions together hold `TRANSACTIONS`: a lock on one table or row never takes the
connections of requests that do not need it.
"""

import asyncio
from typing import Any, TypeAlias

import asyncpg

from service.database.limited_reads import INDEXED_AT_ONCE, SCANS_AT_ONCE, PoolBusyError

POOL_SIZE = 10  # connections in each process; a request holds one for a few milliseconds
SAME_STATEMENT = 3
TRANSACTIONS = 4
OTHERS = 4  # statements that the ORM builds

_ENDING_SECONDS = 1.0  # in which the server may confirm that a statement is cancelled, else the connection is closed
_RETRY_SECONDS = 0.1  # until another connection is tried if the server has no room for one

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Share:
    """The names of the shares that are not named by a statement."""

    TRANSACTION = "transaction"
    SEARCH = "search"
    OTHER = "other"


_SIZES = {Share.TRANSACTION: TRANSACTIONS, Share.SEARCH: SCANS_AT_ONCE + INDEXED_AT_ONCE, Share.OTHER: OTHERS}


class BoundedPool:
    """Gives out the connections of asyncpg's pool."""

    def __init__(self, pool: Pool, longest_wait: float) -> None:
        """A request waits `longest_wait` seconds for a connection at most."""
        self._pool = pool
        self._longest_wait = longest_wait
        self._shares = _Shares()

    async def acquire(self, share: str) -> Any:
        """Return a connection. Raises `PoolBusyError` if none is free in time. Pair it with `release`."""
        try:
            async with asyncio.timeout(self._longest_wait):
                await self._shares[share].acquire()
                try:
                    return await self._connected()
                except BaseException:
                    self._shares[share].release()
                    raise
        except TimeoutError as error:
            raise PoolBusyError(f"no connection became free in {self._longest_wait:.0f} seconds") from error

    async def release(self, connection: Any, share: str) -> None:
        """Give a connection back. If its last statement was cancelled and the server does not confirm it, close it."""
        try:
            await self._pool.release(connection, timeout=_ENDING_SECONDS)
        except TimeoutError:
            pass  # the pool has closed it
        finally:
            self._shares[share].release()

    async def _connected(self) -> Any:
        """Return a connection of the pool. While the server has no room for another one, wait for those that there are."""
        while True:
            try:
                return await self._pool.acquire()
            except asyncpg.TooManyConnectionsError:
                await asyncio.sleep(_RETRY_SECONDS)


class _Shares(dict[str, asyncio.Semaphore]):
    """The semaphores by name. Few names occur, because the statements are constants of the program."""

    def __missing__(self, share: str) -> asyncio.Semaphore:
        self[share] = semaphore = asyncio.Semaphore(_SIZES.get(share, SAME_STATEMENT))
        return semaphore
