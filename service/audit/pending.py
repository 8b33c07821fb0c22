"""Collects folded events, refusals and daily counts in memory, so that a sign-in of a member costs no further statement.

A background task writes them within a second (`service/housekeeping.py`), and the counts of repeated events once a minute
(`repeated.py`). They are also written before this process reads the audit log, when the table is full, and at shutdown.
"""

import asyncio

import structlog

from service.audit.daily_counts import DailyCounts, write_counts
from service.audit.folding import HourlyEvent, Key, hour_of, write_folded
from service.audit.refusals import SeenRefusal, write_refusals
from service.audit.repeated import RepeatedEvents
from service.database import transaction

MAX_PENDING = 1_000  # events, of about 1 KiB each

MAX_REFUSALS = 500  # of about 1 KiB each
MAX_REFUSALS_OF_NETWORK = 50

_log = structlog.get_logger()

_Counted = dict[Key, tuple[HourlyEvent, int]]


class PendingEvents:
    """The events of one process that are not written yet, each with its count, the refusals and the daily counts."""

    def __init__(self) -> None:
        self.daily_counts = DailyCounts()
        self.repeated = RepeatedEvents()
        self._counted: _Counted = {}
        self._refusals: list[SeenRefusal] = []
        self._one_writer = asyncio.Lock()
        self._is_failing = False
        self._lost = 0

    async def add(self, event: HourlyEvent) -> None:
        """Count an event. Call it outside a transaction, after what happened is committed.

        Writes all events first if the table is full. If that fails, an event that is not in the table is lost, and the
        log says how many were.
        """
        key = event.key
        if key not in self._counted and len(self._counted) >= MAX_PENDING:
            await self.write()
        if key in self._counted or len(self._counted) < MAX_PENDING:
            _count(self._counted, key, event)
        else:
            self._lost += 1

    def add_refusal(self, refusal: SeenRefusal) -> None:
        """Keep a refusal. Leaves it out if there are too many in all or of its network, because strangers cause them."""
        of_network = sum(other.network == refusal.network for other in self._refusals)
        if len(self._refusals) < MAX_REFUSALS and of_network < MAX_REFUSALS_OF_NETWORK:
            self._refusals.append(refusal)

    async def write(self, *, also_repeated: bool = True) -> None:
        """Write all events in one transaction, and then the counts of repeated ones.

        Raises nothing: what cannot be written stays for the next time.

        Runs to its end even if the request that asks for it is cancelled, because what was committed must not be
        counted again.
        """
        repeated = also_repeated and bool(self.repeated)
        if self._counted or self._refusals or self.daily_counts or repeated or self._one_writer.locked():
            await asyncio.shield(asyncio.ensure_future(self._write(also_repeated)))

    def forget_repeated(self) -> None:
        """Write the next occurrence of each event as an event: the row to whose count it would be added may be gone."""
        self.repeated = RepeatedEvents()

    async def _write(self, also_repeated: bool) -> None:
        async with self._one_writer:
            try:
                await self._write_new()
                if also_repeated:
                    await self.repeated.write()
            except Exception as error:
                self._log_failure(error)
            else:
                self._log_success()

    async def _write_new(self) -> None:
        batch, refusals, daily_counts = self._counted, self._refusals, self.daily_counts.take()
        self._counted, self._refusals = {}, []
        if not (batch or refusals or daily_counts):
            return
        try:
            async with transaction():
                await write_folded(batch.values())
                await write_refusals(refusals)
                await write_counts(daily_counts)
        except Exception:
            self._keep(batch, refusals)
            self.daily_counts.keep(daily_counts)
            raise
        for event, _ in batch.values():
            if event.occurrence is not None:
                self.repeated.remember(hour_of(event.created_at), event.occurrence, event.fold_key)

    def _keep(self, batch: _Counted, refusals: list[SeenRefusal]) -> None:
        """Put a batch back, before what was added meanwhile."""
        for key, (event, count) in self._counted.items():
            _count(batch, key, event, count)
        self._counted, self._refusals = batch, (refusals + self._refusals)[:MAX_REFUSALS]

    def _log_failure(self, error: Exception) -> None:
        if not self._is_failing:
            _log.warning("audit_events_kept", error=type(error).__name__, count=len(self._counted))
        self._is_failing = True

    def _log_success(self) -> None:
        if self._lost:
            _log.error("audit_events_lost", count=self._lost)
        self._is_failing, self._lost = False, 0


def _count(counted: _Counted, key: Key, event: HourlyEvent, number: int = 1) -> None:
    first, count = counted.get(key, (event, 0))
    counted[key] = first, count + number
