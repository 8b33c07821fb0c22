"""The words of every refused sign-in: one row for each code, for people and for programs.

The API, the pages, the panel and the schema's descriptions all read this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class SignInErrorCode(StrEnum):
    """Why a sign-in was refused (contract §1, §3)."""

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


@dataclass(frozen=True, slots=True)
class RefusalText:
    """The words and the page status of one refusal."""

    status: int
    """The HTTP status of a page that shows the refusal. GraphQL answers 200."""
    what_happened: str
    """The heading of the page, without a period."""
    what_to_do: str
    for_programs: str
    """The description in the schema, for developers."""
    in_panel: str | None = None
    """What an admin should do instead, on the sign-in pages of the panel."""

    @property
    def message(self) -> str:
        """The text for a person in one line: `SignInError.message`."""
        return f"{self.what_happened}. {self.what_to_do}"


REFUSAL_TEXTS: Mapping[SignInErrorCode, RefusalText] = {
    SignInErrorCode.EXTERNAL_AUTH_DISABLED: RefusalText(
        403,
        "Signing in with a link is switched off",
        "Sign in another way, or ask your administrator.",
        "JWT sign-in is disabled. Show another way to sign in.",
    ),
    SignInErrorCode.MALFORMED_CODE: RefusalText(
        401,
        "This sign-in link is damaged or incomplete",
        "A part of it may be missing. Go back to where you found it, and open it there instead of copying it.",
        "The code is not a JWS of at most 8 KiB: it was damaged or cut off. Request a fresh code from your backend.",
    ),
    SignInErrorCode.INVALID_SIGNATURE: RefusalText(
        401,
        "This sign-in link does not come from a system that is trusted here",
        "Go back to where you found it and open it again. If that does not help, tell your administrator.",
        "The signature is not HS256, or was not made with a live secret of this service. Check the secret of your backend.",
    ),
    SignInErrorCode.CODE_EXPIRED: RefusalText(
        401,
        "This sign-in link has expired",
        "Go back to where you found it and open it again. You get a new link there.",
        "`exp` is in the past, or an admin made codes of that time invalid. Request a fresh code from your backend.",
    ),
    SignInErrorCode.CODE_NOT_YET_VALID: RefusalText(
        401,
        "This sign-in link is not valid yet",
        "Wait a minute and open it again. If that does not help, tell your administrator that a clock may be wrong.",
        "`nbf` or `iat` is in the future. Check the clock of the machine that signs.",
    ),
    SignInErrorCode.INVALID_CLAIMS: RefusalText(
        401,
        "The code in this sign-in link has invalid data",
        "The system that made the link has to be corrected. Tell your administrator.",
        "A claim is missing or wrong; the message says which. Correct the program that signs.",
    ),
    SignInErrorCode.CODE_ALREADY_USED: RefusalText(
        401,
        "This sign-in link has been used already",
        "A link works once. Go back to where you found it and open a new one.",
        "The policy accepts each code once, and this code was used. Request a fresh code from your backend.",
    ),
    SignInErrorCode.UNKNOWN_USER: RefusalText(
        401,
        "There is no account for you here",
        "Ask your administrator for access.",
        "No user has this `id` or `email`. A `user` object creates a user, unless the policy admits existing users only.",
    ),
    SignInErrorCode.EMAIL_TAKEN: RefusalText(
        403,
        "Another account has your email address",
        "Ask your administrator to join the two accounts.",
        "Another user has the email of this new `user.id`. An admin can join the two.",
    ),
    SignInErrorCode.SEAT_LIMIT_REACHED: RefusalText(
        403,
        "All seats are taken",
        "Ask your administrator to free a seat or to add one. Then try again.",
        "No seat is free for a new user. An admin can free or add a seat.",
    ),
    SignInErrorCode.USER_DEACTIVATED: RefusalText(
        403,
        "Your account has been deactivated",
        "Ask your administrator to reactivate it.",
        "The user is deactivated. An admin can reactivate it.",
    ),
    SignInErrorCode.EMAIL_LOGIN_DISABLED: RefusalText(
        403,
        "Signing in by email is switched off",
        "Use the link that your company gave you, or ask your administrator.",
        "Email login is disabled. Show another way to sign in.",
        in_panel="The operator of the service can let an admin in: the command `doorcode admin invite` prints a link.",
    ),
    SignInErrorCode.INVALID_EMAIL_CODE: RefusalText(
        401,
        "This code is not right, or no longer valid",
        "Check it, or request a new one.",
        "The code is wrong, used or expired. Let the user check it or request a new code.",
    ),
    SignInErrorCode.TOO_MANY_ATTEMPTS: RefusalText(
        429,
        "Too many failed tries",
        "They came from your network or were for your address, perhaps from another person. Wait, then try again.",
        "There were too many failed tries. Retry after `retryAfterSeconds`.",
    ),
}

_INCOMPLETE = replace(
    REFUSAL_TEXTS[SignInErrorCode.INVALID_SIGNATURE],
    what_happened="This sign-in link is incomplete",
    what_to_do="Its end is missing. Go back to where you found it, and open it there instead of copying it.",
)


def refusal_text(code: SignInErrorCode, *, incomplete: bool = False) -> RefusalText:
    """Return the words of a refusal. `incomplete`: the code has an end that was cut off, which anyone sees by its length."""
    return _INCOMPLETE if incomplete and code is SignInErrorCode.INVALID_SIGNATURE else REFUSAL_TEXTS[code]
