"""SQLite for a server: separate connections for three kinds of work, so that none waits for another.

- A look-up that an index answers runs in the event loop's thread. A switch to another thread would cost ten times as
  much as the look-up, and in WAL mode a reader never waits for a lock.
- A read that is usually as short, such as a page of a list, begins there too. After `STEPS_AT_ONCE` it is stopped, and
  starts again as a longer read.
- Scans that a search needs run in two threads of their own, for a limited time (`limited_reads.py`).
- Longer reads run in the thread of the reading connection, transactions in the thread of the writing connection.
- A single writing statement runs in the event loop's thread too, in a group with those of other requests
  (`group_commit.py`).
"""

import sqlite3
from collections.abc import Sequence
from itertools import count
from typing import Any

from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper, translate_exceptions

from service.database.checkpoints import LONGEST_LOG, Checkpoints
from service.database.database_file import DatabaseFile
from service.database.group_commit import GroupCommit, is_busy
from service.database.limited_reads import ScanThreads
from service.metrics import COMMIT_SIZE

MAPPED_BYTES = 1 << 30  # of the file, at most: a page that is mapped is read without a system call and not copied
SCAN_CACHE = -2_048  # KiB for each connection that scans: a scan uses no page twice
STEPS_AT_ONCE = 20_000  # of SQLite's virtual machine, about a millisecond: a page of 200 users takes 8,000
_STEPS_BETWEEN_CHECKS = 2_000


class ImmediateTransaction(SqliteTransactionWrapper):
    """A transaction that holds the write lock from its beginning (`BEGIN IMMEDIATE`)."""

    async def begin(self) -> None:
        """Wait until no other process writes, then take the write lock."""
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")

    async def undo(self) -> None:
        """Roll back if the transaction has begun."""
        await self._connection.rollback()

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[sqlite3.Row]:
        """Return the rows as this transaction sees them."""
        return list(await self._connection.execute_fetchall(query, values))

    read_short = read_one

    async def read_limited(
        self, query: str, values: Sequence[object], seconds: float, scans: bool
    ) -> Sequence[sqlite3.Row]:
        """Return the rows as this transaction sees them. Inside a transaction there is no limit."""
        del seconds, scans
        rows: Sequence[sqlite3.Row] = await self.read_one(query, values)
        return rows

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it changed."""
        before = self._connection.total_changes
        await self._connection.execute_fetchall(query, values)
        return self._connection.total_changes - before


class EmbeddedDatabase(SqliteClient):
    """Reads, outside a transaction, on connections that refuse to write. Every write is a transaction."""

    def __init__(self, file_path: str, **kwargs: Any) -> None:
        super().__init__(file_path, **kwargs)
        self.pragmas["query_only"] = "ON"
        self.writer = SqliteClient(file_path, **kwargs | {"wal_autocheckpoint": LONGEST_LOG})
        self._at_once: sqlite3.Connection | None = None
        self._file = DatabaseFile(file_path)
        self._changes_before = 0
        self._scans = ScanThreads(lambda: self._connect(query_only="ON", cache_size=SCAN_CACHE))
        self.checkpoints = Checkpoints(file_path, self.writer._lock)
        self.group_commit = GroupCommit(self._connection_at_once, self.writer, self._committed)

    async def create_connection(self, with_db: bool) -> None:
        """Open all connections at the start, because a request that opens one may be cancelled."""
        await self.writer.create_connection(with_db)
        await super().create_connection(with_db)
        self._file.check()

    async def take(self) -> ImmediateTransaction:
        """Take the writing connection for one transaction. The caller must release it in every case."""
        assert self.writer._connection is not None, "opening the database has made it"
        self._file.check()
        await self.writer._lock.acquire()
        self._changes_before = self.writer._connection.total_changes
        return ImmediateTransaction(self.writer)

    async def give_back(self, _: ImmediateTransaction) -> None:
        """Give the writing connection back. What it changed counts toward the next checkpoint."""
        assert self.writer._connection is not None, "closing waits for transactions"
        self.writer._lock.release()
        self.checkpoints.count(self.writer._connection.total_changes - self._changes_before)

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[sqlite3.Row]:
        """Return the rows of a look-up that an index answers in microseconds. Waits if another process holds a lock."""
        try:
            return self._connection_at_once().execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        return list((await self.execute_query(query, list(values)))[1])

    @translate_exceptions
    async def read_short(self, query: str, values: Sequence[object]) -> Sequence[sqlite3.Row]:
        """Return the rows of a read that takes about as long as a look-up. One that takes longer moves to a thread."""
        connection, checks = self._connection_at_once(), count(1)
        connection.set_progress_handler(
            lambda: next(checks) * _STEPS_BETWEEN_CHECKS > STEPS_AT_ONCE, _STEPS_BETWEEN_CHECKS
        )
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if not is_busy(error) and error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
        finally:
            connection.set_progress_handler(None, 0)
        return list((await self.execute_query(query, list(values)))[1])

    @translate_exceptions
    async def read_limited(
        self, query: str, values: Sequence[object], seconds: float, scans: bool
    ) -> Sequence[sqlite3.Row]:
        """Return the rows. Raises `ReadTooLongError` for a scan that takes longer than the limit."""
        if scans:
            return await self._scans.fetch(query, values, seconds)
        return list((await self.execute_query(query, list(values)))[1])

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """Run one statement, and return how many rows it changed, after the commit that it shares with other requests."""
        return await self.group_commit.run(lambda connection: connection.execute(query, values).rowcount)

    def _committed(self, writes: int) -> None:
        COMMIT_SIZE.observe(writes)
        self.checkpoints.count(writes)

    def is_patient(self, connection: sqlite3.Connection) -> bool:
        """Return whether this is the writing connection, which waits for other processes in a thread of its own."""
        return self.writer._connection is not None and connection is self.writer._connection._conn

    def _connection_at_once(self) -> sqlite3.Connection:
        self._file.check()
        if self._at_once is None:
            self._at_once = self._connect(busy_timeout=0)
        return self._at_once

    def _connect(self, **pragmas: object) -> sqlite3.Connection:
        connection = sqlite3.connect(self.filename, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma, value in (self.writer.pragmas | {"mmap_size": MAPPED_BYTES} | pragmas).items():
            connection.execute(f"PRAGMA {pragma}={value}")
        return connection

    async def close(self) -> None:
        """Commit what is queued, and close all connections."""
        await self.group_commit.close()
        await self.checkpoints.close()
        await self._scans.close()
        if self._at_once is not None:
            self._at_once.close()
            self._at_once = None
        await self.writer.close()
        await super().close()


client_class = EmbeddedDatabase
