"""Writes each audit event to stdout as one line of JSON, after the commit, while a server runs that is asked to.

A folded event is written each time that its count was raised in the database: `count` says by how much, and the lines of
one folded event have the same `fold`. So the sum of the counts is how often it happened.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import structlog

from service.clock import MINUTE, now
from service.database import after_commit
from service.request_id import request_id
from service.settings import AuditStream, Settings

_log = structlog.get_logger()
_write: Callable[[str], None] | None = None


@contextmanager
def audit_stream(settings: Settings) -> Iterator[None]:
    """Write the events of this process to where the settings say, while the context is open."""
    global _write  # noqa: PLW0603  # one process has one stdout
    _write = _StandardOutput().write if settings.audit_stream is AuditStream.STDOUT else None
    try:
        yield
    finally:
        _write = None


def is_streaming() -> bool:
    """Return whether events are written to stdout."""
    return _write is not None


def stream_event(
    action: str,
    actor: str,
    detail: Mapping[str, object],
    created_at: datetime,
    *,
    event_id: str | None = None,
    fold: str | None = None,
    count: int = 1,
    **rest: str | None,
) -> None:
    """Write an event once the open transaction is committed, or at once if none is open. `rest` are more members."""
    if (write := _write) is None:
        return
    event: dict[str, object] = {
        "id": event_id,
        "createdAt": created_at.isoformat(),
        "action": action,
        "actor": actor,
        **rest,
        "requestId": request_id.get() if fold is None else None,
        "detail": dict(detail),
    }
    if fold is not None:
        event |= {"fold": fold, "count": count}
    line = json.dumps(event, ensure_ascii=False) + "\n"
    after_commit(lambda: write(line))


class _StandardOutput:
    """Writes a line by one system call, so that the lines of several processes are not mixed (up to 4 KiB in a pipe)."""

    def __init__(self) -> None:
        self._told_at: datetime | None = None

    def write(self, line: str) -> None:
        """Write the line. An error loses it, and the log says so once a minute: the event is in the audit log."""
        try:
            data = line.encode(errors="backslashreplace")
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except (OSError, ValueError) as error:
            if self._told_at is None or now() - self._told_at > MINUTE:
                self._told_at = now()
                _log.error("audit_stream_failed", error=type(error).__name__)
