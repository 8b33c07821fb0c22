"""Real proxies with the configurations that the guide shows, and an application behind them."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.certificates import Certificate
from tests.libraries.node import SAMPLES
from tests.processes import free_port

PLACES = (SAMPLES, Path(__file__).parent)
START_DEADLINE = 30.0  # seconds


class Application:
    """An application behind a proxy. It answers with the headers that it was sent, or with a page that a test sets."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked_for: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages, asked_for = self.pages, self.asked_for

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked_for.append(self.path)
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                seen = {"path": self.path, "headers": self.headers.items(), "body": sent}
                page = pages.get(self.path.partition("?")[0])
                body = (page or json.dumps(seen)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8" if page else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Says nothing."""

        return Handler


@dataclass(frozen=True)
class Proxy:
    """A running one: whatever host of `example.com` or `example.net` is asked, it answers on this port."""

    port: int
    directory: Path

    @property
    def resolver_rules(self) -> str:
        """The argument that makes Chromium find it."""
        rules = [f"MAP *.{domain} 127.0.0.1:{self.port}" for domain in ("example.com", "example.net")]
        return f"--host-resolver-rules={','.join(rules)}"

    def client(self, host: str) -> httpx2.Client:
        """A client with a cookie jar that follows no redirect and trusts the certificate."""
        return httpx2.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": host},
            transport=_NamesHost(host),
        )


class _NamesHost(httpx2.HTTPTransport):
    """Asks for this host's certificate, although it connects to an address."""

    def __init__(self, host: str) -> None:
        super().__init__(verify=False)
        self._host = host

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions["sni_hostname"] = self._host
        return super().handle_request(request)


def configuration(name: str, port: int, doorcode: int, application: int, directory: Path) -> str:
    """The guide's configuration, with this test's ports and files."""
    replacements = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:8000": f"127.0.0.1:{doorcode}",
        "127.0.0.1:8001": f"127.0.0.1:{application}",  # a second Doorcode, where a configuration has one
        "127.0.0.1:3000": f"127.0.0.1:{application}",
        "/etc/ssl/example.com": str(directory / "example.com"),
        "/var/log/nginx": str(directory),
    }
    text = next(place / name for place in PLACES if (place / name).exists()).read_text()
    for sample, here in replacements.items():
        text = text.replace(sample, here)
    return text


@contextmanager
def nginx(program: str, *names: str, port: int, doorcode: int, application: int, directory: Path) -> Iterator[Proxy]:
    """nginx with these configurations."""
    made = Certificate.make(directory)
    made.certificate.rename(directory / "example.com.pem")
    made.key.rename(directory / "example.com.key")
    sites = "".join(configuration(name, port, doorcode, application, directory) for name in names)
    (directory / "nginx.conf").write_text(f"""
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off;
        pid {directory}/nginx.pid;
        error_log {directory}/error.log crit;
        events {{ worker_connections 256; }}
        http {{
            access_log {directory}/access.log;
            client_body_temp_path {directory}/body;
            proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/fastcgi;
            uwsgi_temp_path {directory}/uwsgi;
            scgi_temp_path {directory}/scgi;
            {sites}
        }}
    """)
    command = [program, "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")]
    with _running(command, port, directory, {}):
        yield Proxy(port, directory)


@contextmanager
def caddy(program: str, *, port: int, doorcode: int, application: int, directory: Path) -> Iterator[Proxy]:
    """Caddy with its configuration, and certificates that it generates."""
    options = f"{{\nadmin off\nhttp_port {free_port()}\nhttps_port {port}\nlocal_certs\nskip_install_trust\n}}\n"
    (directory / "Caddyfile").write_text(options + configuration("Caddyfile", port, doorcode, application, directory))
    home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    command = [program, "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]
    with _running(command, port, directory, home):
        yield Proxy(port, directory)


@contextmanager
def _running(command: list[str], port: int, directory: Path, environ: Mapping[str, str]) -> Iterator[None]:
    said = directory / "said"
    with said.open("w") as output:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process, said)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_DEADLINE)


def _wait_for(port: int, process: subprocess.Popen[Any], said: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while True:
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        if all(_shows_certificate(port, host) for host in ("auth.example.com", "app.example.com")):
            return
        time.sleep(0.05)


def _shows_certificate(port: int, host: str) -> bool:
    """Caddy listens before it has made the certificates."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=START_DEADLINE) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except OSError:
        return False
