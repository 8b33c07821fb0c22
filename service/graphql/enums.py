"""The descriptions of the enums. Importing this module registers the enums with Strawberry."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import strawberry
from strawberry.types.enum import has_enum_definition

from service.accounts.directory import UserOrder
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.api_keys.models import ApiKeyScope
from service.email_login.models import SignUpMode
from service.errors import SignInErrorCode
from service.external_auth.policy import EmailLinking
from service.external_auth.secrets import JwtSecretStatus
from service.sessions.models import SignInMethod

__all__ = [
    "ApiKeyScope",
    "EmailLinking",
    "JwtSecretStatus",
    "SignInErrorCode",
    "SignInMethod",
    "SignUpMode",
    "UserOrder",
    "UserOrigin",
    "UserRole",
    "UserStatus",
]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The descriptions of an enum and of its values.

    Each enum has a table of its own, because values of two enums may be the same string.
    """

    whole: str
    values: Mapping[str, str]


_MEANINGS: Mapping[type[StrEnum], _Meaning] = {
    ApiKeyScope: _Meaning(
        "What an API key may do.",
        {
            ApiKeyScope.READ: "Allows every admin query and no mutation.",
            ApiKeyScope.USERS: (
                "Allows every admin query, and to manage members: invite, update, deactivate, reactivate and delete them, "
                "and end their sessions."
            ),
            ApiKeyScope.ADMIN: (
                "Allows what an admin may do, except what needs an admin in person: API keys, roles, and what concerns "
                "an admin or how admins sign in."
            ),
        },
    ),
    EmailLinking: _Meaning(
        "What happens if a code has a new `user.id` and the email of an existing user.",
        {
            EmailLinking.REFUSE: "The answer is EMAIL_TAKEN.",
            EmailLinking.LINK: (
                "The existing user is signed in and gets this external ID. An admin, or a user with another external "
                "ID: EMAIL_TAKEN."
            ),
        },
    ),
    JwtSecretStatus: _Meaning(
        "The state of a signing secret.",
        {
            JwtSecretStatus.CURRENT: "Signs new codes and verifies codes.",
            JwtSecretStatus.RETIRING: "Was replaced by a newer secret. Verifies codes until `retiresAt`.",
            JwtSecretStatus.RETIRED: "Its grace period has ended. Verifies no codes.",
            JwtSecretStatus.REVOKED: "Was revoked. Verifies no codes.",
        },
    ),
    SignInErrorCode: _Meaning(
        ("The reason why a sign-in was refused. A client may retry by itself only after TOO_MANY_ATTEMPTS."),
        {
            SignInErrorCode.EXTERNAL_AUTH_DISABLED: "JWT sign-in is disabled. Show another way to sign in.",
            SignInErrorCode.MALFORMED_CODE: (
                "The code is not a JWS of at most 8 KiB: it was damaged or cut off. Request a fresh code from your "
                "backend."
            ),
            SignInErrorCode.INVALID_SIGNATURE: (
                "The signature is not HS256, or was not made with a live secret of this service. Check the secret of "
                "your backend."
            ),
            SignInErrorCode.CODE_EXPIRED: "`exp` is in the past. Request a fresh code from your backend.",
            SignInErrorCode.CODE_NOT_YET_VALID: "`nbf` or `iat` is in the future. Check the clock of the machine that signs.",
            SignInErrorCode.INVALID_CLAIMS: "A claim is missing or wrong; the message says which. Correct the program that signs.",
            SignInErrorCode.CODE_ALREADY_USED: (
                "The policy accepts each code once, and this code was used. Request a fresh code from your backend."
            ),
            SignInErrorCode.UNKNOWN_USER: "No user has this `id` or `email`. To create a user, sign a `user` object.",
            SignInErrorCode.EMAIL_TAKEN: "Another user has the email of this new `user.id`. An admin can join the two.",
            SignInErrorCode.SEAT_LIMIT_REACHED: "No seat is free for a new user. An admin can free or add a seat.",
            SignInErrorCode.USER_DEACTIVATED: "The user is deactivated. An admin can reactivate it.",
            SignInErrorCode.EMAIL_LOGIN_DISABLED: "Email login is disabled. Show another way to sign in.",
            SignInErrorCode.INVALID_EMAIL_CODE: "The code is wrong, used or expired. Let the user check it or request a new code.",
            SignInErrorCode.TOO_MANY_ATTEMPTS: "There were too many failed tries. Retry after `retryAfterSeconds`.",
        },
    ),
    SignInMethod: _Meaning(
        "A method of signing in.",
        {
            SignInMethod.EMAIL: "Sign-in by a code sent by email, or by a one-time link.",
            SignInMethod.EXTERNAL_JWT: "Sign-in by an externalAuthCode.",
        },
    ),
    SignUpMode: _Meaning(
        "Who may sign in by email.",
        {
            SignUpMode.INVITATION: "Existing users only.",
            SignUpMode.OPEN: "Any address. The first sign-in creates the user, who takes a seat.",
        },
    ),
    UserOrder: _Meaning(
        "The order of users. Nulls are last; ties are ordered by ID.",
        {
            UserOrder.CREATED_AT_DESC: "By creation, newest first.",
            UserOrder.CREATED_AT_ASC: "By creation, oldest first.",
            UserOrder.LAST_SEEN_AT_DESC: "By last visit, most recent first. Users who never visited are last.",
            UserOrder.EMAIL_ASC: "By email, in the order of its bytes. Users without an email are last.",
        },
    ),
    UserOrigin: _Meaning(
        "How a user was created.",
        {
            UserOrigin.EMAIL: "By signing up by email.",
            UserOrigin.INVITATION: "By an invitation.",
            UserOrigin.EXTERNAL_JWT: "By an externalAuthCode.",
        },
    ),
    UserRole: _Meaning(
        "The role of a user.",
        {
            UserRole.MEMBER: "May read and end its own sessions.",
            UserRole.ADMIN: "May administer this service in sessions that were opened by email.",
        },
    ),
    UserStatus: _Meaning(
        "Whether a user takes a seat and may sign in.",
        {
            UserStatus.ACTIVE: "Takes a seat and may sign in.",
            UserStatus.DEACTIVATED: "Takes no seat and cannot sign in.",
        },
    ),
}

for _enum, _meaning in _MEANINGS.items():
    strawberry.enum(_enum, description=_meaning.whole)
    assert has_enum_definition(_enum)
    for _value in _enum.__strawberry_definition__.values:
        _value.description = _meaning.values[_value.value]
