"""The scenes of the demo: what an admin does in Doorcode, by its GraphQL API, at the press of a button in the shop."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from signing import sign_code

CUSTOMERS = {
    "ana": {"id": "shop-1", "email": "ana@example.com", "name": "Ana", "plan": "gold", "groups": ["members"]},
    "ben": {"id": "shop-2", "email": "ben@example.com", "name": "Ben", "plan": "silver", "groups": ["members"]},
}
NEWCOMER = {"id": "shop-3", "email": "new@example.com", "name": "A new customer"}
GRACE_PERIOD = 3600  # seconds
ADMIN = "admin@example.com"

Answer = dict[str, Any]


class Scenes:
    """Plays scenes, one at a time. The shop signs with `secret`, which scenes replace."""

    def __init__(self, doorcode: str, secret: str, api_key: str, environ: Mapping[str, str]) -> None:
        # By address: Python does not resolve names that end in `.localhost` on every system, as browsers do.
        self._endpoint = f"http://127.0.0.1:{urlsplit(doorcode).port}/graphql"
        self._api_key = api_key
        self._environ = environ
        self._lock = threading.Lock()
        self.secret = secret
        self._scenes: Mapping[str, Callable[[str], Answer]] = {
            "expired": self._expired,
            "full": self._full,
            "deactivated": self._deactivated,
            "rotated": self._rotated,
            "leaked": self._leaked,
            "reset": self._reset,
        }

    def play(self, name: str, customer: str) -> Answer | None:
        """Play a scene with this customer. Return what the page shows and tries; None for an unknown scene."""
        scene = self._scenes.get(name)
        if scene is None or customer not in CUSTOMERS:
            return None
        with self._lock:
            self._ask("mutation { setSeatLimit(limit: null) { used } }")
            return scene(customer)

    def panel_link(self) -> str:
        """Return a link that signs in to the panel once."""
        command = [sys.executable, "-m", "service", "admin", "invite", ADMIN]
        where = self._environ["DOORCODE_DATA_DIR"]
        done = subprocess.run(command, env=self._environ, cwd=where, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _expired(self, customer: str) -> Answer:
        return _answer(
            "The shop signs a code that expired an hour ago.", sign_code(CUSTOMERS[customer], self.secret, -3600)
        )

    def _full(self, customer: str) -> Answer:
        used = self._ask("{ seatUsage { used } }")["seatUsage"]["used"]
        self._ask(f"mutation {{ setSeatLimit(limit: {used}) {{ used }} }}")
        told = f"All seats are taken: {used} of {used}. A new customer comes."
        return _answer(told, sign_code(NEWCOMER, self.secret))

    def _deactivated(self, customer: str) -> Answer:
        user = CUSTOMERS[customer]
        self._ask(f'mutation {{ deactivateUser(id: "{user["id"]}") {{ id }} }}')
        told = f"The admin deactivates {user['name']}: the session ends at once, and a new code does not help."
        return _answer(told, sign_code(user, self.secret))

    def _rotated(self, customer: str) -> Answer:
        self._revoke("RETIRING")
        old = self.secret
        self._rotate(GRACE_PERIOD)
        told = "There is a new secret. The old one works for another hour, so a code that was signed with it still signs in."
        return _answer(told, sign_code(CUSTOMERS[customer], old))

    def _leaked(self, customer: str) -> Answer:
        leaked = self.secret
        self._revoke("CURRENT", "RETIRING")
        self._rotate(0)
        told = "The secret has leaked. The admin revokes it: all sessions end at once, and a code that a thief signs is refused."
        return _answer(
            told,
            sign_code(CUSTOMERS[customer], leaked),
            then="The shop has a new secret, and its customers sign in again.",
        )

    def _reset(self, customer: str) -> Answer:
        """Make everything as it was."""
        users = self._ask("{ users(first: 50, filter: { status: DEACTIVATED }) { nodes { id } } }")["users"]["nodes"]
        for user in users:
            self._ask(f'mutation {{ reactivateUser(id: "{user["id"]}") {{ id }} }}')
        return _answer("Everything is as it was.", sign_code(CUSTOMERS[customer], self.secret))

    def _rotate(self, grace_period: int) -> None:
        made = self._ask(f"mutation {{ rotateJwtSecret(gracePeriodSeconds: {grace_period}) {{ secret }} }}")
        self.secret = made["rotateJwtSecret"]["secret"]

    def _revoke(self, *states: str) -> None:
        for secret in self._ask("{ authentication { jwt { secrets { id status } } } }")["authentication"]["jwt"][
            "secrets"
        ]:
            if secret["status"] in states:
                end = "true" if "CURRENT" in states else "false"
                self._ask(f'mutation {{ revokeJwtSecret(id: "{secret["id"]}", endSessions: {end}) {{ enabled }} }}')

    def _ask(self, query: str) -> Answer:
        request = urllib.request.Request(
            self._endpoint,
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._api_key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if answer.get("errors"):
            raise RuntimeError(answer["errors"][0]["message"])
        data: Answer = answer["data"]
        return data


def _answer(told: str, code: str, *, then: str | None = None) -> Answer:
    """`told`: the scene in a sentence. `code`: what the page tries next. `then`: what it says before it signs in again."""
    return {"told": told, "code": code, "then": then}
