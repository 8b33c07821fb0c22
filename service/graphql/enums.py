"""The enums of the domain, as the schema describes them. Importing this module is what registers them."""

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
    """What an enum is for, and each of its values. (Values of two enums may be the same string: they cannot share a table.)"""

    whole: str
    values: Mapping[str, str]


_MEANINGS: Mapping[type[StrEnum], _Meaning] = {
    ApiKeyScope: _Meaning(
        "What an API key may do.",
        {
            ApiKeyScope.READ: "Asks every admin query, and sends no mutation.",
            ApiKeyScope.ADMIN: "Does all that an admin does, but create keys, set roles, invite admins and change an admin's email.",
        },
    ),
    EmailLinking: _Meaning(
        "What a new `user.id` with an existing user's email does.",
        {
            EmailLinking.REFUSE: "Answers EMAIL_TAKEN.",
            EmailLinking.LINK: "Signs that user in and gives it the id; never an admin, nor a user with an external id.",
        },
    ),
    JwtSecretStatus: _Meaning(
        "Whether a secret signs and verifies codes.",
        {
            JwtSecretStatus.CURRENT: "Signs codes.",
            JwtSecretStatus.RETIRING: "Was replaced, and verifies until `retiresAt`.",
            JwtSecretStatus.RETIRED: "Its time is over: verifies nothing.",
            JwtSecretStatus.REVOKED: "Was revoked: verifies nothing.",
        },
    ),
    SignInErrorCode: _Meaning(
        "Why nobody was signed in. Only TOO_MANY_ATTEMPTS is worth trying again by itself.",
        {
            SignInErrorCode.EXTERNAL_AUTH_DISABLED: "JWT sign-in is off. Show another way to sign in.",
            SignInErrorCode.MALFORMED_CODE: "No JWS of at most 8 KiB: damaged, or cut off. Ask your backend for a fresh code.",
            SignInErrorCode.INVALID_SIGNATURE: "Not HS256, or made with no secret that is live here. Check what your backend signs with.",
            SignInErrorCode.CODE_EXPIRED: "`exp` is past. Ask your backend for a fresh code.",
            SignInErrorCode.CODE_NOT_YET_VALID: "`nbf` or `iat` is in the future. Check the clock of the signing machine.",
            SignInErrorCode.INVALID_CLAIMS: "A claim is missing or wrong; the message says which. Mend the signing program.",
            SignInErrorCode.CODE_ALREADY_USED: "The policy lets each code in once. Ask your backend for a fresh one.",
            SignInErrorCode.UNKNOWN_USER: "No user has this `id` or `email`. Sign a `user` object to create one.",
            SignInErrorCode.EMAIL_TAKEN: "Another user has the email of this new `user.id`. An administrator can join the two.",
            SignInErrorCode.SEAT_LIMIT_REACHED: "No seat is free for a newcomer. An administrator can free or add one.",
            SignInErrorCode.USER_DEACTIVATED: "An administrator has deactivated this user, and can reactivate it.",
            SignInErrorCode.EMAIL_LOGIN_DISABLED: "Email login is off. Show another way to sign in.",
            SignInErrorCode.INVALID_EMAIL_CODE: "Wrong, used up, or too old. Let the person check it, or ask for another one.",
            SignInErrorCode.TOO_MANY_ATTEMPTS: "Too many failed tries. Try again after `retryAfterSeconds`.",
        },
    ),
    SignInMethod: _Meaning(
        "A way to sign in.",
        {
            SignInMethod.EMAIL: "By a code that came by email, or by a one-time link.",
            SignInMethod.EXTERNAL_JWT: "By an externalAuthCode.",
        },
    ),
    SignUpMode: _Meaning(
        "Who may sign in by email.",
        {
            SignUpMode.INVITATION: "Only people who have a place here.",
            SignUpMode.OPEN: "Anyone; the first time makes the user, on a seat.",
        },
    ),
    UserOrder: _Meaning(
        "The order of users: nulls last, ties by id.",
        {
            UserOrder.CREATED_AT_DESC: "Newest first.",
            UserOrder.CREATED_AT_ASC: "Oldest first.",
            UserOrder.LAST_SEEN_AT_DESC: "Who was here last first; who never was, last.",
            UserOrder.EMAIL_ASC: "By email, in the order of its bytes; who has none, last.",
        },
    ),
    UserOrigin: _Meaning(
        "How a user came to be.",
        {
            UserOrigin.EMAIL: "Signed up by email.",
            UserOrigin.INVITATION: "Was invited.",
            UserOrigin.EXTERNAL_JWT: "Came by a code.",
        },
    ),
    UserRole: _Meaning(
        "What a user may do here.",
        {
            UserRole.MEMBER: "Reads and ends its own sessions.",
            UserRole.ADMIN: "Administers this service, where it signs in by email.",
        },
    ),
    UserStatus: _Meaning(
        "Whether a user takes a seat.",
        {
            UserStatus.ACTIVE: "Takes a seat.",
            UserStatus.DEACTIVATED: "Takes none, and cannot sign in.",
        },
    ),
}

for _enum, _meaning in _MEANINGS.items():
    strawberry.enum(_enum, description=_meaning.whole)
    assert has_enum_definition(_enum)
    for _value in _enum.__strawberry_definition__.values:
        _value.description = _meaning.values[_value.value]
