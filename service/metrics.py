"""Metrics for Prometheus. No label holds a value that a client can choose."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series `_created` beside every counter tells nothing here

SIGN_INS = Counter("doorcode_sign_ins", "Sign-ins that succeeded", ["method", "result"])
SIGN_IN_REFUSALS = Counter("doorcode_sign_in_refusals", "Sign-ins that were refused, by SignInErrorCode", ["code"])
WRONG_EMAIL_CODES = Counter(
    "doorcode_wrong_email_codes",
    "Wrong email codes that were compared, by whether they were typed in the panel",
    ["panel"],
)
MAILS = Counter("doorcode_mails", "Mails that were to be sent: sent, retried, dropped, unwanted", ["kind", "result"])
INTERNAL_ERRORS = Counter("doorcode_internal_errors", "Internal errors: bugs, or a database that cannot be reached")
REFUSED_ORIGINS = Counter(
    "doorcode_refused_origins", "Requests from origins that DOORCODE_ALLOWED_ORIGINS does not name"
)
REQUEST_SECONDS = Histogram(
    "doorcode_request_seconds",
    "Time to answer a request",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
SEATS_USED = Gauge("doorcode_seats_used", "Active users", multiprocess_mode="mostrecent")
SEATS_LIMIT = Gauge(
    "doorcode_seats_limit", "Seat limit; absent or NaN if there is no limit", multiprocess_mode="mostrecent"
)
EXCHANGE_SECONDS = Histogram(
    "doorcode_exchange_seconds",
    "Time to answer an exchange of a code, by result: accepted or refused",
    ["result"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
SESSIONS = Gauge(
    "doorcode_sessions", "Sessions that have not expired, counted once a minute", multiprocess_mode="mostrecent"
)
MAILS_WAITING = Gauge("doorcode_mails_waiting", "Mails in the queue", multiprocess_mode="mostrecent")
SECRET_LAST_USED = Gauge(
    "doorcode_jwt_secret_last_used_timestamp_seconds",
    "When a signing secret last verified a code, by status: CURRENT or RETIRING; NaN if it has not yet",
    ["status"],
    multiprocess_mode="mostrecent",
)
DATABASE_CONNECTIONS = Gauge(
    "doorcode_database_connections",
    "Connections of the pools to PostgreSQL, by state: used, idle or free (could be opened)",
    ["state"],
    multiprocess_mode="livesum",
)
EVENT_LOOP_LAG_SECONDS = Histogram(
    "doorcode_event_loop_lag_seconds",
    "How late the event loop ran what was due, measured twice a second in each process",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
COMMIT_SIZE = Histogram(
    "doorcode_group_commit_writes", "Writes that shared a commit on SQLite", buckets=(1, 2, 4, 8, 16, 32, 64)
)
BATCH_SIZE = Histogram(
    "doorcode_batch_requests", "Requests that shared a statement on PostgreSQL", buckets=(1, 2, 4, 8, 16, 32, 64)
)
PURGED_ROWS = Counter("doorcode_purged_rows", "Rows that were deleted because their time was over")
PURGE_COMPLETED = Gauge(
    "doorcode_purge_completed_timestamp_seconds",
    "When a purge last left nothing behind that was due; it lags while there is a backlog",
    multiprocess_mode="max",
)

_DIRECTORY_PREFIX = "doorcode-metrics-"
_MAKING = 60  # seconds in which an empty directory may belong to a server that is about to lock it
_MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the name is set by prometheus-client


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Let worker processes that start in this context share one directory, so that each can answer for all of them.

    The directory is locked meanwhile. Those of servers that were killed are not, and are deleted first.
    """
    with suppress(OSError):
        _remove_left_directories(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_DIRECTORY_PREFIX) as directory, _locked(Path(directory)):
        os.environ[_MULTIPROCESS_DIRECTORY] = directory
        yield


def _remove_left_directories(parent: Path) -> None:
    for directory in parent.glob(f"{_DIRECTORY_PREFIX}*"):
        # Another user's directory cannot be locked here, and a link may point anywhere.
        with suppress(OSError), _locked(directory) as status:
            is_being_made = not any(directory.iterdir()) and time.time() - status.st_mtime < _MAKING
            if status.st_uid == os.geteuid() and not is_being_made:
                shutil.rmtree(directory)


@contextmanager
def _locked(directory: Path) -> Iterator[os.stat_result]:
    """Lock the directory until the context or the process ends. Raises `OSError` if another process has locked it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(descriptor)
    finally:
        os.close(descriptor)


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text format."""
    if _MULTIPROCESS_DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # this part of the library has no types
    return generate_latest(registry)
