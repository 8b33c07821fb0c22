"""Marks: small writes that a request causes and does not wait for, such as when a session was last seen.

They never fail the request, and never hold it up: only a first mark, which a client may look for with its next request,
is waited for, and not for long. A mark that cannot be written is left out, because the next request sets it again.
"""

import asyncio
import contextvars
from dataclasses import dataclass, field

from service.database.statements import Statement
from service.database.transactions import write

MAX_WAITING = 10_000
AT_ONCE = 10  # on SQLite they share a commit
_FIRST_SECONDS = 0.1  # for a first mark
_LAST_SECONDS = 2.0  # for what is not written when the database is closed


@dataclass(slots=True)
class _Mark:
    values: tuple[object, ...]
    written: "asyncio.Future[None]"


@dataclass(slots=True)
class _Marks:
    waiting: dict[tuple[Statement, object], _Mark] = field(default_factory=dict)
    writing: "asyncio.Task[None] | None" = None


_marks = _Marks()


async def set_mark(statement: Statement, key: object, *values: object, is_first: bool = False) -> None:
    """Run the statement with these values soon. A newer mark with the same key replaces one that is not written yet.

    With `is_first`, there was none before: it is waited for, a tenth of a second at most.
    """
    if len(_marks.waiting) >= MAX_WAITING:
        return
    loop = asyncio.get_running_loop()
    earlier = _marks.waiting.get((statement, key))
    mark = _marks.waiting[statement, key] = _Mark(values, earlier.written if earlier else loop.create_future())
    if _marks.writing is None or _marks.writing.done():
        # A context of its own, because that of the request may hold an open transaction.
        _marks.writing = loop.create_task(_write_all(), context=contextvars.Context())
    if is_first:
        await asyncio.wait({mark.written}, timeout=_FIRST_SECONDS)


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
        writes = [write(statement, *mark.values) for (statement, _), mark in batch]
        await asyncio.gather(*writes, return_exceptions=True)
        for _, mark in batch:
            mark.written.set_result(None)
