"""Checkpoints of SQLite's write-ahead log, in a thread, so that no request waits for the disk.

SQLite's own checkpoint runs in the commit that finds the log too long: it copies thousands of pages, and waits twice for
the disk. In the event loop's thread every request waits for it: the slowest exchange of a hundred took 33 ms, and takes
13 ms without. The connections keep an automatic checkpoint for a much longer log (`LONGEST_LOG`), for commands, and in
case that a reader of another process holds the log.
"""

import asyncio
import sqlite3
from contextlib import closing, suppress
from functools import partial

WRITES_BETWEEN = 1_000  # about 16 MiB of log, if each write is a session
LONG_LOG = 16_000  # pages (64 MiB), what `journal_size_limit` leaves of the file
_LONGEST_WAIT = 5.0  # seconds
LONGEST_LOG = 32_000  # pages (128 MiB)


class Checkpoints:
    """Copies the log to the database file after every thousand writes."""

    def __init__(self, path: str, writing: asyncio.Lock) -> None:
        """`writing` is the lock of this process's writers."""
        self._path = path
        self._writing = writing
        self._writes = 0
        self._running: asyncio.Task[None] | None = None

    def count(self, writes: int) -> None:
        """Count writes that were committed, and begin a checkpoint when there were enough."""
        self._writes += writes
        if self._writes >= WRITES_BETWEEN and self._running is None:
            self._writes = 0
            self._running = asyncio.ensure_future(self._run())
            self._running.add_done_callback(self._end)

    async def empty_log(self) -> None:
        """Copy all of the log to the database file and cut the log off, so that it holds nothing that was deleted.

        Waits for readers of other processes for `_LONGEST_WAIT`. If one holds the log for longer, the log stays.
        """
        async with self._writing:
            await asyncio.to_thread(self._empty_log)

    async def close(self) -> None:
        """Wait for a checkpoint that is running."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        """SQLite uses the log from its beginning again only after a checkpoint that no writer has overtaken.

        Under load a writer always does, so the writers of this process wait for a checkpoint of what little is left.
        """
        if await asyncio.to_thread(self._checkpoint) >= LONG_LOG:
            async with self._writing:
                await asyncio.to_thread(self._checkpoint)

    def _checkpoint(self) -> int:
        """Copy what no reader holds back, and return how many pages the log has. It waits for no writer.

        An error is not reported: the data is safe in the log, and a disk that fails is reported by the next write.
        """
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return int(pages)
        return 0

    def _empty_log(self) -> None:
        connect = partial(sqlite3.connect, self._path, timeout=_LONGEST_WAIT, isolation_level=None)
        with suppress(sqlite3.Error), closing(connect()) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _end(self, _: "asyncio.Task[None]") -> None:
        self._running = None
