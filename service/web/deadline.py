"""Bounds how long a request may take, and drops a request whose client has gone.

While the database does not answer, requests wait for it in many places. Each place has a bound of its own. This is the
bound of all of them together: at the deadline the client is answered 503, whatever the request is waiting for, and the
request is cancelled. What it has not written by then, it does not write.

Most requests take milliseconds, so a request costs no more than a timer here. Only one that is still running after
`_LOOK_AFTER` gets a task that waits for its client to leave.
"""

import asyncio
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.error_reports import report_error
from service.errors import new_reference
from service.settings import Settings
from service.web.failures import unavailable
from service.web.requests import route_of

LONGER = MappingProxyType({"/admin/users/import": 120.0})
"""Seconds for paths whose work may take longer: the import of 10,000 users on a busy machine."""

_LOOK_AFTER = 1.0  # seconds


class TooLateError(TimeoutError):
    """The request was not answered in time."""


class _Body(Enum):
    """What the application has read of the request's body."""

    UNREAD = 0
    BEING_READ = 1
    COMPLETE = 2


class Deadline:
    """ASGI wrapper. The time begins when the body of the request is complete, and ends when the response begins."""

    def __init__(self, app: ASGIApp, settings: Settings, longer: Mapping[str, float] = LONGER) -> None:
        """`longer` has the seconds of paths for which `settings.answer_timeout` does not hold."""
        self._app = app
        self._settings = settings
        self._longer = longer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and end it where it takes too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seconds = self._longer.get(scope["path"], self._settings.answer_timeout)
        request = _Request(scope, receive, send, self._settings, seconds)
        try:
            await self._app(scope, request.receive, request.send)
        except asyncio.CancelledError:
            if not request.was_cancelled_here():
                raise
        finally:
            request.end()


class _Request:
    __slots__ = (
        "_body",
        "_deadline",
        "_is_done",
        "_is_over",
        "_loop",
        "_receive",
        "_scope",
        "_seconds",
        "_send",
        "_settings",
        "_started",
        "_task",
        "_timer",
        "_watch",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings, seconds: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._settings = settings
        self._seconds = seconds
        self._body = _Body.COMPLETE if scope["method"] in ("GET", "HEAD") else _Body.UNREAD
        self._started = self._is_over = self._is_done = False
        task = asyncio.current_task()
        assert task is not None, "a server runs each request in a task"
        self._task = task
        self._loop = task.get_loop()
        self._deadline = self._loop.time() + seconds
        self._watch: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(_LOOK_AFTER, self._look)

    async def receive(self) -> Message:
        """Receive for the application."""
        if self._body is not _Body.COMPLETE:
            self._body = _Body.BEING_READ
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._body = _Body.COMPLETE
            self._deadline = self._loop.time() + self._seconds
        return message

    async def send(self, message: Message) -> None:
        """Send for the application. Drops what comes after the deadline's answer."""
        if not self._is_over:
            self._started = True
            await self._send(message)

    def was_cancelled_here(self) -> bool:
        """Return whether `CancelledError` comes from here, and take the cancellation back."""
        if self._is_over:
            self._task.uncancel()
        return self._is_over

    def end(self) -> None:
        """Stop looking: the application is done. An answer that is being sent is sent to its end."""
        self._is_done = True
        self._timer.cancel()
        if self._watch is not None and not self._is_over:
            self._watch.cancel()

    def _look(self) -> None:
        if self._body is _Body.BEING_READ:  # `http_server` bounds how long a client may take
            self._timer = self._loop.call_later(_LOOK_AFTER, self._look)
        elif not self._started:
            self._watch = self._loop.create_task(self._wait())

    async def _wait(self) -> None:
        """Wait until the client leaves or the deadline is there. Then answer if need be, and cancel the request."""
        has_left = await self._client_leaves()
        if self._started:
            return
        self._is_over = True
        if not has_left:
            reference, scope = new_reference(), self._scope
            report_error(TooLateError(), reference=reference, route=route_of(scope), method=scope["method"])
            await unavailable(Request(scope), self._settings, reference)(scope, self._receive, self._send)
        if not self._is_done:
            self._task.cancel()

    async def _client_leaves(self) -> bool:
        try:
            async with asyncio.timeout_at(self._deadline):
                if self._body is _Body.UNREAD:  # a message that is received here would be missing in the application
                    await self._loop.create_future()
                while (await self._receive())["type"] != "http.disconnect":
                    pass
                return True
        except TimeoutError:
            return False
