"""The worker: takes mails from the mail_queue and sends them, beside the requests, for as long as the process serves.

A mail that fails is tried again, after 5 seconds first and every 5 minutes in the end, until it is of no use any more.
Nothing of a mail is ever logged: neither address nor text, nor what a mail server said, which may quote both.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from enum import StrEnum

import structlog

from service.clock import now
from service.email_login.login import should_send
from service.email_login.mail import compose
from service.email_login.mail_queue import ClaimedMail, MailQueue, QueuedMail, claim, postpone, remove
from service.email_login.transports import MAIL_TIMEOUT, Transport, Undeliverable, transport_for
from service.metrics import MAILS
from service.settings import Settings, SettingsError

AT_ONCE = 4  # mails under way, a process
LOOK_EVERY = 5.0  # seconds: for what is due again, and for what another process has queued or left
DRAIN = 5.0  # seconds that a process which ends goes on sending
LEASE = timedelta(seconds=2 * MAIL_TIMEOUT)
FIRST_PAUSE = timedelta(seconds=5)
MAX_PAUSE = timedelta(minutes=5)

_log = structlog.get_logger()


class _Result(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    RETRIED = "retried"
    DROPPED = "dropped"
    UNWANTED = "unwanted"


@asynccontextmanager
async def send_mails(mail_queue: MailQueue, settings: Settings) -> AsyncIterator[None]:
    """Sends meanwhile; in the end it sends what is due, for a few seconds. What is left then waits for the next start."""
    worker = MailWorker(mail_queue, transport_for(settings), settings)
    work = asyncio.create_task(worker.work())
    try:
        yield
    finally:
        worker.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await work


class MailWorker:
    """Sends up to `AT_ONCE` mails at a time."""

    def __init__(self, mail_queue: MailQueue, transport: Transport, settings: Settings) -> None:
        self._mail_queue = mail_queue
        self._transport = transport
        self._settings = settings
        self._free = asyncio.Semaphore(AT_ONCE)
        self._finishing = False

    async def work(self) -> None:
        """Until it is told to finish, and all that was due by then is done."""
        async with asyncio.TaskGroup() as under_way:
            while True:
                finishing = self._finishing
                self._mail_queue.wake_up.clear()
                await self._send_all_due(under_way)
                if finishing:
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._mail_queue.wake_up.wait()

    def finish(self) -> None:
        """Send what is due, then end."""
        self._finishing = True
        self._mail_queue.wake_up.set()

    async def _send_all_due(self, under_way: asyncio.TaskGroup) -> None:
        try:
            while True:
                await self._free.acquire()
                mail = await self._next()
                if mail is None:
                    return
                under_way.create_task(self._deliver(mail))
        except Exception as error:  # the database is out of reach, say; it is looked at again soon
            _log.warning("mail_queue_unreadable", error=type(error).__name__)

    async def _next(self) -> ClaimedMail | None:
        """The next mail, for which a place is taken already; it is given back where there is none."""
        mail = None
        try:
            mail = await claim(LEASE)
        finally:
            if mail is None:
                self._free.release()
        return mail

    async def _deliver(self, mail: ClaimedMail) -> None:
        """One mail, whatever happens: a bug in here must not end the worker."""
        try:
            await self._deliver_or_postpone(mail)
        except Exception as error:  # it is tried again when its lease is over
            _log.warning("mail_failed", error=type(error).__name__)
        finally:
            self._free.release()

    async def _deliver_or_postpone(self, mail: ClaimedMail) -> None:
        kind, result = "unreadable", _Result.DROPPED
        try:
            queued_mail = self._read(mail)
            kind = queued_mail.kind.value
            result = await self._send(queued_mail)
        except Undeliverable as error:
            _log.warning("mail_dropped", kind=kind, reason=str(error), tries=mail.tries)
        except Exception as error:
            result = _Result.RETRIED
            _log.warning("mail_retry_scheduled", kind=kind, reason=_reason(error), tries=mail.tries)
        MAILS.labels(kind, result).inc()
        await (postpone(mail, now() + _pause(mail.tries)) if result is _Result.RETRIED else remove(mail))

    def _read(self, mail: ClaimedMail) -> QueuedMail:
        try:
            queued_mail = self._mail_queue.read(mail)
        except SettingsError:
            raise Undeliverable("its encryption key is gone") from None
        if mail.expires_at <= now():
            raise Undeliverable("it is of no use any more")
        return queued_mail

    async def _send(self, queued_mail: QueuedMail) -> _Result:
        """It is written before it is known whether anybody gets it: an address makes the same work, whoever has it."""
        try:
            message = compose(queued_mail, self._settings)
        except ValueError:
            raise Undeliverable("no mail can be addressed like this") from None
        if not await should_send(queued_mail):
            return _Result.UNWANTED
        await self._transport.send(message)
        return _Result.SENT


def _pause(tries: int) -> timedelta:
    """Twice as long each time."""
    return min(MAX_PAUSE, FIRST_PAUSE * (1 << min(tries - 1, 16)))


def _reason(error: Exception) -> str:
    """What may be logged of it: the server's number, never its words."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__}, {code}" if isinstance(code, int) else type(error).__name__
