"""Tells systemd how the service is (sd_notify(3)). The protocol is a datagram to a socket, so it needs no library.

Where no service manager asks for it, nothing is sent.
"""

import os
import socket
import time
from contextlib import suppress


def notify(*assignments: str) -> None:
    """Send assignments such as `READY=1`. A manager that does not listen is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # the name of an abstract socket begins with a zero byte (unix(7))
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
        client.connect(address)
        client.sendall("\n".join(assignments).encode())


class Watchdog:
    """Says twice in each period that the process is alive, if systemd set a period (`WatchdogSec=`)."""

    def __init__(self) -> None:
        for_this_process = os.environ.get("WATCHDOG_PID") in {None, str(os.getpid())}
        period = os.environ.get("WATCHDOG_USEC", "") if for_this_process else ""
        self._seconds = int(period) / 2_000_000 if period.isdecimal() else 0.0
        self._last = 0.0

    def ping(self) -> None:
        """Send a sign of life if half the period has passed since the last one. Costs a comparison otherwise."""
        if self._seconds and time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            notify("WATCHDOG=1")
