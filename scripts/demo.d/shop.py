"""A sample backend: it has customers, and signs codes for them. It uses the standard library only."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

CODE_LIFETIME = 300  # seconds
PAGE = Path(__file__).with_name("index.html")

# The customers of the shop. How they sign in to the shop is not shown: here they open `?as=ana`.
CUSTOMERS = {
    "ana": {"id": "shop-1", "email": "ana@example.com", "name": "Ana", "plan": "gold"},
    "ben": {"id": "shop-2", "email": "ben@example.com", "name": "Ben", "plan": "silver"},
}


def sign(payload: Mapping[str, Any], secret: str) -> str:
    """A compact JWS with HS256 (RFC 7515), as any JWT library makes it. The key is the secret's text as it was shown."""
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(payload)}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(signature)}"


def code_for(customer: str, secret: str, lifetime: int = CODE_LIFETIME) -> str:
    """A code that signs this customer in."""
    moment = int(time.time())
    return sign({"user": CUSTOMERS[customer], "iat": moment, "exp": moment + lifetime}, secret)


def _encoded(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Shop:
    """The shop's web server, in a thread of its own."""

    def __init__(self, port: int, doorcode: str, secret: str) -> None:
        """`doorcode` is its address. Raises `OSError` if the port is taken."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, doorcode, secret))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, doorcode: str, secret: str, *rest: Any) -> None:
        self._doorcode = doorcode
        self._secret = secret
        super().__init__(*rest)

    def do_GET(self) -> None:
        """Serve the page, or a new code for its user."""
        url = urlsplit(self.path)
        customer = parse_qs(url.query).get("as", [""])[0]
        if url.path == "/":
            self._answer(200, "text/html", self._page(customer))
        elif url.path == "/code" and customer in CUSTOMERS:
            self._answer(200, "text/plain", code_for(customer, self._secret))
        else:
            self._answer(404, "text/plain", "This page does not exist.\n")

    def _page(self, customer: str) -> str:
        known = customer in CUSTOMERS
        values = {
            "doorcode": self._doorcode,
            "customer": customer if known else "",
            "code": code_for(customer, self._secret) if known else "",
            "expired": code_for("ana", self._secret, lifetime=-3600),
        }
        page = PAGE.read_text()
        for name, value in values.items():
            page = page.replace(f"{{{{ {name} }}}}", escape(value))
        return page

    def _answer(self, status: int, media_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Log nothing: only Doorcode's output matters here."""
