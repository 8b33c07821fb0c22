"""A customer's own website: pages on another origin, on loopback."""

import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.processes import free_port

# `seen` holds the events of the page, `codes` the codes that it gave when it was asked for one.
_RECORDER = """
<script>
  window.seen = [];
  for (const name of ["ready", "error", "expired", "signout"])
    document.addEventListener("doorcode:" + name, ({detail}) => seen.push([name, detail && {...detail}]));
</script>
"""


class Frontend:
    """A web server with pages in memory. Chromium looks up no name that ends in `.localhost`: all are this machine."""

    def __init__(self, host: str = "shop.localhost") -> None:
        self.port = free_port()
        self.origin = f"http://{host}:{self.port}"
        self._pages: dict[str, tuple[str, dict[str, str]]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def show(self, body: str, path: str = "/", **headers: str) -> str:
        """Puts a page there; its address."""
        self._pages[path] = (f"<!doctype html><title>Shop</title>{body}", headers)
        return self.origin + path

    def show_widget(self, service: str, code: str | None, *, before: str = "", path: str = "/") -> str:
        """Puts a page there that embeds the widget as the guide says, with this code; its address."""
        attribute = "" if code is None else f' data-external-auth-code="{html.escape(code)}"'
        return self.show(f'{_RECORDER}{before}<script defer{attribute} src="{service}/widget.js"></script>', path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, headers = pages.get(self.path.partition("?")[0], ("", {}))
                content = body.encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Says nothing."""

        return Handler
