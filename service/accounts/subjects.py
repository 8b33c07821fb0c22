"""The subject of a verified code: the three kinds of payload of contract §1, checked and normalised."""

from dataclasses import dataclass

from service.text import JsonObject


@dataclass(frozen=True, slots=True)
class UserClaim:
    """`{"user": {…}}`: sign in this user, and create it if it does not exist."""

    id: str
    email: str | None
    metadata: JsonObject | None
    """None if the object has no members but those with a meaning of their own, such as id and email."""
    groups: tuple[str, ...] | None = None
    """The groups that the code names, in order. None if it says nothing of groups, which changes none."""
    email_verified: bool = True
    """Whether the code counts as verifying the email. If not, the email is only claimed."""
    email_denied: bool = False
    """Whether the code itself says that the email is not verified, not only the policy."""
    email_problem: str | None = None
    """Why the email of the code is invalid. Such a code cannot create a user; for a known user its email is ignored."""


@dataclass(frozen=True, slots=True)
class IdClaim:
    """`{"id": …}`: sign in an existing user by external ID or ID."""

    id: str


@dataclass(frozen=True, slots=True)
class EmailClaim:
    """`{"email": …}`: sign in an existing user by email."""

    email: str


Subject = UserClaim | IdClaim | EmailClaim
