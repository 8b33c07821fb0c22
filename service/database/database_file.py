"""Notices that the file of a SQLite database was deleted or replaced while it is open.

SQLite goes on with the file that has no name any more: what it commits is lost at the end of the process.
"""

import time
from pathlib import Path

CHECKED_EVERY = 1.0  # seconds


class DatabaseFileGoneError(OSError):
    """The file that is open is not the one at the database's path."""


class DatabaseFile:
    """The file at the path when the database was opened."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._opened: tuple[int, int] | None = None
        self._checked_at = 0.0

    def check(self) -> None:
        """Raise `DatabaseFileGoneError` if another file or none is at the path. Looks once in `CHECKED_EVERY` seconds."""
        moment = time.monotonic()
        if moment - self._checked_at >= CHECKED_EVERY:
            found = self._identity()
            self._opened = self._opened or found
            if found is None or found != self._opened:
                raise DatabaseFileGoneError("the file of the database was deleted or replaced; restart the service")
            self._checked_at = moment

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
