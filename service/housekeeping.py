"""The work of a process beside its requests: deleting expired rows, and writing what is collected in memory.

Expired rows are deleted once a minute, so that tables do not grow without limit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from service.accounts.access import end_lapsed_accesses
from service.accounts.code_cutoffs import purge_cutoffs
from service.audit.daily_counts import purge_daily_counts
from service.audit.pending import PendingEvents
from service.audit.refusals import purge_refusals
from service.email_login.allowances import purge_allowances
from service.email_login.codes import purge_codes
from service.email_login.known_clients import purge_known_clients
from service.email_login.links import purge_links
from service.email_login.mail_queue import purge_mail_queue
from service.email_login.wrong_codes import purge_wrong_codes
from service.external_auth.held_codes import purge_held_codes
from service.external_auth.secrets import destroy_ended_secrets
from service.external_auth.used_codes import purge_used_codes
from service.folded_lines import FoldedLines
from service.sessions.access_tokens import purge_signing_keys
from service.sessions.lifecycle import purge_expired_sessions
from service.sessions.sent_forms import purge_sent_forms
from service.sessions.shown_once import purge_shown_secrets
from service.settings import Settings

PURGE_EVERY = 60  # seconds
PURGE_BATCH = 500  # rows: deleted in a few milliseconds, so that no request waits long for the lock
PURGE_PAUSE = 0.02  # seconds between two batches, in which other requests are served

WRITE_EVENTS_EVERY = 0.5  # seconds: with the time to write them, an event is in the audit log within a second

_log = structlog.get_logger()


@asynccontextmanager
async def purge_in_background(settings: Settings) -> AsyncIterator[None]:
    """Purge expired rows while the context is open; leaving it cancels the purge at once."""
    task = asyncio.ensure_future(_purge_regularly(settings))
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


async def _write_regularly(pending_events: PendingEvents, folded_lines: FoldedLines, ending: asyncio.Event) -> None:
    while not ending.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITE_EVENTS_EVERY):
                await ending.wait()
        await pending_events.write()
        folded_lines.log_suppressed()


async def _purge_regularly(settings: Settings) -> None:
    purges = (
        partial(purge_expired_sessions, PURGE_BATCH),
        partial(purge_refusals, PURGE_BATCH),
        partial(purge_daily_counts, PURGE_BATCH),
        partial(purge_used_codes, PURGE_BATCH),
        partial(purge_held_codes, PURGE_BATCH),
        partial(purge_cutoffs, PURGE_BATCH),
        partial(end_lapsed_accesses, PURGE_BATCH),
        partial(purge_shown_secrets, PURGE_BATCH),
        partial(purge_sent_forms, PURGE_BATCH),
        partial(purge_codes, PURGE_BATCH),
        partial(purge_allowances, PURGE_BATCH),
        partial(purge_known_clients, PURGE_BATCH),
        partial(purge_wrong_codes, PURGE_BATCH),
        partial(purge_links, PURGE_BATCH),
        partial(purge_mail_queue, PURGE_BATCH),
        partial(purge_signing_keys, settings),
        destroy_ended_secrets,
    )
    while True:
        await asyncio.sleep(PURGE_EVERY)
        for purge in purges:
            await _purge(purge)


async def _purge(purge: Callable[[], Awaitable[int]]) -> None:
    """Delete batch after batch, each in a transaction of its own. After an error, the next run tries again."""
    try:
        while True:
            if await purge() < PURGE_BATCH:
                return
            await asyncio.sleep(PURGE_PAUSE)
    except Exception as error:
        _log.warning("purge_failed", error=type(error).__name__)
