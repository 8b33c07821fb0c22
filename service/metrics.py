"""Metrics for Prometheus. No label holds a value that a client can choose."""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SIGN_INS = Counter("doorcode_sign_ins", "Sign-ins that succeeded", ["method", "result"])
SIGN_IN_REFUSALS = Counter("doorcode_sign_in_refusals", "Sign-ins that were refused, by SignInErrorCode", ["code"])
MAILS = Counter("doorcode_mails", "Mails that were to be sent: sent, retried, dropped, unwanted", ["kind", "result"])
INTERNAL_ERRORS = Counter("doorcode_internal_errors", "Internal errors: bugs, or a database that cannot be reached")
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
    "doorcode_seats_limit", "Seat limit; absent or NaN if there is no limit", multiprocess_mode="mostrecent"
)

_MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the name is set by prometheus-client


def share_metrics_between_workers(directory: str) -> None:
    """Let worker processes that are started later share one directory, so that each can answer for all of them."""
    os.environ[_MULTIPROCESS_DIRECTORY] = directory


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text format."""
    if _MULTIPROCESS_DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # this part of the library has no types
    return generate_latest(registry)
