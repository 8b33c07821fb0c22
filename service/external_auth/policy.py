"""What an administrator requires of codes beyond the rules of contract §1."""

from dataclasses import dataclass
from enum import StrEnum


class EmailLinking(StrEnum):
    """What a new `user.id` with an existing user's email does: EMAIL_TAKEN, or signs in that user (contract §1)."""

    REFUSE = "REFUSE"
    LINK = "LINK"


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one moment, as a value. The defaults accept every code of the documents (schema, `JwtPolicy`)."""

    require_expiry: bool = False
    max_lifetime_seconds: int | None = None
    """The most that `exp - iat` may be, both then required; None: no bound."""
    single_use: bool = False
    """`exp` and `jti` are required, and each code works once."""
    session_ends_with_code: bool = False
    """A session ends when the code that opened it expires."""
    clock_skew_seconds: int = 60
    """The grace for `exp`, `nbf` and `iat`."""
    issuer: str | None = None
    """Where set, `iss` must equal it."""
    audience: str | None = None
    """Where set, `aud` must equal or contain it (RFC 7519 §4.1.3)."""
    email_linking: EmailLinking = EmailLinking.REFUSE
