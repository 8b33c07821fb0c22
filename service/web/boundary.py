"""The outermost layer: measures every request, and answers if an exception was not handled below."""

import ipaddress
import sys
import time
from functools import cache

from prometheus_client import Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.database import is_unreachable
from service.error_reports import report_error
from service.errors import new_reference
from service.ip_addresses import parse_address
from service.metrics import REQUEST_SECONDS
from service.request_id import new_request_id, parse_request_id, request_id
from service.settings import Settings, SettingsError
from service.tracing import span
from service.web.failures import internal_error, unavailable
from service.web.requests import route_of


class Boundary:
    """ASGI middleware.

    Lets no exception through to the server, because the server would print a traceback with secrets.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._proxies = [ipaddress.ip_network(network, strict=False) for network in settings.trusted_proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure and answer one request."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, _in_one_line(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, response_started = time.perf_counter(), False
        name = self._name_of_proxy(scope) or new_request_id()
        header = (b"x-request-id", name.encode())

        async def noting_send(message: Message) -> None:
            nonlocal response_started
            if message["type"] == "http.response.start":
                response_started = True
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        token = request_id.set(name)
        try:
            with span("request", {"http.request.method": scope["method"], "request_id": name}) as open_span:
                await self._app(scope, receive, noting_send)
                if open_span is not None:
                    open_span.set_attribute("http.route", route_of(scope))
        except ClientDisconnect:
            pass  # the client has closed the connection
        except Exception as error:
            reference = _report(error, scope)
            if not response_started:  # otherwise the server notices the incomplete response and closes the connection
                await self._fail(error, reference)(scope, receive, noting_send)
        finally:
            request_id.reset(token)
            _seconds_of(route_of(scope)).observe(time.perf_counter() - started)

    def _name_of_proxy(self, scope: Scope) -> str | None:
        """Return the ID that a trusted proxy has given the request, if it is well-formed."""
        if not self._proxies or (client := scope.get("client")) is None:
            return None
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        return parse_request_id(given[0]) if len(given) == 1 and self._is_proxy(client[0]) else None

    def _is_proxy(self, host: str) -> bool:
        address = parse_address(host)
        return address is not None and any(ipaddress.ip_address(address) in network for network in self._proxies)

    def _fail(self, error: Exception, reference: str) -> ASGIApp:
        async def failure(scope: Scope, receive: Receive, send: Send) -> None:
            answer = unavailable if is_unreachable(error) else internal_error
            await answer(Request(scope), self._settings, reference)(scope, receive, send)

        return failure


def _report(error: Exception, scope: Scope) -> str:
    """Log the error and return its new reference.

    Of the request, only the route and the method are logged: the rest may hold a code or a token.
    """
    reference = new_reference()
    report_error(error, reference=reference, route=route_of(scope), method=scope["method"])
    return reference


@cache
def _seconds_of(route: str) -> Histogram:
    """Return the metric of a route. Cached, because finding a labelled metric costs more than using it."""
    return REQUEST_SECONDS.labels(route)


def _in_one_line(send: Send) -> Send:
    """Return a `send` that reports a wrong setting at start-up in one line, without a traceback."""

    async def telling_send(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, SettingsError):
            message = {**message, "message": str(error)}
        await send(message)

    return telling_send
