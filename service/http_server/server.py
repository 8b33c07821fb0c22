"""A server process that ends without losing a request."""

import asyncio
import socket

import uvicorn

from service.http_server.systemd import Watchdog, notify

_QUEUE_SECONDS = 0.05  # in which the event loop accepts the connections that the kernel has queued


class DrainingServer(uvicorn.Server):
    """Accepts what waits in the queue of the listener before it closes it: the kernel resets what is left there."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, finish the requests in progress, and close the application."""
        await asyncio.sleep(_QUEUE_SECONDS)
        await super().shutdown(sockets)


class OnlyServer(DrainingServer):
    """The server of the only process. It tells systemd how it is."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._watchdog = Watchdog()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application and listen."""
        await super().startup(sockets)
        if self.started:
            notify("READY=1", "STATUS=Serving")

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second. Return whether the server has to end."""
        self._watchdog.ping()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as above, and say so first."""
        notify("STOPPING=1")
        await super().shutdown(sockets)
