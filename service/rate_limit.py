"""Limits failed sign-ins by client address: wrong signatures and wrong email codes, counted together (contract §4).

Each network has an allowance (an IPv4 address or an IPv6 /64). All networks of an IPv6 /48 together have `SITE_FACTOR`
times as much. All clients without a usable address are one network.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from service.errors import SignInRefused
from service.ip_addresses import network_of, site_of
from service.refusal_texts import SignInErrorCode
from service.settings import Settings

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import FixedWindowRateLimiter

_log = structlog.get_logger()

STORAGE_TIMEOUT = 0.5  # seconds; a Redis that does not answer must not delay every wrong code
SHARDS = 256
"""Parts of the counts in memory. The library looks through a whole part for ended windows with nearly every hit, in the
event loop: with 60,000 addresses in one part, every other request waited 30 milliseconds."""
SITE_FACTOR = 10  # allowances of one network that an IPv6 /48 has


class FailedSignIns:
    """Counts failures by address, in this process or, with Redis, for all machines together.

    If the storage cannot be reached, no request is limited: a 256-bit signature cannot be guessed even without a limit,
    and the tries and waits of email codes are counted in the database.
    """

    def __init__(self, settings: Settings, keyed_hash: Callable[[str], str]) -> None:
        """Count under keyed hashes of the addresses, so that a reader of Redis does not see who failed."""
        self._keyed_hash = keyed_hash
        self._text_of_rate = settings.failed_sign_ins
        self._url = settings.rate_limit_url
        self._under_way: Counter[str] = Counter()
        if self._url != "memory://":
            _ = self._limiters  # so that a URL that Redis does not take stops the start

    # `limits` is imported for the first failure or email code: it takes 0.02 seconds, which the start need not wait for.

    @cached_property
    def _rate(self) -> "RateLimitItem | None":
        from limits import parse  # noqa: PLC0415

        return None if self._text_of_rate == "off" else parse(self._text_of_rate)

    @cached_property
    def _limiters(self) -> "list[FixedWindowRateLimiter]":
        from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415
        from limits.aio.strategies import FixedWindowRateLimiter  # noqa: PLC0415

        if self._url == "memory://":
            return [FixedWindowRateLimiter(MemoryStorage()) for _ in range(SHARDS)]
        return [FixedWindowRateLimiter(RedisStorage(f"async+{self._url}", implementation="redispy"))]

    def _limiter_of(self, key: str) -> "FixedWindowRateLimiter":
        return self._limiters[hash(key) % len(self._limiters)]

    async def count(self, ip_address: str | None) -> int | None:
        """Count one failure. Return None while the address has tries left, else the seconds until it has tries again."""
        return await self._first_wait(ip_address, self._count)

    @asynccontextmanager
    async def guess(self, ip_address: str | None) -> AsyncIterator[None]:
        """Run the block if the address has tries left. Else raise `SignInRefused` without running it.

        A guess that is still being checked takes a try until the block ends, so that simultaneous guesses do not exceed
        the limit in one process. The block calls `count` for a wrong guess.
        """
        keys = [key for _, key in self._limits(ip_address)]
        self._under_way.update(keys)
        try:
            wait = await self._first_wait(ip_address, self._test)
            if wait is not None:
                raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=wait)
            yield
        finally:
            self._under_way -= Counter(keys)  # an entry that reaches 0 is removed

    async def _first_wait(
        self, ip_address: str | None, allows: Callable[["RateLimitItem", str], Awaitable[bool]]
    ) -> int | None:
        """Ask for the network and for its /48. Return the seconds to wait of the first one that does not allow it."""
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT):
                for rate, key in self._limits(ip_address):
                    if not await allows(rate, key):
                        window = await self._limiter_of(key).get_window_stats(rate, key)
                        return max(1, math.ceil(window.reset_time - time.time()))
        except Exception as error:  # each driver raises errors of its own
            _log.warning("rate_limit_storage_unreachable", error=type(error).__name__)
        return None

    def _limits(self, ip_address: str | None) -> list[tuple["RateLimitItem", str]]:
        """Return each limit that applies to the address, with the key of its count."""
        if self._rate is None:
            return []
        network = network_of(ip_address)
        limits = [(self._rate, network)]
        if site := site_of(network):
            limits.append((_times(self._rate, SITE_FACTOR), site))
        return [(rate, self._keyed_hash(f"failed sign-ins\n{key}")) for rate, key in limits]

    async def _count(self, rate: "RateLimitItem", key: str) -> bool:
        return await self._limiter_of(key).hit(rate, key)

    async def _test(self, rate: "RateLimitItem", key: str) -> bool:
        return await self._limiter_of(key).test(rate, key, cost=max(1, self._under_way[key]))


def _times(rate: "RateLimitItem", factor: int) -> "RateLimitItem":
    """Return the same rate with a larger amount."""
    return type(rate)(rate.amount * factor, rate.multiples, rate.namespace)
