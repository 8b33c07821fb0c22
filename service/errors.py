"""Refusals: expected errors with a public code, a public message and a reference, which the log has too.

A `Refusal` rolls back the transaction in which it is raised. GraphQL, the pages and the command line each convert it in
one place. `message` is public. `cause` is for the log only.
"""

import secrets
from enum import StrEnum

_REFERENCE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTVWXYZ"  # no 0/O and no 1/I, because people read it aloud; no U
_REFERENCE_LENGTH = 10


class SignInErrorCode(StrEnum):
    """Why a sign-in was refused (contract §4)."""

    EXTERNAL_AUTH_DISABLED = "EXTERNAL_AUTH_DISABLED"
    MALFORMED_CODE = "MALFORMED_CODE"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    CODE_EXPIRED = "CODE_EXPIRED"
    CODE_NOT_YET_VALID = "CODE_NOT_YET_VALID"
    INVALID_CLAIMS = "INVALID_CLAIMS"
    CODE_ALREADY_USED = "CODE_ALREADY_USED"
    UNKNOWN_USER = "UNKNOWN_USER"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    SEAT_LIMIT_REACHED = "SEAT_LIMIT_REACHED"
    USER_DEACTIVATED = "USER_DEACTIVATED"
    EMAIL_LOGIN_DISABLED = "EMAIL_LOGIN_DISABLED"
    INVALID_EMAIL_CODE = "INVALID_EMAIL_CODE"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"


class ErrorCode(StrEnum):
    """`extensions.code` of every GraphQL error (contract §4)."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    SEAT_LIMIT_REACHED = "SEAT_LIMIT_REACHED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


_SIGN_IN_MESSAGES = {
    SignInErrorCode.EXTERNAL_AUTH_DISABLED: (
        "Signing in with a code is switched off here. Sign in another way, or ask your administrator."
    ),
    SignInErrorCode.MALFORMED_CODE: (
        "This sign-in code is damaged or incomplete. Open the link again from where you got it."
    ),
    SignInErrorCode.INVALID_SIGNATURE: (
        "This sign-in code was not signed by a system that is trusted here. Open the link again; "
        "if that does not help, tell your administrator."
    ),
    SignInErrorCode.CODE_EXPIRED: (
        "This sign-in code has expired. Go back to where you came from and open the link again."
    ),
    SignInErrorCode.CODE_NOT_YET_VALID: (
        "This sign-in code is not valid yet. Wait a minute and try again; "
        "if that does not help, tell your administrator that a clock may be wrong."
    ),
    SignInErrorCode.INVALID_CLAIMS: "This sign-in code is not filled in as it must be. Tell your administrator.",
    SignInErrorCode.CODE_ALREADY_USED: (
        "This sign-in code has been used already. Go back to where you came from and open a new link."
    ),
    SignInErrorCode.UNKNOWN_USER: "There is no account here for this sign-in code. Ask your administrator for access.",
    SignInErrorCode.EMAIL_TAKEN: (
        "Another account here has this email address already. Ask your administrator to join the two."
    ),
    SignInErrorCode.SEAT_LIMIT_REACHED: (
        "All seats are taken. Ask your administrator to free a seat or to add one, then try again."
    ),
    SignInErrorCode.USER_DEACTIVATED: "This account has been deactivated. Ask your administrator to reactivate it.",
    SignInErrorCode.EMAIL_LOGIN_DISABLED: (
        "Signing in by email is switched off here. Use the link that your company gave you, or ask your administrator."
    ),
    SignInErrorCode.INVALID_EMAIL_CODE: "This code is not right, or no longer valid. Check it, or ask for a new one.",
    SignInErrorCode.TOO_MANY_ATTEMPTS: (
        "Too many tries from your network, or for this address. Wait a little, then try again."
    ),
}


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
    """The sign-in is refused; `code` says why. `reason` is public: it names the wrong claim without its value."""

    def __init__(
        self,
        code: SignInErrorCode,
        *,
        reason: str | None = None,
        cause: str | None = None,
        retry_after: int | None = None,
        user_id: str | None = None,
    ) -> None:
        message = _SIGN_IN_MESSAGES[code]
        super().__init__(f"{message} ({reason})" if reason else message, cause=cause or reason)
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        """Seconds to wait, with TOO_MANY_ATTEMPTS."""
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
