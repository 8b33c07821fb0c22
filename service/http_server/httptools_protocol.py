"""The bounded connection with the parser httptools, which goes on where a request offers to leave HTTP/1.1."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http_server.connections import _Bounded, _Phase

_UPGRADE_FIELDS = {b"upgrade", b"http2-settings"}


class BoundedHttpToolsProtocol(_Bounded, HttpToolsProtocol):
    """uvicorn's connection with the parser httptools, which is written in C.

    The parser takes what follows an offer of an upgrade for bytes of another protocol. A server may ignore the offer
    (RFC 9110, section 7.8), so the head is parsed once more without it. Java's HttpClient offers h2c with each request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state = _Phase.NOTHING
        self._offers_upgrade = False

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._state = _Phase.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the application, unless the head has to be parsed again."""
        self._state = _Phase.BODY
        self._offers_upgrade = self.parser.should_upgrade()
        if not self._offers_upgrade:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next head may begin."""
        if not self._offers_upgrade:
            self._state = _Phase.NOTHING
            self._watch(_Phase.NOTHING)
            super().on_message_complete()

    def _feed(self, piece: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._state is _Phase.NOTHING:
            self._state = _Phase.HEAD  # empty lines before a request count too
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(piece[upgrade.args[0] :])
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _phase(self) -> _Phase:
        return self._state

    def _parse_without_upgrade(self, rest: bytes) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("This is not a proxy.")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                lines.append(b"connection: " + _options_without_upgrade(value))
            elif name not in _UPGRADE_FIELDS:
                lines.append(name + b": " + value)
        self._offers_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        self._feed(b"\r\n".join([*lines, b"", b""]))
        if rest and not self.transport.is_closing():
            self._feed(rest)


def _options_without_upgrade(connection: bytes) -> bytes:
    options = (option.strip().lower() for option in connection.split(b","))
    return b", ".join(option for option in options if option not in _UPGRADE_FIELDS)
