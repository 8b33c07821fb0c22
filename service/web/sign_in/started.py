"""Sign-ins that started here and go on at the customer's: what this browser remembers of them (contract §5a).

The customer sends a person back with the `state` that the person was sent with. Only the browser that started has its
hash in a cookie, so a link that another person started signs in no one.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from service.clock import now
from service.credentials import cookie_values
from service.settings import Settings
from service.tokens import hash_token

STATE_BYTES = 32
STATE_LIFETIME = 600  # seconds
MAX_STATES = 5
MAX_AUTOMATIC_STARTS = 2
AUTOMATIC_STARTS_WITHIN = 30  # seconds

_STATE = re.compile(r"([0-9a-f]{64})\.(\d{1,12})", re.ASCII)
_AUTOMATIC = re.compile(r"auto\.(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StartedSignIns:
    """The sign-ins that this browser has started and not finished, oldest first.

    `states`: pairs of a hash and the time when it expires. `automatic`: when `/login` last went on by itself. Both in
    seconds since 1970.
    """

    states: tuple[tuple[str, int], ...]
    automatic: tuple[int, ...]

    @classmethod
    def of(cls, request: Request, settings: Settings) -> Self:
        """Read the cookie. Entries that are over or cannot be read are left out."""
        entries = [entry for value in cookie_values(request, _cookie_name(settings)) for entry in value.split("~")]
        moment = _now()
        states = [(found[1], int(found[2])) for found in map(_STATE.fullmatch, entries) if found]
        automatic = [int(found[1]) for found in map(_AUTOMATIC.fullmatch, entries) if found]
        return cls(
            _newest(((state, expires) for state, expires in states if expires > moment), MAX_STATES),
            tuple(sorted(time for time in automatic if moment - AUTOMATIC_STARTS_WITHIN < time <= moment)),
        )

    @property
    def may_start_automatically(self) -> bool:
        """Whether `/login` may go on by itself. It may not if that has just led back twice."""
        return len(self.automatic) < MAX_AUTOMATIC_STARTS

    def has(self, state: str) -> bool:
        """Return whether this browser has started a sign-in with this state."""
        return hash_token(state) in dict(self.states)

    def start(self, *, automatic: bool) -> tuple[str, Self]:
        """Return a new state, and the sign-ins with it."""
        state, moment = secrets.token_urlsafe(STATE_BYTES), _now()
        states = _newest((*self.states, (hash_token(state), moment + STATE_LIFETIME)), MAX_STATES)
        times = (*self.automatic, moment)[-MAX_AUTOMATIC_STARTS:] if automatic else self.automatic
        return state, replace(self, states=states, automatic=times)

    def without(self, state: str) -> Self:
        """Return the sign-ins without this one: a state works once."""
        gone = hash_token(state)
        return replace(self, states=tuple(entry for entry in self.states if entry[0] != gone))

    def remember(self, response: Response, settings: Settings) -> None:
        """Set the cookie. It is for this host only, also if the member cookie is for a domain."""
        entries = [f"{state}.{expires}" for state, expires in self.states] + [f"auto.{time}" for time in self.automatic]
        response.set_cookie(
            _cookie_name(settings),
            "~".join(entries),
            max_age=STATE_LIFETIME if entries else 0,
            path="/",
            secure=settings.is_secure,
            httponly=True,
            samesite="lax",
        )


def _newest(states: Iterable[tuple[str, int]], count: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(dict(states).items(), key=lambda entry: entry[1])[-count:])


def _now() -> int:
    return int(now().timestamp())


def _cookie_name(settings: Settings) -> str:
    return "__Host-doorcode-state" if settings.is_secure else "doorcode-state"
