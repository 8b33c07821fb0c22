"""The descriptions of the enums. Importing this module registers the enums with Strawberry."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import strawberry
from strawberry.types.enum import has_enum_definition

from service.accounts.directory import UserOrder
from service.accounts.models import GroupSource, UserOrigin, UserRole, UserStatus
from service.api_keys.models import ApiKeyScope
from service.email_login.models import SignUpMode
from service.external_auth.policy import EmailLinking, Provisioning
from service.external_auth.secrets import JwtSecretStatus
from service.refusal_texts import REFUSAL_TEXTS, SignInErrorCode
from service.sessions.models import SignInMethod

__all__ = [
    "ApiKeyScope",
    "EmailLinking",
    "GroupSource",
    "JwtSecretStatus",
    "Provisioning",
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
                "Allows every admin query, and to manage members: create, invite, update, deactivate, reactivate and "
                "delete them, end their sessions and revoke their codes."
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
    GroupSource: _Meaning(
        "What put a user into a group.",
        {
            GroupSource.CODE: "A code, by the member that the policy names as `groupsMember`. The next code may end it.",
            GroupSource.ADMIN: "An admin, or a program with an API key. No code ends it.",
        },
    ),
    Provisioning: _Meaning(
        "What happens if a code has a `user.id` that is not known.",
        {
            Provisioning.CREATE: "The user is created and takes a seat.",
            Provisioning.EXISTING_ONLY: (
                "The answer is UNKNOWN_USER, also if another user has the email. With `emailLinking` LINK, the code can still "
                "be linked to an invited user."
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
        {code: text.for_programs for code, text in REFUSAL_TEXTS.items()},
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
