"""A sample shop: it has customers, signs codes for them, and has a sign-in page. It uses the standard library only."""

import inspect
import json
import threading
from collections.abc import Mapping
from functools import partial
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from scenes import CUSTOMERS, Scenes
from signing import base64url, sign_code

HERE = Path(__file__).parent
REACT = HERE.parents[1] / "service" / "guide" / "samples" / "doorcode.tsx"
FILES = {"/shop.css": "text/css", "/shop.js": "text/javascript", "/logo.svg": "image/svg+xml"}
COOKIE = "shop-customer"  # a real shop would sign it, or keep a session


class Shop:
    """The shop's web server, in a thread of its own. The customers need no password: they press their name."""

    def __init__(
        self, port: int, doorcode: str, secret: str, api_key: str = "", environ: Mapping[str, str] | None = None
    ) -> None:
        """`doorcode` is its address. The scenes need an API key of scope ADMIN. Raises `OSError` if the port is taken."""
        scenes = Scenes(doorcode, secret, api_key, environ or {})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, doorcode, scenes))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, doorcode: str, scenes: Scenes, *rest: Any) -> None:
        self._doorcode = doorcode
        self._scenes = scenes
        super().__init__(*rest)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        customer = query.get("as", "")
        if url.path == "/":
            self._answer(200, "text/html", self._page("index.html", customer))
        elif url.path == "/react":
            self._answer(200, "text/html", self._page("react.html", customer))
        elif url.path in FILES:
            self._answer(200, FILES[url.path], (HERE / url.path[1:]).read_text())
        elif url.path == "/login":
            self._sign_in(query)
        elif url.path == "/logout":
            gone = f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
            self._answer(200, "text/html", self._page("signed-out.html", ""), Set_Cookie=gone)
        elif url.path == "/code" and customer in CUSTOMERS:
            self._answer(200, "text/plain", sign_code(CUSTOMERS[customer], self._scenes.secret))
        else:
            self._answer(404, "text/plain", "This page does not exist.\n")

    def do_POST(self) -> None:
        """Play a scene, or go to the panel. Only the shop's own pages may: other sites send another `Origin`."""
        url = urlsplit(self.path)
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}":
            self._answer(403, "text/plain", "Only the shop may do this.\n")
        elif url.path == "/panel":
            self._answer(303, "text/plain", "", Location=self._scenes.panel_link())
        elif url.path.startswith("/scenes/"):
            customer = parse_qs(url.query).get("as", [""])[0]
            answer = self._scenes.play(url.path.removeprefix("/scenes/"), customer)
            self._answer(200 if answer else 404, "application/json", json.dumps(answer))
        else:
            self._answer(404, "text/plain", "This page does not exist.\n")

    def _sign_in(self, query: Mapping[str, str]) -> None:
        """The shop's own sign-in page. Doorcode sends people here, with `returnTo` and `state`, who have no code.

        A customer who is signed in goes back at once, with a code and with both as they came.
        """
        kept = {name: query[name] for name in ("returnTo", "state") if name in query}
        customer = query.get("as") or self._signed_in_customer()
        if customer in CUSTOMERS:
            code = sign_code(CUSTOMERS[customer], self._scenes.secret)
            there = f"{self._doorcode}/?{urlencode({'externalAuthCode': code, **kept})}"
            cookie = f"{COOKIE}={customer}; Path=/; HttpOnly; SameSite=Lax"
            self._answer(303, "text/plain", "", Location=there, Set_Cookie=cookie)
        else:
            links = "".join(
                f'<a class="button" href="/login?{escape(urlencode({"as": name, **kept}))}">{about["name"]}</a>'
                for name, about in CUSTOMERS.items()
            )
            page = self._page("sign-in.html", "").replace("{{ links }}", links)
            self._answer(200, "text/html", page)

    def _signed_in_customer(self) -> str:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        return cookie.value if cookie else ""

    def _page(self, name: str, customer: str) -> str:
        known = customer in CUSTOMERS
        values = {
            "doorcode": self._doorcode,
            "customer": customer if known else "",
            "code": sign_code(CUSTOMERS[customer], self._scenes.secret) if known else "",
            "signing": f"{inspect.getsource(sign_code)}{inspect.getsource(base64url)}",
            "react": REACT.read_text(),
        }
        page = (HERE / name).read_text()
        for value_name, value in values.items():
            page = page.replace(f"{{{{ {value_name} }}}}", escape(value))
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
