"""Structured logs on stderr: text on a terminal, JSON elsewhere. They never hold a code, a token or a secret."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor

from service.request_id import request_id
from service.settings import LogFormat, Settings

# Libraries that log SQL statements with values, or the text of a GraphQL query, which may contain a code.
_LIMITED_TO_WARNINGS = ("tortoise", "aiosqlite", "asyncio", "strawberry.execution", "graphql")
# Codes and access tokens (a JWS whose header is a JSON object), and all tokens of this service.
_CONFIDENTIAL = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*|dc[a-z]_[\w-]{43}")


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Removes everything that looks like a code or a token from every log line, those of libraries included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without codes and tokens."""
        return redact(super().format(record))


def redact(text: str) -> str:
    """Return the text with `[removed]` in place of everything that looks like a code or a token."""
    return _CONFIDENTIAL.sub("[removed]", text)


def configure_logs(settings: Settings) -> None:
    """Send the service's own log lines and those of libraries through one formatter."""
    shared: list[Processor] = [
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        RedactingFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _LIMITED_TO_WARNINGS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)
    logging.getLogger("asyncpg.pool").setLevel(
        logging.ERROR
    )  # it logs a traceback for each connection that a database restart breaks


def _add_request_id(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the ID of the request that is being answered to its lines."""
    if (current := request_id.get()) is not None:
        event["request_id"] = current
    return event


def _renderer(settings: Settings) -> list[Processor]:
    as_json = settings.log_format is LogFormat.JSON or (settings.log_format is None and not sys.stderr.isatty())
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks, because rich ones print local variables, and a local variable may hold a code.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
