"""What is counted, for Prometheus. No label ever holds anything that a stranger can choose."""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SIGN_INS = Counter("doorcode_sign_ins", "Sign-ins that succeeded", ["method", "result"])
SIGN_IN_REFUSALS = Counter("doorcode_sign_in_refusals", "Sign-ins that were refused, by SignInErrorCode", ["code"])
MAILS = Counter("doorcode_mails", "Mails that were to be sent: sent, retried, dropped, unwanted", ["kind", "result"])
INTERNAL_ERRORS = Counter("doorcode_internal_errors", "Errors that are bugs, or a database out of reach")
REFUSED_ORIGINS = Counter(
    "doorcode_refused_origins", "Requests from origins that DOORCODE_ALLOWED_ORIGINS does not name"
)
REQUEST_SECONDS = Histogram(
    "doorcode_request_seconds",
    "Time to answer a request",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
SEATS_USED = Gauge("doorcode_seats_used", "Active users", multiprocess_mode="mostrecent")
SEATS_LIMIT = Gauge(
    "doorcode_seats_limit", "Seat limit; absent or NaN where there is none", multiprocess_mode="mostrecent"
)

_MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the client library's own name for it


def share_metrics_between_workers(directory: str) -> None:
    """Let the worker processes that are started from here on write into one directory, from which any of them answers."""
    os.environ[_MULTIPROCESS_DIRECTORY] = directory


def exposition() -> bytes:
    """All metrics, in Prometheus's text format, of every worker."""
    if _MULTIPROCESS_DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types there
    return generate_latest(registry)
