"""The routes for machines: liveness, readiness, metrics, and the public keys of access tokens (contract §5)."""

import asyncio
import hashlib
import hmac
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.credentials import bearer_token
from service.database import cause_of_outage, check_writable, is_migrated
from service.error_reports import log_unreachable
from service.errors import RETRY_AFTER
from service.metrics import exposition
from service.sessions.access_tokens import JWKS_MAX_AGE, published_keys
from service.settings import Settings
from service.web.assets import is_unchanged
from service.web.measured import measure
from service.web.requests import instance_of

PATIENCE = 2.0  # seconds that the database has to answer a probe
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus's text format

_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_asking: set[asyncio.Future[Any]] = set()

Answer = TypeVar("Answer")


async def healthz(_request: Request) -> Response:
    """Answer 200 while the process serves. Does not ask the database: a restart of this process would not repair it."""
    return PlainTextResponse("ok\n", headers=_NO_STORE)


async def readyz(_request: Request) -> Response:
    """Answer 200 if requests can be served, else 503 with one word for the cause."""
    reason = await _reason_not_ready()
    if reason:
        return PlainTextResponse(f"{reason}\n", 503, {**_NO_STORE, "Retry-After": str(RETRY_AFTER)})
    return PlainTextResponse("ok\n", headers=_NO_STORE)


async def metrics(request: Request) -> Response:
    """Answer with the metrics in Prometheus's text format. 404 if the client may not read them."""
    if not _may_read_metrics(request, instance_of(request).settings):
        raise HTTPException(404)
    await _measure()
    return Response(exposition(), headers={**_NO_STORE, "Content-Type": EXPOSITION})


async def jwks(request: Request) -> Response:
    """Answer with the JSON Web Key Set (RFC 7517 §5). Public, and readable by pages of every origin."""
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


async def _reason_not_ready() -> str | None:
    try:
        if not await _within_timeout(is_migrated()):
            return "unmigrated"
        await _within_timeout(check_writable())
    except Exception as error:  # whatever a driver raises, the answer is the same
        log_unreachable(error, route="/readyz")
        return cause_of_outage(error) or "unreachable"
    return None


def _may_read_metrics(request: Request, settings: Settings) -> bool:
    if settings.is_on_loopback:
        return True
    if settings.metrics_token is None:
        return False
    token = bearer_token(request) or ""
    return hmac.compare_digest(token.encode(), settings.metrics_token.encode())


async def _measure() -> None:
    """Update what is read from the database.

    If the database does not answer, keep the old values: the other metrics are still served.
    """
    try:
        await _within_timeout(measure())
    except Exception as error:
        log_unreachable(error, route="/metrics")


async def _within_timeout(question: Coroutine[Any, Any, Answer]) -> Answer:
    """Return the database's answer. Raises `TimeoutError` after `PATIENCE` seconds.

    Then the query is cancelled, but not awaited: a driver that cancels a query of a stuck database may be stuck itself.
    """
    asking = asyncio.ensure_future(question)
    _asking.add(asking)  # the event loop keeps only a weak reference to a task
    asking.add_done_callback(_forget)
    done, _ = await asyncio.wait({asking}, timeout=PATIENCE)
    if not done:
        asking.cancel()
        raise TimeoutError
    return asking.result()


def _forget(asking: asyncio.Future[Any]) -> None:
    _asking.discard(asking)
    if not asking.cancelled():
        asking.exception()  # retrieved, because the event loop logs exceptions that are never retrieved
