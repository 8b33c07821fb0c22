"""A sample backend: it has customers, signs codes for them, and has a sign-in page. It uses the standard library only."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from functools import partial
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

CODE_LIFETIME = 300  # seconds
PAGE = Path(__file__).with_name("index.html")
COOKIE = "shop-customer"  # a real shop would sign it, or keep a session

# The customers of the shop. They need no password here: they open `?as=ana`, or press their name on the sign-in page.
CUSTOMERS = {
    "ana": {"id": "shop-1", "email": "ana@example.com", "name": "Ana", "plan": "gold"},
    "ben": {"id": "shop-2", "email": "ben@example.com", "name": "Ben", "plan": "silver"},
}

_HEAD = '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Sample shop</title>'
_SIGNED_OUT = f'{_HEAD}<h1>You are signed out of the sample shop</h1><p><a href="/">Back to the shop</a></p>'


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
        elif url.path == "/login":
            self._sign_in({name: values[0] for name, values in parse_qs(url.query).items()})
        elif url.path == "/logout":
            self._answer(
                200, "text/html", _SIGNED_OUT, Set_Cookie=f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
            )
        elif url.path == "/code" and customer in CUSTOMERS:
            self._answer(200, "text/plain", code_for(customer, self._secret))
        else:
            self._answer(404, "text/plain", "This page does not exist.\n")

    def _sign_in(self, query: Mapping[str, str]) -> None:
        """The shop's own sign-in page. Doorcode sends people here, with `returnTo` and `state`, who have no code.

        A customer who is signed in goes back at once, with a code and with both as they came.
        """
        kept = {name: query[name] for name in ("returnTo", "state") if name in query}
        customer = query.get("as") or self._signed_in_customer()
        if customer in CUSTOMERS:
            code = code_for(customer, self._secret)
            there = f"{self._doorcode}/?{urlencode({'externalAuthCode': code, **kept})}"
            cookie = f"{COOKIE}={customer}; Path=/; HttpOnly; SameSite=Lax"
            self._answer(303, "text/plain", "", Location=there, Set_Cookie=cookie)
        else:
            links = "".join(
                f'<p><a href="/login?{escape(urlencode({"as": name, **kept}))}">{about["name"]}</a></p>'
                for name, about in CUSTOMERS.items()
            )
            self._answer(200, "text/html", f"{_HEAD}<h1>Sign in to the sample shop</h1><p>Who are you?</p>{links}")

    def _signed_in_customer(self) -> str:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        return cookie.value if cookie else ""

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

    def _answer(self, status: int, media_type: str, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Log nothing: only Doorcode's output matters here."""
