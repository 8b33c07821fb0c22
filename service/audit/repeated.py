"""Counts what repeats an event that this process has already written in this hour: further sign-ins of a user.

A folded event is an upsert of a row with eight indexes, and most sign-ins only raise its count. So the first of an hour is
written within a second (`pending.py`), and the further ones are collected here as numbers and added once a minute, before
this process reads the audit log, and at shutdown. Otherwise the audit log would cost a seventh of the CPU of an exchange.
A process that is killed loses the numbers of at most a minute, and no event.

`RepeatedEvents.enabled = False` switches it off: then every occurrence is an event of its own, as before. So it is while the
events are written to stdout, where each line of a folded event has all members of the event.

SQL by hand: atomic. It adds to counts, also from several processes at once.
"""

import json
from collections.abc import Hashable
from itertools import islice
from typing import ClassVar

from service.audit.stream import is_streaming
from service.database import Statement, on_sqlite, transaction, write

MAX_KNOWN = 20_000  # events, of about 300 bytes each
_AT_ONCE = 1_000  # rows: a few milliseconds, so that no request waits long for the lock

_ADD_ON_SQLITE = Statement(
    "UPDATE audit_events SET count = audit_events.count + i.value FROM json_each($1) AS i"
    " WHERE audit_events.fold_key = i.key"
)
# The rows are locked in the order of their keys, as the upserts of events lock them, so that no two processes wait for each other.
_ADD_ON_POSTGRES = Statement(
    "WITH locked AS MATERIALIZED (SELECT a.id, i.value::int AS number FROM audit_events a"
    " JOIN json_each_text($1::json) AS i ON a.fold_key = i.key ORDER BY a.fold_key FOR UPDATE OF a)"
    " UPDATE audit_events a SET count = a.count + locked.number FROM locked WHERE a.id = locked.id"
)


class RepeatedEvents:
    """The events that this process has written in the current hour, and how often each was repeated since."""

    enabled: ClassVar[bool] = True

    def __init__(self) -> None:
        self._hour = 0
        self._known: dict[Hashable, str] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether there is something to write."""
        return bool(self._counts)

    def repeat(self, hour: int, occurrence: Hashable) -> bool:
        """Count another occurrence of an event. Return false if this process has not written the event in this hour."""
        fold_key = self._known.get(occurrence) if hour == self._hour else None
        if fold_key is None:
            return False
        self._counts[fold_key] = self._counts.get(fold_key, 0) + 1
        return True

    def remember(self, hour: int, occurrence: Hashable, fold_key: str) -> None:
        """Remember that the event of these occurrences is written, as long as there is room."""
        if hour > self._hour:
            self._hour, self._known = hour, {}
        if self.enabled and not is_streaming() and hour == self._hour and len(self._known) < MAX_KNOWN:
            self._known[occurrence] = fold_key

    async def write(self) -> None:
        """Add the counts to the events, in short transactions. What cannot be written stays, and the error is raised."""
        statement = _ADD_ON_SQLITE if on_sqlite() else _ADD_ON_POSTGRES
        while self._counts:
            part = dict(islice(self._counts.items(), _AT_ONCE))
            for fold_key in part:
                del self._counts[fold_key]
            try:
                async with transaction():
                    await write(statement, json.dumps(part))
            except BaseException:  # a cancelled transaction is rolled back too
                for fold_key, number in part.items():
                    self._counts[fold_key] = self._counts.get(fold_key, 0) + number
                raise
