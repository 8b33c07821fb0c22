"""HTTP/1.1 connections within bounds: how large a request's head is, how long its parts may take, how many there are.

uvicorn limits only some of these for h11, and not one for httptools. A header that never ends costs httptools quadratic
time, so the bound has to be kept before its parser has the bytes.
"""

import asyncio
import importlib.util
import resource
import time
from abc import ABC, abstractmethod
from enum import Enum
from http import HTTPStatus
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD = 64 * 1024
"""Bytes of a request's head: request line and header fields."""

MAX_CONNECTIONS = 10_000
"""Connections of one process. Fewer where the system allows fewer open files."""

PARSER_BUFFER = 2 * MAX_HEAD
"""For h11's own bound, which answers 400: more than `MAX_HEAD`, so that the bound here comes first."""

_HEAD_SECONDS = 10.0  # from the connection or the first byte, until the head is complete
_BODY_SECONDS = 30.0  # from the head, until the body is complete
_PIECE = 16 * 1024  # bytes that a parser is given at once
_LINGER_SECONDS = 2.0  # for which the rest of a refused request is read and dropped
_LINGER_BYTES = 1024 * 1024  # that are dropped at most
_RESERVED_FILES = 100  # for the database, Redis, mail, logs and templates
_LOGGED_EVERY = 60.0  # seconds
_DRAIN_SECONDS = 1.0  # in which a request may come that was on its way when the server was asked to end
_SLOW_DRAIN_SECONDS = 10.0  # the same for a server that others replace, so that there is no hurry

_log = structlog.get_logger()


class _Phase(Enum):
    """What the connection waits for."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class _ConnectionLimit:
    """How many connections the process may have, and when the log last said that there were too many."""

    def __init__(self) -> None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        unlimited = files == resource.RLIM_INFINITY
        self.connections = MAX_CONNECTIONS if unlimited else min(MAX_CONNECTIONS, max(10, files - _RESERVED_FILES))
        self._logged_at = -_LOGGED_EVERY

    def note_refusal(self) -> None:
        """Log that a connection was refused, at most once a minute."""
        if time.monotonic() - self._logged_at >= _LOGGED_EVERY:
            self._logged_at = time.monotonic()
            _log.warning("connections_refused", limit=self.connections)


def raise_file_limit() -> None:
    """Allow this process and its workers as many open files as the system lets it: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS has a lower limit than the one that it names
        _log.info("file_limit_unchanged", error=str(error))


