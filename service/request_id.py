"""The ID of the request that is being answered, for its log lines, its audit events, and its answer."""

import os
import re
from contextvars import ContextVar
from itertools import count

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""None outside a request."""

_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:=+/@-]{0,127}")  # no space, quote or line end: it gets into logs
_process = os.urandom(8).hex()
_numbers = count(1)
_pid = os.getpid()


def new_request_id() -> str:
    """Return an ID that no other request has: of the process, and a number. It is no secret."""
    global _process, _pid  # a forked process needs a beginning of its own
    if os.getpid() != _pid:
        _process, _pid = os.urandom(8).hex(), os.getpid()
    return f"{_process}-{next(_numbers):x}"


def parse_request_id(value: bytes) -> str | None:
    """Return the ID that a proxy has sent, or None if it is not 1 to 128 letters, digits and `._:=+/@-`."""
    return value.decode() if _WELL_FORMED.fullmatch(value) else None
