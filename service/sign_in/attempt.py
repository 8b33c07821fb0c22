"""A sign-in before and after: where it comes from, and the session that it gives."""

from dataclasses import dataclass

from service.sessions.lifecycle import Client, LiveSession
from service.sessions.models import TokenTransport


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Where a sign-in comes from, how its session token will travel, and which session the request already has.

    `session` and `session_token` are None if the request has no live session. Only a code exchange continues a session.
    """

    client: Client
    token_transport: TokenTransport
    session: LiveSession | None = None
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class SignInResult:
    """The session of a user who signed in, with its token.

    `new_user`: this sign-in created the user. `continued`: the session is the one that the request already had.
    """

    token: str
    session: LiveSession
    new_user: bool = False
    continued: bool = False
