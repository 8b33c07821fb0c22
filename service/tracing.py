"""OpenTelemetry traces: spans of requests, exchanges and database statements, sent to an OTLP receiver.

Off by default, and then nothing of OpenTelemetry is imported: a span is a shared context that does nothing. On, with the
extra `doorcode[otel]`. No span holds a value: of a statement its text without values, of a request its route, not its address.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from importlib import metadata
from typing import Any

from service.setting_sources import variable_of
from service.settings import Settings, SettingsError

_NOTHING: AbstractContextManager[Any] = nullcontext()
_tracer: Any = None


def span(name: str, attributes: Mapping[str, str] | None = None) -> AbstractContextManager[Any]:
    """Return a context that is measured as a span, below the span that is open. It does nothing without a receiver."""
    if _tracer is None:
        return _NOTHING
    context: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=attributes)
    return context


def statement_span(sql: str) -> AbstractContextManager[Any]:
    """Return the span of a database statement, of which only the text is told, not the values."""
    return _NOTHING if _tracer is None else span(sql.split(" ", 1)[0], {"db.query.text": sql})


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[None]:
    """Send the spans of this process to the receiver of the settings, while the context is open.

    Raises `SettingsError` if there is a receiver and OpenTelemetry is not installed.
    """
    global _tracer  # noqa: PLW0603  # a span anywhere in the process belongs to its one tracer
    if settings.otlp_url is None:
        yield
        return
    provider = _provider(settings.otlp_url)
    _tracer = provider.get_tracer("doorcode")
    try:
        yield
    finally:
        _tracer = None
        await asyncio.to_thread(provider.shutdown)  # sends what is left


def _provider(url: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"{variable_of('otlp_url')}: OpenTelemetry is not installed; install doorcode[otel], or remove the setting"
        ) from error
    resource = Resource.create({"service.name": "doorcode", "service.version": metadata.version("doorcode")})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return provider
