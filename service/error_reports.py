"""Reports the errors that are not refusals: counts them, and logs each kind as one event."""

import time
from typing import TypedDict, Unpack

import structlog

from service.database import cause_of_outage, is_unreachable, suspect_full_disk
from service.metrics import INTERNAL_ERRORS

_log = structlog.get_logger()


class Where(TypedDict, total=False):
    """What is logged of a request. Every other part of it may hold a code or a token."""

    reference: str
    route: str
    method: str


def report_error(error: BaseException, **where: Unpack[Where]) -> bool:
    """Count and log an error under the reference that the client is told. Return whether the database is the cause."""
    INTERNAL_ERRORS.inc()
    if is_unreachable(error):
        log_unreachable(error, **where)
        return True
    _log.error("internal_error", exc_info=error, **where)
    return False


def log_unreachable(error: BaseException, **where: Unpack[Where]) -> None:
    """Log that the database cannot do its work, once a minute for each kind of error, with the number of errors since.

    The text of the error is left out, because it may hold the password.
    """
    name, cause = type(error).__name__, cause_of_outage(error)
    if cause in _OF_THE_DISK:
        suspect_full_disk()
    logged_at, count = _outages.get((name, cause), (-_LOGGED_EVERY, 0))
    if time.monotonic() - logged_at < _LOGGED_EVERY:
        _outages[name, cause] = (logged_at, count + 1)
        return
    _outages[name, cause] = (time.monotonic(), 0)
    _log.error("database_unreachable", error=name, cause=cause, count=count + 1, **where)


_OF_THE_DISK = ("disk-full", "io-error")
_LOGGED_EVERY = 60.0  # seconds
_outages: dict[
    tuple[str, str | None], tuple[float, int]
] = {}  # by kind of error: when it was logged, and how many came since
