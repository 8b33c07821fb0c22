"""The gauges that a scrape of the metrics reads from the database: seats, sessions, mails that wait, and secrets."""

import math
import time

from service.accounts.seats import count_seats
from service.clock import now
from service.email_login.mail_queue import count_mails
from service.external_auth.secrets import JwtSecretStatus, list_secrets, status_of
from service.metrics import MAILS_WAITING, SEATS_LIMIT, SEATS_USED, SECRET_LAST_USED, SESSIONS
from service.sessions.listing import count_unexpired

_COUNT_SESSIONS_EVERY = 60.0  # seconds: counting a million takes a tenth of a second

_sessions_counted_at = -math.inf


async def measure() -> None:
    """Update the gauges. Raises what the database raises; then they keep their values."""
    global _sessions_counted_at  # noqa: PLW0603  # the gauge is one for the process, too
    seats = await count_seats()
    SEATS_USED.set(seats.used)
    SEATS_LIMIT.set(math.nan if seats.limit is None else seats.limit)
    MAILS_WAITING.set(await count_mails())
    moment, last_used = now(), dict.fromkeys((JwtSecretStatus.CURRENT, JwtSecretStatus.RETIRING), math.nan)
    for secret in await list_secrets():
        status = status_of(secret, moment)
        if status in last_used and secret.last_used_at is not None:
            last_used[status] = max(secret.last_used_at.timestamp(), _or(last_used[status], 0.0))
    for status, seconds in last_used.items():
        SECRET_LAST_USED.labels(status).set(seconds)
    if time.monotonic() - _sessions_counted_at > _COUNT_SESSIONS_EVERY:
        SESSIONS.set(await count_unexpired())
        _sessions_counted_at = time.monotonic()


def _or(number: float, otherwise: float) -> float:
    return otherwise if math.isnan(number) else number
