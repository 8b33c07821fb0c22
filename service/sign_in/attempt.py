"""A sign-in before and after: where it comes from, and the session that it gives."""

from dataclasses import dataclass
from enum import Enum, auto

from service.sessions.lifecycle import Client, LiveSession
from service.sessions.models import TokenTransport


class Confirmation(Enum):
    """When a person is asked before the sign-in."""

    NONE = auto()
    BEFORE_REPLACING = auto()
    """If the request has the session of another user."""
    ALWAYS = auto()


@dataclass(frozen=True, slots=True)
class Person:
    """A user, known or new, as a question names them."""

    id: str
    email: str | None


class ConfirmationNeeded(Exception):
    """The person has to confirm the sign-in first. Nothing has changed, and a single-use code is not used up.

    `replaced`: the other user who is signed in. None if there is none.
    """

    def __init__(self, person: Person, replaced: Person | None) -> None:
        super().__init__()
        self.person = person
        self.replaced = replaced


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Where a sign-in comes from, how its session token will travel, and which session the request already has.

    `session` and `session_token` are None if the request has no live session. Only a code exchange continues a session.
    """

    client: Client
    token_transport: TokenTransport
    session: LiveSession | None = None
    session_token: str | None = None
    confirmation: Confirmation = Confirmation.NONE
    device: str | None = None
    """The device token of the browser, which an email sign-in makes known. None if the client keeps no cookies."""


@dataclass(frozen=True, slots=True)
class SignInResult:
    """The session of a user who signed in, with its token.

    `new_user`: this sign-in created the user. `continued`: the session is the one that the request already had.
    """

    token: str
    session: LiveSession
    new_user: bool = False
    continued: bool = False
