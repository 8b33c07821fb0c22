"""The decision to refuse a sign-in, and the rule that every sign-in method has: a deactivated user is refused."""

from dataclasses import dataclass

from service.accounts.models import User, UserStatus
from service.errors import SignInRefused
from service.refusal_texts import SignInErrorCode


@dataclass(frozen=True, slots=True)
class Refuse:
    """The sign-in must be refused. `code` says why."""

    code: SignInErrorCode
    reason: str | None = None
    user: User | None = None
    """The user who may not sign in, or the user who has the email. None if no user is concerned."""
    cause: str | None = None
    """The real reason, if the client must not learn it."""


def refusal(decision: Refuse) -> SignInRefused:
    """Return the exception for a decision to refuse."""
    known = None if decision.code is SignInErrorCode.EMAIL_TAKEN else decision.user
    return SignInRefused(
        decision.code, reason=decision.reason, cause=decision.cause, user_id=known.id if known else None
    )


def refuse_deactivated(user: User) -> Refuse | None:
    """Return the decision to refuse a deactivated user. None for an active one. Every sign-in method calls this."""
    if user.current_status is UserStatus.ACTIVE:
        return None
    ended = user.access_ended or user.status is UserStatus.ACTIVE
    return Refuse(SignInErrorCode.USER_DEACTIVATED, user=user, cause="the access of the user ended" if ended else None)


def require_active(user: User) -> None:
    """Raise `SignInRefused` for a deactivated user."""
    if refused := refuse_deactivated(user):
        raise refusal(refused)
