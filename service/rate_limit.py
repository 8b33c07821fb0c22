"""How many failed sign-ins one address has: wrong signatures and wrong email codes, counted together (contract §4)."""

import asyncio
import math
import time

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from service.ip_addresses import network_of
from service.settings import Settings

_log = structlog.get_logger()

PATIENCE = 0.5  # seconds for the storage: a Redis that hangs must not hold up every mistyped code


class FailedSignIns:
    """Counts failures by address; in this process, or in Redis for all machines."""

    def __init__(self, settings: Settings) -> None:
        self._rate: RateLimitItem | None = (
            None if settings.failed_sign_ins == "off" else parse(settings.failed_sign_ins)
        )
        url = settings.rate_limit_url
        storage = MemoryStorage() if url == "memory://" else RedisStorage(f"async+{url}", implementation="redispy")
        self._limiter = FixedWindowRateLimiter(storage)

    async def count(self, ip_address: str | None) -> int | None:
        """Count one failure. None while the address has tries left, else the seconds until it has some again.

        Where the counts cannot be reached nobody is held up: the tries of a 256-bit signature need no limit to be safe.
        """
        if self._rate is None or ip_address is None:
            return None
        network = network_of(ip_address)
        try:
            async with asyncio.timeout(PATIENCE):
                if await self._limiter.hit(self._rate, network):
                    return None
                window = await self._limiter.get_window_stats(self._rate, network)
        except Exception as error:  # whatever the storage's driver raises
            _log.warning("rate_limit_storage_unreachable", error=type(error).__name__)
            return None
        return max(1, math.ceil(window.reset_time - time.time()))
