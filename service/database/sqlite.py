"""SQLite for a server: connections for three kinds of work, so that none of them waits for another.

- What one indexed look-up answers is read in the event loop's own thread: handing it to another would cost ten times
  what it takes, and a reader never waits for a lock in WAL mode.
- Longer reads go to a reader's thread, and transactions to a writer's.
- A single statement that writes runs in the event loop's thread too, but only while no other writer is at work.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper, translate_exceptions

CHECKPOINT_PAGES = 4_000  # 16 MiB of log: the wait for the disk that comes with each checkpoint is seldom


class ImmediateTransaction(SqliteTransactionWrapper):
    """A transaction that is a writer from its beginning."""

    async def begin(self) -> None:
        """Wait until no other process writes, and keep others from it."""
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")

    async def undo(self) -> None:
        """Roll back, where it had begun."""
        await self._connection.rollback()

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[sqlite3.Row]:
        """Rows as this transaction sees them."""
        return list(await self._connection.execute_fetchall(query, values))

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """The rows that the statement changed."""
        before = self._connection.total_changes
        await self._connection.execute_fetchall(query, values)
        return self._connection.total_changes - before


class EmbeddedDatabase(SqliteClient):
    """Reads, outside a transaction, on connections that refuse to write: every write goes through the gate."""

    def __init__(self, file_path: str, **kwargs: Any) -> None:
        super().__init__(file_path, **kwargs)
        self.pragmas["query_only"] = "ON"
        self.writer = SqliteClient(file_path, **kwargs)
        self._at_once: sqlite3.Connection | None = None

    async def create_connection(self, with_db: bool) -> None:
        """All of them, so that no request that may be cancelled opens one."""
        await self.writer.create_connection(with_db)
        await super().create_connection(with_db)

    async def take(self) -> ImmediateTransaction:
        """The writer for one transaction, to be given back whatever happens."""
        assert self.writer._connection is not None, "opening the database has made it"
        await self.writer._lock.acquire()
        return ImmediateTransaction(self.writer)

    async def give_back(self, _: ImmediateTransaction) -> None:
        """The end of a transaction."""
        self.writer._lock.release()

    @translate_exceptions
    async def read_one(self, query: str, values: Sequence[object]) -> Sequence[sqlite3.Row]:
        """The rows of a look-up that an index answers in microseconds; where another process is in the way, it waits."""
        try:
            return self._connection_at_once().execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
        return list((await self.execute_query(query, list(values)))[1])

    @translate_exceptions
    async def write(self, query: str, values: Sequence[object]) -> int:
        """One statement in a transaction of its own; the rows that it changed.

        The lock keeps it from meeting a transaction of this process, for which the event loop would wait without end.
        Where another process is writing it goes to the writer's thread, which can wait.
        """
        async with self.writer._lock:
            try:
                return self._connection_at_once().execute(query, values).rowcount
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
            assert self.writer._connection is not None, "opening the database has made it"
            before = self.writer._connection.total_changes
            await self.writer._connection.execute_fetchall(query, values)
            return self.writer._connection.total_changes - before

    def _connection_at_once(self) -> sqlite3.Connection:
        if self._at_once is None:
            connection = sqlite3.connect(self.filename, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            for pragma, value in (
                self.writer.pragmas | {"busy_timeout": 0, "wal_autocheckpoint": CHECKPOINT_PAGES}
            ).items():
                connection.execute(f"PRAGMA {pragma}={value}")
            self._at_once = connection
        return self._at_once

    async def close(self) -> None:
        """Close all of them."""
        if self._at_once is not None:
            self._at_once.close()
            self._at_once = None
        await self.writer.close()
        await super().close()


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection is in the way, which waiting helps. The low byte is the kind, whatever the extension."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


client_class = EmbeddedDatabase
