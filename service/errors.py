"""Refusals: expected errors with a public code, a public message and a reference, which the log has too.

A `Refusal` rolls back the transaction in which it is raised. GraphQL, the pages and the command line each convert it in
one place. `message` is public. `cause` is for the log only.
"""

import secrets
from enum import StrEnum

from service.refusal_texts import SignInErrorCode, refusal_text

RETRY_AFTER = 5
"""Seconds after which a request that was answered SERVICE_UNAVAILABLE may be sent again: a restart takes as long."""

_REFERENCE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTVWXYZ"  # no 0/O and no 1/I, because people read it aloud; no U
_REFERENCE_LENGTH = 10


class ErrorCode(StrEnum):
    """`extensions.code` of every GraphQL error (contract §4)."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    SEAT_LIMIT_REACHED = "SEAT_LIMIT_REACHED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


def parse_reference(text: str) -> str | None:
    """Return a reference as it is stored, from a text in any case and with any white space around it. None if it is none."""
    reference = text.strip().upper()
    is_one = len(reference) == _REFERENCE_LENGTH and set(reference) <= set(_REFERENCE_ALPHABET)
    return reference if is_one else None


def new_reference() -> str:
    """Return a short random ID that a user can tell an administrator. The log has the same ID."""
    return "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(_REFERENCE_LENGTH))


class Refusal(Exception):
    """An expected error. It is never raised for a bug."""

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.reference = new_reference()


class SignInRefused(Refusal):
    """The sign-in is refused; `code` says why. `reason` is public: it names the wrong claim without its value.

    `remedy` replaces the usual text of what to do next.
    """

    def __init__(
        self,
        code: SignInErrorCode,
        *,
        reason: str | None = None,
        remedy: str | None = None,
        cause: str | None = None,
        retry_after: int | None = None,
        user_id: str | None = None,
        incomplete: bool = False,
    ) -> None:
        text = refusal_text(code, incomplete=incomplete)
        message = f"{text.what_happened}. {remedy}" if remedy else text.message
        super().__init__(f"{message} ({reason})" if reason else message, cause=cause or reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy
        self.retry_after = retry_after
        """Seconds to wait, with TOO_MANY_ATTEMPTS."""
        self.incomplete = incomplete
        """Whether the code was cut off, as its form shows."""
        self.user_id = user_id
        """The user that the sign-in named, for the audit log."""


class RequestRefused(Refusal):
    """A request other than a sign-in is refused. GraphQL clients read `code` in `extensions.code`."""

    code: ErrorCode


class Unauthenticated(RequestRefused):
    """The request needs a signed-in caller and has none."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(RequestRefused):
    """The caller has no right to do this."""

    code = ErrorCode.FORBIDDEN


class FreshProofNeeded(Forbidden):
    """The session is an admin's, and its last proof by an email code or a one-time link is too old for this change."""


class NotFound(RequestRefused):
    """The object does not exist, or the caller may not know that it exists."""

    code = ErrorCode.NOT_FOUND


class Conflict(RequestRefused):
    """The current state does not allow the change."""

    code = ErrorCode.CONFLICT


class BadUserInput(RequestRefused):
    """A value is not valid. The message says which value, and which values are valid."""

    code = ErrorCode.BAD_USER_INPUT


class SeatLimitReached(RequestRefused):
    """An admin's change needs a free seat, and there is none."""

    code = ErrorCode.SEAT_LIMIT_REACHED


class TooManyAttempts(RequestRefused):
    """The caller sends too many requests and may try again after `retry_after` seconds."""

    code = ErrorCode.TOO_MANY_ATTEMPTS

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
