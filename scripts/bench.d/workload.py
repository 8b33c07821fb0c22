"""What both services hold and are asked: the same people, sessions and codes."""

import base64
import hashlib
import hmac
import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from service.text import JsonObject

CODES = 3  # distinct codes for each user; each is verified every time it is sent
NEWCOMERS = 0.05  # of the codes of `mixed`
MOST_SESSIONS = 10_000
LIFETIME = 30 * 86_400  # seconds


@dataclass(frozen=True)
class Person:
    """The user of a code."""

    number: int

    @property
    def external_id(self) -> str:
        return f"ext-{self.number}"

    @property
    def email(self) -> str:
        return f"user{self.number}@example.com"

    @property
    def profile(self) -> JsonObject:
        """All else that the code says."""
        return {"firstName": "Ada", "lastName": f"Lovelace {self.number}", "isActive": True}

    @property
    def token(self) -> str:
        """The token of the session that they have from the beginning."""
        return "dcs_" + _base64url(hashlib.sha256(b"token %d" % self.number).digest())

    @property
    def token_hash(self) -> str:
        return hash_token(self.token)


def hash_token(token: str) -> str:
    """As both services store a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Workload:
    """So many known people, and the secret that signs for them."""

    def __init__(self, people: int, moment: int, sessions: int | None = None) -> None:
        """`moment` is now, in seconds since 1970. `sessions` are open, by default one for each of the first people."""
        self._sessions = min(people, MOST_SESSIONS) if sessions is None else sessions
        self.people = [Person(number) for number in range(people)]
        # Users who were last seen in the hour before: each code of theirs is a first visit of the hour, once.
        self.returning = [Person(number) for number in range(people, people + min(people, MOST_SESSIONS))]
        self.moment = moment
        self.secret = secrets.token_urlsafe(32)
        self.signed_in = self.people[: self._sessions]
        self.admin_token = secrets.token_urlsafe(32)
        self._random = random.Random(7)

    def code(self, person: Person, *, key: str | None = None, expires_in: int = LIFETIME) -> str:
        """A code for this user. With `key`, signed with another key."""
        claims = {
            "user": {"id": person.external_id, "email": person.email, **person.profile},
            "iat": self.moment,
            "exp": self.moment + expires_in,
            "jti": secrets.token_hex(4),
        }
        signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        signature = hmac.digest((key or self.secret).encode(), signed.encode(), "sha256")
        return f"{signed}.{_base64url(signature)}"

    def codes(self) -> Iterator[str]:
        """Codes of known people, in random order."""
        for _ in range(CODES * len(self.signed_in)):
            yield self.code(self._random.choice(self.people))

    @property
    def everyone(self) -> list[Person]:
        """Every user that there is beforehand."""
        return [*self.people, *self.returning]

    def first_codes(self) -> Iterator[str]:
        """Codes of users who come for the first time in this hour."""
        return map(self.code, self.returning)

    def mixed_codes(self) -> Iterator[str]:
        """The same, with some newcomers in between."""
        for number in range(CODES * len(self.signed_in)):
            new = self._random.random() < NEWCOMERS
            yield self.code(Person(1_000_000 + number) if new else self._random.choice(self.people))

    def some(self, number: int = 5_000) -> Iterator[Person]:
        """Known people at random, for requests that each concern another user. Not the first, behind whom no page is."""
        for _ in range(number):
            yield self.people[self._random.randrange(1, len(self.people))]

    def created_at(self, person: Person) -> int:
        """When this user was created, in milliseconds since 1970: each a millisecond after the one before."""
        return self.moment * 1000 + person.number

    def sessions(self) -> Iterator[tuple[Person, str]]:
        """The users of all sessions, and the hashes of their tokens."""
        for number in range(self._sessions):
            person = self.people[number % len(self.people)]
            yield person, person.token_hash if number < len(self.people) else hash_token(f"another {number}")

    def tokens(self) -> Iterator[str]:
        """The known people's tokens, in random order."""
        for person in self._random.sample(self.signed_in, len(self.signed_in)):
            yield person.token


def _encoded(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
