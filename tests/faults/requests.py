"""What clients of every kind send, for tests that take the database away."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2

from tests.site import Site, new_user_id

EXCHANGE = "mutation($c:String!){ exchangeExternalAuthCode(externalAuthCode:$c) { ... on SessionGrant { token } } }"
PATIENCE = 12.0  # seconds: more than the servers of these tests take for any answer, and a few more on a busy machine
ANSWER_TIMEOUT = {"DOORCODE_ANSWER_TIMEOUT": "4"}


@dataclass(frozen=True)
class Clients:
    """Clients of a server. Every method returns the answer, or fails if there is none in time."""

    site: Site
    url: str = ""

    def graphql(self, query: str, token: str | None = None, **variables: object) -> httpx2.Response:
        """Return the answer of an operation."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        return self._send("POST", "/graphql", json=body, headers=headers)

    def exchange(self, user_id: str | None = None) -> httpx2.Response:
        """Return the answer of an exchange; of a new user without an ID."""
        return self.graphql(EXCHANGE, c=self.site.code_for(user_id or new_user_id()))

    def token(self, user_id: str | None = None) -> str:
        """Return the token of a new session."""
        answer = self.exchange(user_id)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["exchangeExternalAuthCode"]["token"])

    def viewer(self, token: str) -> httpx2.Response:
        """Return the answer of a viewer."""
        return self.graphql("{ viewer { id } }", token)

    def link(self, user_id: str | None = None) -> httpx2.Response:
        """Return the answer of a link login."""
        code = self.site.code_for(user_id or new_user_id())
        return self._send("GET", "/", params={"externalAuthCode": code}, headers={"Accept": "text/html"})

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Return the answer of a page or another route."""
        return self._send("GET", path, headers=headers)

    def every_way(self, token: str, cookie: str) -> list[Callable[[], httpx2.Response]]:
        """Return one request of each kind that needs the database."""
        return [
            self.exchange,
            lambda: self.viewer(token),
            self.link,
            lambda: self.get("/verify", Cookie=f"doorcode={cookie}"),
            lambda: self.get("/admin", Cookie=f"doorcode-admin={cookie}", Accept="text/html"),
            lambda: self.get("/", Cookie=f"doorcode={cookie}", Accept="text/html"),
            lambda: self.get("/.well-known/jwks.json"),
        ]

    def _send(self, method: str, path: str, **how: object) -> httpx2.Response:
        with httpx2.Client(base_url=self.url or self.site.server.url, timeout=PATIENCE, verify=False) as client:
            return client.request(method, path, **how)  # type: ignore[arg-type]


def at_once(requests: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    """Send all of them at the same time, and return the answers in their order."""
    with ThreadPoolExecutor(len(requests)) as threads:
        return [future.result() for future in [threads.submit(request) for request in requests]]


def assert_unavailable(answer: httpx2.Response) -> None:
    """The answer says that the same request may be sent again soon."""
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), (answer.url, answer.text)
    if answer.url.path == "/graphql":
        [error] = answer.json()["errors"]
        assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert error["extensions"]["retryAfterSeconds"] == 5


def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds. Fail if it does not within seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
