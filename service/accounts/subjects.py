"""The user that a verified code names: the three payloads of contract §1, checked and normalised."""

from dataclasses import dataclass

from service.text import JsonObject


@dataclass(frozen=True, slots=True)
class UserClaim:
    """`{"user": {…}}`: sign this person in, creating the user the first time."""

    id: str
    email: str | None
    metadata: JsonObject | None
    """None where the object carries nothing but id and email."""
    email_problem: str | None = None
    """Why the email of the code cannot be taken. It keeps a new user out, and is ignored for a known one."""


@dataclass(frozen=True, slots=True)
class IdClaim:
    """`{"id": …}`: sign in an existing user by id."""

    id: str


@dataclass(frozen=True, slots=True)
class EmailClaim:
    """`{"email": …}`: sign in an existing user by email."""

    email: str


Subject = UserClaim | IdClaim | EmailClaim
