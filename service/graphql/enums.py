"""The enums of the domain, as the schema describes them. Importing this module is what registers them."""

import strawberry

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

_DESCRIPTIONS = {
    ApiKeyScope: "READ asks every admin query and no mutation; ADMIN does all but create keys, set roles and invite admins.",
    EmailLinking: "What a new `user.id` with an existing user's email does: REFUSE answers EMAIL_TAKEN, LINK signs that user in"
    " and gives it the id; never an admin, nor a user with an external id.",
    JwtSecretStatus: "CURRENT signs; RETIRING was replaced and verifies until `retiresAt`; RETIRED and REVOKED verify nothing.",
    SignInErrorCode: "Why nobody was signed in. Only TOO_MANY_ATTEMPTS is worth trying again by itself, after `retryAfterSeconds`;"
    " CODE_EXPIRED, CODE_NOT_YET_VALID and CODE_ALREADY_USED want a fresh code from your backend; SEAT_LIMIT_REACHED,"
    " USER_DEACTIVATED, EMAIL_TAKEN and UNKNOWN_USER want an administrator.",
    SignInMethod: "A way to sign in: by a code that came by email, or by an externalAuthCode.",
    SignUpMode: "INVITATION: only people who have a place here sign in by email. OPEN: anyone does, and the first time makes the user.",
    UserOrder: "The order of users: nulls last, ties by id.",
    UserOrigin: "How a user came to be: by signing up with an email, by an invitation, or by a code.",
    UserRole: "An ADMIN who signs in by email administers this service.",
    UserStatus: "An ACTIVE user takes a seat; a DEACTIVATED one takes none and cannot sign in.",
}

for _enum, _description in _DESCRIPTIONS.items():
    strawberry.enum(_enum, description=_description)
