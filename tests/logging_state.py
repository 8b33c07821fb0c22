"""The logging of this process, which a test may configure as the service does: restored for the tests that follow."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def restored_logging() -> Iterator[None]:
    """Restore the root logger and structlog at the end.

    The service lets structlog cache each logger at its first use. A logger that was first used inside keeps that
    configuration for good, and its lines would be missing from the logs of later tests.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
        for name, module in list(sys.modules.items()):
            if name.startswith("service.") and hasattr(module, "_log"):
                vars(module._log).pop("bind", None)
