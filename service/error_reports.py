"""Reports the errors that are not refusals: counts them, and logs each kind as one event."""

import structlog

from service.database import is_unreachable
from service.metrics import INTERNAL_ERRORS

_log = structlog.get_logger()


def report_error(error: BaseException, reference: str, **where: str) -> None:
    """Count and log an error under the reference that the client is told.

    `where` names the request: its route and method only, because every other part of it may hold a code or a token.
    """
    INTERNAL_ERRORS.inc()
    if is_unreachable(error):
        log_unreachable(error, reference=reference, **where)
    else:
        _log.error("internal_error", exc_info=error, reference=reference, **where)


def log_unreachable(error: BaseException, **where: str) -> None:
    """Log that the database did not answer. The text of the error is left out, because it may hold the password."""
    _log.error("database_unreachable", error=type(error).__name__, **where)
