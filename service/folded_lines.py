"""Limits the log lines that strangers can cause: one line a minute for each kind and network, and a count of the others."""

import time
from dataclasses import dataclass

import structlog

from service.ip_addresses import network_of

WINDOW = 60.0  # seconds
MAX_NETWORKS = 1_000  # kinds and networks at a time; those beyond share one line for each kind

_OTHERS = "others"
_log = structlog.get_logger()


@dataclass(slots=True)
class _Window:
    ends_at: float
    suppressed: int = 0


class FoldedLines:
    """The windows of one process: which kind of line of which network was logged within the last minute."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def admits(self, kind: str, ip_address: str | None) -> bool:
        """Return whether to log a line of this kind now. Counts it if not: `log_suppressed` logs the count."""
        moment = time.monotonic()
        key = kind, network_of(ip_address)
        if key not in self._windows and len(self._windows) >= MAX_NETWORKS:
            key = kind, _OTHERS
        window = self._windows.get(key)
        if window is None or window.ends_at <= moment:
            self._log_count(key, window)
            self._windows[key] = _Window(moment + WINDOW)
            return True
        window.suppressed += 1
        return False

    def log_suppressed(self, *, at_end: bool = False) -> None:
        """Log how many lines were left out in the minutes that are over, and forget them. `at_end`: in all minutes."""
        moment = time.monotonic()
        for key in [key for key, window in self._windows.items() if at_end or window.ends_at <= moment]:
            self._log_count(key, self._windows.pop(key))

    def _log_count(self, key: tuple[str, str], window: _Window | None) -> None:
        if window is not None and window.suppressed:
            _log.info("lines_suppressed", kind=key[0], network=key[1], count=window.suppressed)
