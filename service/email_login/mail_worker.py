"""The mail worker: sends the mails of the queue in the background while the process serves.

A mail that fails is retried until it expires: first after 5 seconds, then after doubled pauses of at most 5 minutes.
The log never holds an address, a text or a mail server's answer, because an answer may quote both.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from enum import StrEnum

import structlog

from service.audit.daily_counts import Counted, count_one
from service.branding.configuration import BrandingCache
from service.clock import now
from service.email_login.alerts import record_wrong_code
from service.email_login.login import should_send
from service.email_login.mail import compose
from service.email_login.mail_queue import (
    ClaimedMail,
    MailKind,
    MailQueue,
    QueuedMail,
    claim,
    next_due,
    postpone,
    remove,
)
from service.email_login.transports import MAIL_TIMEOUT, Transport, Undeliverable, transport_for
from service.metrics import MAILS
from service.settings import Settings, SettingsError

AT_ONCE = 4  # mails that one process sends at the same time
LOOK_EVERY = 5.0  # seconds: for mails that are due again, or that another process queued or left
DRAIN = 5.0  # seconds that a process continues to send at shutdown
LEASE = timedelta(seconds=2 * MAIL_TIMEOUT)
FIRST_PAUSE = timedelta(seconds=5)
MAX_PAUSE = timedelta(minutes=5)

_log = structlog.get_logger()


class _Result(StrEnum):
    """The result of one try to send a mail."""

    SENT = "sent"
    RETRIED = "retried"
    DROPPED = "dropped"
    UNWANTED = "unwanted"


@asynccontextmanager
async def send_mails(mail_queue: MailQueue, settings: Settings) -> AsyncIterator[None]:
    """Run the mail worker inside the context. At exit it sends what is due, or due soon, for up to `DRAIN` seconds.

    Mails that are left then stay in the queue until a process starts.
    """
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
        self._branding = BrandingCache()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._finishing = False

    async def work(self) -> None:
        """Send mails until `finish` is called and every mail that was due then, or soon after, was tried."""
        async with asyncio.TaskGroup() as under_way:
            while True:
                finishing = self._finishing
                self._mail_queue.wake_up.clear()
                pause = await self._send_all_due(under_way)
                if finishing and pause > self._mail_queue.longest_delay:
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause, LOOK_EVERY)):
                        await self._mail_queue.wake_up.wait()

    def finish(self) -> None:
        """Tell the worker to send the due mails and then to end."""
        self._finishing = True
        self._mail_queue.wake_up.set()

    async def _send_all_due(self, under_way: asyncio.TaskGroup) -> float:
        """Start to send every mail that is due. Return the seconds until the next one is due; infinity without one."""
        try:
            while True:
                await self._free.acquire()
                mail = await self._next()
                if mail is None:
                    due = await next_due()
                    return math.inf if due is None else max(0.0, (due - now()).total_seconds())
                under_way.create_task(self._deliver(mail))
        except Exception as error:  # for example an unreachable database: try again in `LOOK_EVERY` seconds
            _log.warning("mail_queue_unreadable", error=type(error).__name__)
            return math.inf

    async def _next(self) -> ClaimedMail | None:
        """Claim the next mail. The caller holds a place of the semaphore; it is released if no mail is due."""
        mail = None
        try:
            mail = await claim(LEASE)
        finally:
            if mail is None:
                self._free.release()
        return mail

    async def _deliver(self, mail: ClaimedMail) -> None:
        """Deliver one mail. Catches every exception, because a bug here must not end the worker."""
        try:
            await self._deliver_or_postpone(mail)
        except Exception as error:  # the mail is tried again when its lease ends
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
        await count_one(Counted.MAIL, result)  # one that is not sent too: the same statements for every address

    def _read(self, mail: ClaimedMail) -> QueuedMail:
        try:
            queued_mail = self._mail_queue.read(mail)
        except SettingsError:
            raise Undeliverable("its encryption key was removed") from None
        if mail.expires_at <= now():
            raise Undeliverable("it has expired")
        return queued_mail

    async def _send(self, queued_mail: QueuedMail) -> _Result:
        """Send the mail unless its address has no user.

        Composes it before asking, so that the time does not reveal which addresses have users.
        """
        if queued_mail.kind is MailKind.WRONG_CODE:
            await record_wrong_code(queued_mail, self._mail_queue)
            return _Result.UNWANTED
        branding = await self._branding.current()
        try:
            message = compose(queued_mail, self._settings, branding)
        except ValueError:
            raise Undeliverable("its address cannot be written into a header") from None
        if not await should_send(queued_mail):
            return _Result.UNWANTED
        await self._transport.send(message)
        return _Result.SENT


def _pause(tries: int) -> timedelta:
    """Return the pause before the next try: doubled each time, at most `MAX_PAUSE`."""
    return min(MAX_PAUSE, FIRST_PAUSE * (1 << min(tries - 1, 16)))


def _reason(error: Exception) -> str:
    """Return what may be logged of an error: its type and the server's reply code, never the reply's text."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__}, {code}" if isinstance(code, int) else type(error).__name__
