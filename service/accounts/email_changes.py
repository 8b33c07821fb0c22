"""What the email of a code is to a known user: another address, the same one, or one that changes nothing."""

from dataclasses import dataclass
from enum import StrEnum

from service.accounts.models import User
from service.accounts.subjects import UserClaim


class EmailKept(StrEnum):
    """Why the email of a code does not change the stored one. The values are the reasons in the audit log."""

    TAKEN = "email taken"
    MALFORMED = "email malformed"
    UNVERIFIED = "email not verified"


@dataclass(frozen=True, slots=True)
class NewEmail:
    """The email that a code gives its user: another one, or the one that the user has, now verified."""

    address: str
    verified: bool


def compare_email(user: User, claim: UserClaim) -> NewEmail | EmailKept | None:
    """Say what the code's email is to a known user, without reading who else has it. None if nothing is to change.

    A claimed email never replaces a verified one, and never makes it a claimed one (contract §1). An exchange with the
    stored email is not an attempt to do so unless the code itself denies the email: with the policy `trust_emails` off
    every code of a user with a verified email would be one.
    """
    if claim.email_problem is not None:
        return EmailKept.MALFORMED
    if claim.email is None:
        return None
    if claim.email_verified:
        return NewEmail(claim.email, verified=True) if claim.email != user.email else None
    if user.email_verified:
        return EmailKept.UNVERIFIED if claim.email_denied or claim.email != user.shown_email else None
    return NewEmail(claim.email, verified=False) if claim.email != user.shown_email else None
