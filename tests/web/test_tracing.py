"""OpenTelemetry traces: what a real receiver gets of a sign-in, and that nothing is imported without one."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service import tracing
from service.app import create_app
from service.instance import Instance
from service.settings import Settings, SettingsError
from tests.actions import ADDRESS, code_of, enable
from tests.clients import Api
from tests.programs import Programs

EXCHANGE = "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) { __typename } }"


class Receiver(ThreadingHTTPServer):
    """An OTLP receiver on loopback, which keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert isinstance(self.server, Receiver)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_sign_in_is_a_trace_of_its_request_exchange_and_statements(
    instance: Instance, receiver: Receiver
) -> None:
    code = code_of(await enable(instance), {"user": {"id": "ada", "email": "ada@example.com"}})
    app = create_app(instance.settings)
    app.state.instance = instance
    transport = httpx2.ASGITransport(app, client=(ADDRESS, 1))
    async with (
        tracing.tracing(instance.settings.model_copy(update={"otlp_url": receiver.url})),
        httpx2.AsyncClient(transport=transport, base_url=instance.settings.public_url) as http,
    ):
        for _ in range(2):
            await Api(http).ask(EXCHANGE, {"code": code})
    spans = receiver.spans()
    by_id = {span.span_id: span for span in spans}
    names = {span.name for span in spans}
    assert {"request", "exchange", "SELECT"} <= names
    exchanges = [span for span in spans if span.name == "exchange"]
    assert [by_id[span.parent_span_id].name for span in exchanges] == ["request"] * 2
    statements = [span for span in spans if span.name in ("SELECT", "INSERT")]
    trace_ids = {span.trace_id for span in exchanges}
    assert {span.trace_id for span in statements} & trace_ids
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
    told = "".join(map(str, receiver.requests))
    assert '"/graphql"' in told
    assert "ada" not in told
    assert code not in told


def test_without_a_receiver_nothing_of_opentelemetry_is_imported(programs: Programs, tmp_path: Path) -> None:
    del programs
    program = (
        "import asyncio, sys\n"
        "from service.app import create_app\nfrom service.settings import load_settings\n"
        "async def main():\n"
        f"    app = create_app(load_settings({{'DOORCODE_DATA_DIR': {str(tmp_path)!r}}}))\n"
        "    async with app.router.lifespan_context(app): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def test_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"^DOORCODE_OTLP_URL: .*doorcode\[otel\]"):
        async with tracing.tracing(Settings(otlp_url="http://127.0.0.1:4318/v1/traces")):
            pass
