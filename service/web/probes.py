"""What machines ask: alive, ready, measured, and the public keys of the access tokens (contract §5)."""

import asyncio
import hashlib
import hmac
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.accounts.seats import count_seats
from service.credentials import bearer_token
from service.database import is_migrated
from service.metrics import SEATS_LIMIT, SEATS_USED, exposition
from service.sessions.access_tokens import JWKS_MAX_AGE, published_keys
from service.settings import Settings
from service.web.assets import is_unchanged
from service.web.requests import instance_of

PATIENCE = 2.0  # seconds that the database has to answer a probe
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus's text format

_NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_log = structlog.get_logger()
_asking: set[asyncio.Future[Any]] = set()

Answer = TypeVar("Answer")


async def healthz(_request: Request) -> Response:
    """Alive. Nothing is asked of the database: a restart would not mend that one."""
    return PlainTextResponse("ok\n", headers=_NEVER_KEPT)


async def readyz(_request: Request) -> Response:
    """Whether requests can be answered; 503 with one word of why not."""
    trouble = await _trouble()
    return PlainTextResponse(f"{trouble or 'ok'}\n", 503 if trouble else 200, _NEVER_KEPT)


async def metrics(request: Request) -> Response:
    """Prometheus's text; 404 for whoever may not read it, as if it were not there."""
    if not _may_read_metrics(request, instance_of(request).settings):
        raise HTTPException(404)
    await _measure_seats()
    return Response(exposition(), headers={**_NEVER_KEPT, "Content-Type": EXPOSITION})


async def jwks(request: Request) -> Response:
    """The JSON Web Key Set (RFC 7517 §5), for anyone, from any page."""
    body = orjson.dumps({"keys": await published_keys(instance_of(request).settings)})
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {
        "Cache-Control": f"public, max-age={JWKS_MAX_AGE}",
        "ETag": etag,
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
    }
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def _trouble() -> str | None:
    try:
        return None if await _patiently(is_migrated()) else "unmigrated"
    except Exception as error:  # whatever a driver raises, the answer is the same
        _log.warning("probe_database_silent", error=type(error).__name__)
        return "unreachable"


def _may_read_metrics(request: Request, settings: Settings) -> bool:
    if settings.is_on_loopback:
        return True
    if settings.metrics_token is None:
        return False
    token = bearer_token(request) or ""
    return hmac.compare_digest(token.encode(), settings.metrics_token.encode())


async def _measure_seats() -> None:
    """Without the database the rest is still worth reading, then more than ever."""
    try:
        count = await _patiently(count_seats())
    except Exception as error:
        _log.warning("seat_metrics_failed", error=type(error).__name__)
        return
    SEATS_USED.set(count.used)
    SEATS_LIMIT.set(float("nan") if count.limit is None else count.limit)


async def _patiently(question: Coroutine[Any, Any, Answer]) -> Answer:
    """The database's answer; raises `TimeoutError` where it takes too long.

    The question is then given up, but not waited for: a driver that tells a stuck database so may be stuck itself.
    """
    asking = asyncio.ensure_future(question)
    _asking.add(asking)  # the event loop itself holds no task fast
    asking.add_done_callback(_forget)
    done, _ = await asyncio.wait({asking}, timeout=PATIENCE)
    if not done:
        asking.cancel()
        raise TimeoutError
    return asking.result()


def _forget(asking: asyncio.Future[Any]) -> None:
    _asking.discard(asking)
    if not asking.cancelled():
        asking.exception()  # looked at, or the event loop would complain that nobody did
