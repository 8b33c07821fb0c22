"""Marks: small writes that a request causes and does not wait for, such as when a session was last seen.

They neither delay nor fail the request. A mark that cannot be written is left out, because the next request sets it again.
"""

import asyncio
import contextvars
from dataclasses import dataclass, field

from service.database.statements import Statement
from service.database.transactions import write

MAX_WAITING = 10_000
AT_ONCE = 10  # on SQLite they share a commit
_LAST_SECONDS = 2.0  # for what is not written when the database is closed


@dataclass(slots=True)
class _Marks:
    waiting: dict[tuple[Statement, object], tuple[object, ...]] = field(default_factory=dict)
    writing: "asyncio.Task[None] | None" = None


_marks = _Marks()


def set_mark(statement: Statement, key: object, *values: object) -> None:
    """Run the statement with these values soon. A newer mark with the same key replaces one that is not written yet."""
    if len(_marks.waiting) >= MAX_WAITING:
        return
    _marks.waiting[statement, key] = values
    if _marks.writing is None or _marks.writing.done():
        # A context of its own, because that of the request may hold an open transaction.
        _marks.writing = asyncio.get_running_loop().create_task(_write_all(), context=contextvars.Context())


async def write_rest_of_marks() -> None:
    """Write what waits. Called before the database is closed."""
    if _marks.writing is not None:
        await asyncio.wait({_marks.writing}, timeout=_LAST_SECONDS)
        _marks.writing.cancel()
    _marks.waiting.clear()
    _marks.writing = None


async def _write_all() -> None:
    while _marks.waiting:
        batch = [_marks.waiting.popitem() for _ in range(min(AT_ONCE, len(_marks.waiting)))]
        await asyncio.gather(*(write(statement, *values) for (statement, _), values in batch), return_exceptions=True)
