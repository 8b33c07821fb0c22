"""Reads with a time limit, for statements that may scan a table on a user's request, such as a search.

A scan of a million users takes 0.1 to 0.5 seconds of CPU. Without a limit a few of them at the same time would keep every
other request of the same kind waiting.

- On SQLite they run in two threads with connections of their own, and are interrupted at their deadline.
- On PostgreSQL they run under a `statement_timeout`, on a few connections of the pool.

The time that a read waits for its turn counts too, so a request never waits for longer than its limit.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

SCANS_AT_ONCE = 2
INDEXED_AT_ONCE = 4  # of the 10 connections of PostgreSQL's pool, so that searches leave some for all other requests
_STEPS_BETWEEN_CHECKS = 10_000  # of SQLite's virtual machine, about half a millisecond


class ReadTooLongError(Exception):
    """The read was stopped at its limit."""


class PoolBusyError(TimeoutError):
    """No connection became free in time: the database cannot do its work now."""


class ReadsBusyError(ReadTooLongError):
    """The read had less than half of its time, because others were running."""


def read_error(left: float, limit: float) -> ReadTooLongError:
    """Return the error for a read that was stopped, of whose limit so many seconds were left when it began."""
    return ReadsBusyError() if left < limit / 2 else ReadTooLongError()


class ScanThreads:
    """The threads and connections for scans of one SQLite database. They are made when they are needed."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._threads = ThreadPoolExecutor(SCANS_AT_ONCE, thread_name_prefix="scan")
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def fetch(self, query: str, values: Sequence[object], seconds: float) -> Sequence[sqlite3.Row]:
        """Return the rows. Raises `ReadTooLongError`."""
        deadline = time.monotonic() + seconds
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._threads, self._run, query, values, seconds, deadline)

    def _run(self, query: str, values: Sequence[object], seconds: float, deadline: float) -> Sequence[sqlite3.Row]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ReadsBusyError
        connection = self._connection()
        connection.set_progress_handler(lambda: time.monotonic() >= deadline, _STEPS_BETWEEN_CHECKS)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise read_error(left, seconds) from error
            raise

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._own, "connection"):
            self._own.connection = self._connect()
            self._opened.append(self._own.connection)
        connection: sqlite3.Connection = self._own.connection
        return connection

    async def close(self) -> None:
        """Wait for the scans that run, which their limits bound, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for connection in self._opened:
            connection.close()


class Turns:
    """Lets a few reads of each kind run at the same time. Searches by an index do not wait for scans."""

    def __init__(self) -> None:
        self._turns = {True: asyncio.Semaphore(SCANS_AT_ONCE), False: asyncio.Semaphore(INDEXED_AT_ONCE)}

    async def take(self, *, scans: bool, seconds: float) -> float:
        """Wait for a turn, and return how many seconds are left. Raises `ReadsBusyError`. Pair it with `give_back`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self._turns[scans].acquire()
        except TimeoutError:
            raise ReadsBusyError from None
        return max(0.001, seconds - (time.monotonic() - started))

    def give_back(self, *, scans: bool) -> None:
        """End a turn."""
        self._turns[scans].release()
