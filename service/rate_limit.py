"""Limits failed sign-ins by client address: wrong signatures and wrong email codes, counted together (contract §4)."""

import asyncio
import math
import time
from collections.abc import Callable

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from service.ip_addresses import network_of
from service.settings import Settings

_log = structlog.get_logger()

STORAGE_TIMEOUT = 0.5  # seconds; a Redis that does not answer must not delay every wrong code


class FailedSignIns:
    """Counts failures by address, in this process or, with Redis, for all machines together."""

    def __init__(self, settings: Settings, keyed_hash: Callable[[str], str]) -> None:
        """Count under keyed hashes of the addresses, so that a reader of Redis does not see who failed."""
        self._keyed_hash = keyed_hash
        self._rate: RateLimitItem | None = (
            None if settings.failed_sign_ins == "off" else parse(settings.failed_sign_ins)
        )
        url = settings.rate_limit_url
        storage = MemoryStorage() if url == "memory://" else RedisStorage(f"async+{url}", implementation="redispy")
        self._limiter = FixedWindowRateLimiter(storage)

    async def count(self, ip_address: str | None) -> int | None:
        """Count one failure. Return None while the address has tries left, else the seconds until it has tries again.

        If the storage cannot be reached, the answer is None: a 256-bit signature cannot be guessed even without a limit.
        """
        if self._rate is None or ip_address is None:
            return None
        network = self._keyed_hash(f"failed sign-ins\n{network_of(ip_address)}")
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT):
                if await self._limiter.hit(self._rate, network):
                    return None
                window = await self._limiter.get_window_stats(self._rate, network)
        except Exception as error:  # each driver raises errors of its own
            _log.warning("rate_limit_storage_unreachable", error=type(error).__name__)
            return None
        return max(1, math.ceil(window.reset_time - time.time()))
