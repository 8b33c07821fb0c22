"""The work of a process beside its requests: deleting expired rows, and writing what is collected in memory.

Expired rows are deleted once a minute, so that tables do not grow without limit.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count

import structlog

from service.accounts.access import end_lapsed_accesses
from service.accounts.code_cutoffs import purge_cutoffs
from service.accounts.seats import purge_samples, sample_today
from service.audit.daily_counts import purge_daily_counts
from service.audit.log import purge_audit_events
from service.audit.pending import PendingEvents
from service.audit.refusals import purge_refusals
from service.database import keep_planner_statistics, pool_use
from service.email_login.allowances import purge_allowances
from service.email_login.codes import purge_codes
from service.email_login.known_clients import purge_known_clients
from service.email_login.links import purge_links
from service.email_login.mail_queue import purge_mail_queue
from service.email_login.wrong_codes import purge_wrong_codes
from service.encryption import Cipher
from service.erasing import finish_erasures
from service.external_auth.held_codes import purge_held_codes
from service.external_auth.secrets import destroy_ended_secrets
from service.external_auth.used_codes import purge_used_codes
from service.folded_lines import FoldedLines
from service.metrics import DATABASE_CONNECTIONS, EVENT_LOOP_LAG_SECONDS, PURGE_COMPLETED, PURGED_ROWS
from service.sessions.access_tokens import purge_signing_keys
from service.sessions.lifecycle import purge_expired_sessions
from service.sessions.sent_forms import purge_sent_forms
from service.sessions.shown_once import purge_shown_secrets
from service.settings import Settings

PURGE_EVERY = 60  # seconds
FIRST_BATCH = 50  # rows
PURGE_BATCH = 500  # rows at most
PURGE_TIME = 0.01  # seconds for a batch, so that no request waits long for the lock
PURGE_PAUSE = 0.02  # seconds at least between two batches, in which other requests are served
STATISTICS_EVERY = 60  # rounds of purges, so every hour, and in the first one
PAUSE_FACTOR = 4  # how many times as long as the batch took

WRITE_EVENTS_EVERY = 0.5  # seconds: with the time to write them, an event is in the audit log within a second
WRITE_REPEATED_EVERY = 60  # seconds: a process that is killed loses the counts of repeated events since then

WATCH_EVERY = 0.5  # seconds

_Purge = Callable[[int], Awaitable[int]]
"""Deletes at most so many rows, and returns how many were deleted."""

_log = structlog.get_logger()


@asynccontextmanager
async def purge_in_background(settings: Settings, cipher: Cipher) -> AsyncIterator[None]:
    """Purge expired rows while the context is open; leaving it cancels the purge at once."""
    task = asyncio.ensure_future(_purge_regularly(settings, cipher))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def write_collected_in_background(
    pending_events: PendingEvents, folded_lines: FoldedLines
) -> AsyncIterator[None]:
    """Write the collected audit events, and the counts of log lines that were left out, while the context is open."""
    ending = asyncio.Event()
    task = asyncio.ensure_future(_write_regularly(pending_events, folded_lines, ending))
    try:
        yield
    finally:
        ending.set()
        await task
        folded_lines.log_suppressed(at_end=True)


@asynccontextmanager
async def watch_event_loop() -> AsyncIterator[None]:
    """Measure how late the event loop is, and how many connections to the database are in use, while the context is open."""
    task = asyncio.ensure_future(_watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + WATCH_EVERY
        await asyncio.sleep(WATCH_EVERY)
        EVENT_LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))
        for state, number in pool_use().items():
            DATABASE_CONNECTIONS.labels(state).set(number)


async def _write_regularly(pending_events: PendingEvents, folded_lines: FoldedLines, ending: asyncio.Event) -> None:
    written_at = time.monotonic()
    while not ending.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITE_EVENTS_EVERY):
                await ending.wait()
        also_repeated = ending.is_set() or time.monotonic() - written_at >= WRITE_REPEATED_EVERY
        await pending_events.write(also_repeated=also_repeated)
        if also_repeated:
            written_at = time.monotonic()
        folded_lines.log_suppressed()


async def _purge_regularly(settings: Settings, cipher: Cipher) -> None:
    purges: tuple[_Purge, ...] = (
        purge_expired_sessions,
        partial(purge_refusals, settings.refusal_retention),
        purge_daily_counts,
        partial(purge_used_codes, settings.used_code_retention),
        purge_held_codes,
        purge_cutoffs,
        end_lapsed_accesses,
        purge_shown_secrets,
        purge_sent_forms,
        purge_codes,
        purge_allowances,
        purge_known_clients,
        purge_wrong_codes,
        purge_links,
        purge_mail_queue,
        lambda _: purge_signing_keys(settings),
        lambda _: destroy_ended_secrets(),
        lambda _: finish_erasures(cipher),
        _sample_seats,
        partial(purge_samples, settings.seat_retention),
        partial(purge_audit_events, settings.audit_retention),
    )
    PURGE_COMPLETED.set_to_current_time()  # nothing is behind yet
    for number in count():
        await asyncio.sleep(PURGE_EVERY)
        if all([await _purge(purge) for purge in purges]):
            PURGE_COMPLETED.set_to_current_time()
        if number % STATISTICS_EVERY == 0:
            await _purge(_measure_tables)


async def _measure_tables(_: int) -> int:
    await keep_planner_statistics()
    return 0


async def _sample_seats(_: int) -> int:
    await sample_today()
    return 0  # nothing was deleted


async def _purge(purge: _Purge) -> bool:
    """Delete batch after batch, each in a transaction of its own. After an error, the next run tries again.

    Returns whether there was none.

    A batch is as large as `PURGE_TIME` allows: deleting rows whose indexes are not in memory takes a hundred times as long.
    """
    size = min(FIRST_BATCH, PURGE_BATCH)
    try:
        while True:
            started = time.monotonic()
            number = await purge(size)
            PURGED_ROWS.inc(number)
            if number < size:
                return True
            took = time.monotonic() - started
            await asyncio.sleep(max(PURGE_PAUSE, PAUSE_FACTOR * took))
            size = max(1, min(PURGE_BATCH, 2 * size, round(size * PURGE_TIME / took)))
    except Exception as error:
        _log.warning("purge_failed", error=type(error).__name__)
    return False
