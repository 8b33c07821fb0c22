"""The policy: what an admin requires of codes in addition to contract §1, with the limits of each value."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from service.text import find_unsafe_characters

MAX_CLOCK_SKEW = 300  # seconds
MAX_CODE_LIFETIME = 10 * 365 * 86_400  # seconds; a higher value would not limit anything
MAX_NAME_LENGTH = 255
MAX_SHARED_METADATA = 64  # names
USER_MEMBERS = ("id", "email", "email_verified")
"""The members of `user` in a code that have a meaning whatever the policy is. Others are metadata, or groups."""


class EmailLinking(StrEnum):
    """What a code with a new `user.id` and the email of an existing user does (contract §1).

    REFUSE: it is refused with EMAIL_TAKEN. LINK: it signs in that user.
    """

    REFUSE = "REFUSE"
    LINK = "LINK"


class Provisioning(StrEnum):
    """What a code with a `user.id` that is not known does (contract §3).

    CREATE: it creates the user. EXISTING_ONLY: it is refused with UNKNOWN_USER, unless it is linked to a user by email.
    """

    CREATE = "CREATE"
    EXISTING_ONLY = "EXISTING_ONLY"


def _without_unsafe_characters(name: str) -> str:
    if problem := find_unsafe_characters(name):
        raise ValueError(problem)
    return name


_Name = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME_LENGTH),
    AfterValidator(_without_unsafe_characters),
]


def _not_a_member_with_a_meaning(name: str) -> str:
    if name in USER_MEMBERS:
        raise ValueError("has a meaning of its own")
    return name


def _as_names(value: object) -> object:
    """Return the names as a tuple, each once: from a list, or from the text of the column."""
    if isinstance(value, str):
        value = [name for name in value.split(",") if name]
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return tuple(dict.fromkeys(value))
    return value


_A_NAME = f"1 to {MAX_NAME_LENGTH} characters without control characters, or null for any"


class Policy(BaseModel):
    """The policy as an immutable value. Validates types and limits. The defaults require no more than contract §1.

    A field's `description` completes the message "`name` must be …"; one without it only refuses null.

    A new field is written here; as a column of `models.py`, with a migration; and in `JwtPolicy` and `JwtPolicyInput` of
    `graphql/jwt_policy.py`. `claims.py` or `exchange.py` obeys it. The panel's form and the guide show it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", from_attributes=True)

    require_expiry: bool = False
    max_lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_CODE_LIFETIME)] | None = Field(
        None, description=f"a number of seconds between 1 and {MAX_CODE_LIFETIME}, or null for no limit"
    )
    """The maximum of `exp - iat` in seconds. Both claims are then required. None: no limit."""
    single_use: bool = False
    """Each code works once. `exp` and `jti` are then required."""
    session_ends_with_code: bool = False
    """A session ends when the code that opened it expires."""
    clock_skew_seconds: int = Field(
        60, ge=0, le=MAX_CLOCK_SKEW, description=f"a number of seconds between 0 and {MAX_CLOCK_SKEW}"
    )
    """The tolerance for `exp`, `nbf` and `iat`, in seconds."""
    issuer: _Name | None = Field(None, description=_A_NAME)
    """If set, `iss` must equal it."""
    audience: _Name | None = Field(None, description=_A_NAME)
    """If set, `aud` must equal or contain it (RFC 7519 §4.1.3)."""
    email_linking: EmailLinking = EmailLinking.REFUSE
    groups_member: Annotated[_Name, AfterValidator(_not_a_member_with_a_meaning)] | None = Field(
        None,
        description=(
            f"a name of 1 to {MAX_NAME_LENGTH} characters without control characters, other than {', '.join(USER_MEMBERS)}, "
            "or null to read no groups"
        ),
    )
    """The member of `user` that holds the user's groups. None: codes say nothing of groups."""
    shared_metadata: Annotated[
        tuple[Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")], ...],
        BeforeValidator(_as_names),
        Field(max_length=MAX_SHARED_METADATA),
    ] = Field(
        (),
        description=f"an array of at most {MAX_SHARED_METADATA} names, each of 1 to 64 characters of A-Z a-z 0-9 _ and -",
    )
    """The members of the metadata that other services may see: in access tokens and from `/verify`."""
    provisioning: Provisioning = Provisioning.CREATE
    trust_emails: bool = True
    """Whether the email of a code that does not say `email_verified` counts as verified."""