class _Bounded(ABC):
    """What both protocols have in common; it comes before uvicorn's class among the bases."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    cycle: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._watched = _Phase.NOTHING
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False
        self._dropped = 0
        self._stopping = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request, or refuse the connection if there are too many."""
        limit = _connection_limit()
        if len(self.connections) >= limit.connections:
            self.transport = transport
            limit.note_refusal()
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections. Try again in a few seconds.")
            self.transport.close()
            return
        super().connection_made(transport)  # type: ignore[misc]  # defined by the other base class
        self._watch(_Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._watch(_Phase.NOTHING)
        super().connection_lost(exc)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """Pass the bytes to the parser in pieces, as long as no head is too large."""
        if self._refused:
            self._drop(data)
            return
        start = 0
        while start < len(data) and not self._is_over():
            piece = data[start : start + min(_PIECE, MAX_HEAD - self._head_bytes)]
            start += len(piece)
            self._head_bytes += len(piece)
            self._feed(piece)
            if self._stopping and self.cycle is not None:
                self.cycle.keep_alive = False
            if self._phase() is not _Phase.HEAD:
                self._head_bytes = 0
            elif self._head_bytes >= MAX_HEAD:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The request line and the header fields have more than {MAX_HEAD:,} bytes.",
                )
        if not self._is_over():
            self._watch(self._phase())

    def shutdown(self) -> None:
        """Close the connection when the server ends: at once if a body is incomplete, after its answer if there is one.

        An idle connection is closed after a moment. A request that is on its way would fail otherwise, although another
        process could serve it.
        """
        self._stopping = True
        if self._phase() is _Phase.BODY or self._is_answering():
            self._close_unless_answering()
        else:
            self.loop.call_later(_drain_seconds, self._close_unless_answering)

    def _close_unless_answering(self) -> None:
        if self._phase() is _Phase.BODY and not self._response_started():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()
        elif self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _unsupported_upgrade_warning(self) -> None:  # noqa: B027  # replaces the method of uvicorn
        """Log nothing: the request is answered as if it had offered no upgrade."""

    @abstractmethod
    def _feed(self, piece: bytes) -> None:
        """Give bytes to the parser."""

    @abstractmethod
    def _phase(self) -> _Phase:
        """Return what the connection waits for."""

    def _watch(self, phase: _Phase) -> None:
        """Set the deadline of the phase that has begun. Most requests come in one piece and need none."""
        if phase is self._watched:
            return
        self._watched = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if phase is not _Phase.NOTHING:
            seconds = _HEAD_SECONDS if phase is _Phase.HEAD else _BODY_SECONDS
            self._deadline = self.loop.call_later(seconds, self._end, phase)

    def _end(self, phase: _Phase) -> None:
        self._watched = _Phase.NOTHING
        if phase is _Phase.HEAD and self.cycle is not None and not self.cycle.response_complete:
            self._watch(phase)  # the request before it is still being answered
        elif phase is _Phase.HEAD and self._head_bytes == 0:
            self.transport.close()  # nothing was sent, so there is nothing to answer
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The {phase.value} of the request took too long.")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer and close. If a response has begun, close only: the client cannot tell another one from it.

        The rest of the request is read and dropped for a moment. If the connection were closed while bytes wait to be
        read, TCP would reset it, and the client could lose the answer (RFC 9112, section 9.6).
        """
        if self._refused:
            return
        self._refused = True
        self._watch(_Phase.NOTHING)
        if self.cycle is not None and self._response_started():
            self.transport.close()
        else:
            body = f"{message}\n".encode()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
            )
            if self.cycle is not None:  # the application must not write behind this answer
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.transport.write(head.encode() + body)
            self.transport.write_eof()
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _is_over(self) -> bool:
        return self._refused or self.transport.is_closing()

    def _drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > _LINGER_BYTES:
            self.transport.close()

    def _response_started(self) -> bool:
        """Whether the last request is partly answered. Where it is completely, this answer is one to the next request."""
        return bool(self.cycle.response_started and not self.cycle.response_complete)


class BoundedH11Protocol(_Bounded, H11Protocol):
    """uvicorn's connection with the parser h11, which is pure Python."""

    def _feed(self, piece: bytes) -> None:
        H11Protocol.data_received(self, piece)

    def _phase(self) -> _Phase:
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.BODY
        has_begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        return _Phase.HEAD if has_begun else _Phase.NOTHING


_limit: _ConnectionLimit | None = None
_drain_seconds = _DRAIN_SECONDS


def drain_slowly() -> None:
    """Let idle connections of this process stay open longer when it ends: other processes serve already."""
    global _drain_seconds  # noqa: PLW0603  # the process ends once
    _drain_seconds = _SLOW_DRAIN_SECONDS


def _connection_limit() -> _ConnectionLimit:
    """Return the limit of this process, which is known once its file limit is raised."""
    global _limit  # noqa: PLW0603  # one per process, as the file limit is
    if _limit is None:
        _limit = _ConnectionLimit()
    return _limit


def http_protocol() -> type[asyncio.Protocol]:
    """Return the protocol class to serve with: httptools where it is installed, as uvicorn chooses by itself."""
    if importlib.util.find_spec("httptools") is None:
        return BoundedH11Protocol
    from service.http_server.httptools_protocol import BoundedHttpToolsProtocol  # noqa: PLC0415  # needs httptools

    return BoundedHttpToolsProtocol
