"""The GraphQL types of the policy for codes."""

import strawberry
from strawberry.scalars import JSON

from service.external_auth import policy
from service.external_auth.recommended_policy import RECOMMENDATIONS
from service.graphql.enums import EmailLinking, Provisioning


@strawberry.type(description="The policy: what codes must fulfil beyond a valid signature.")
class JwtPolicy:
    require_expiry: bool = strawberry.field(
        description=(
            "Whether a code must have `exp`. If false, a code without `exp` is valid until its secret is replaced."
        )
    )
    max_lifetime_seconds: int | None = strawberry.field(
        description=("The maximum of `exp - iat` in seconds; a code must then have both. Null if there is no maximum.")
    )
    single_use: bool = strawberry.field(
        description="Whether each code works only once. A code must then have `jti` and `exp`."
    )
    session_ends_with_code: bool = strawberry.field(
        description="Whether a session ends when the code that opened it expires."
    )
    clock_skew_seconds: int = strawberry.field(
        description="The tolerance for `exp`, `nbf` and `iat` in seconds: 0 to 300."
    )
    issuer: str | None = strawberry.field(description="The required value of `iss`. Null if `iss` is not checked.")
    audience: str | None = strawberry.field(
        description="The value that `aud` must be or contain. Null if `aud` is not checked."
    )
    email_linking: EmailLinking = strawberry.field(
        description="What happens if a code has a new `user.id` and the email of an existing user."
    )
    provisioning: Provisioning = strawberry.field(
        description="What happens if a code has a `user.id` that is not known. Updates of known users are not affected."
    )

    groups_member: str | None = strawberry.field(
        description=(
            "The member of `user` in a code that holds the user's groups, for example `groups`: an array of at most 64 "
            "strings of 1 to 128 characters. It is not stored in the metadata. Null: codes say nothing of groups."
        )
    )
    shared_metadata: list[str] = strawberry.field(
        description=(
            "The names of the metadata members that other services may see: in access tokens and in the headers of "
            "`/verify`."
        )
    )
    trust_emails: bool = strawberry.field(
        description=(
            "Whether the email of a code counts as verified if the code does not say so in `user.email_verified`. If "
            "false, such an email is only claimed."
        )
    )

    @classmethod
    def of(cls, value: policy.Policy) -> "JwtPolicy":
        """Return the GraphQL type of a policy."""
        return cls(
            require_expiry=value.require_expiry,
            max_lifetime_seconds=value.max_lifetime_seconds,
            single_use=value.single_use,
            session_ends_with_code=value.session_ends_with_code,
            clock_skew_seconds=value.clock_skew_seconds,
            issuer=value.issuer,
            audience=value.audience,
            email_linking=value.email_linking,
            provisioning=value.provisioning,
            groups_member=value.groups_member,
            shared_metadata=list(value.shared_metadata),
            trust_emails=value.trust_emails,
        )


@strawberry.type(description="A recommended value of a field of the policy. Nothing is set by itself.")
class PolicyRecommendation:
    field: str = strawberry.field(description="The name of the field of `JwtPolicy`.")
    current: JSON | None = strawberry.field(description="The value that the field has now. Null if it has none.")
    recommended: JSON | None = strawberry.field(
        description="The recommended value, for `updateJwtPolicy`. Null if only you know it."
    )
    is_met: bool = strawberry.field(
        description="Whether the policy follows the recommendation. A lower number of seconds does."
    )
    reason: str = strawberry.field(description="Why the value is recommended.")

    @classmethod
    def all_of(cls, value: policy.Policy) -> "list[PolicyRecommendation]":
        """Return all recommendations, compared with this policy."""
        return [
            cls(
                field=one.name,
                current=None if (current := getattr(value, one.field)) is None else JSON(current),
                recommended=None if one.value is None else JSON(one.value),
                is_met=one.is_met(value),
                reason=one.reason,
            )
            for one in RECOMMENDATIONS
        ]


@strawberry.input(
    description=(
        "New values of the policy. A field that is left out stays as it is; null clears a value that can be null."
    )
)
class JwtPolicyInput:
    require_expiry: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether a code must have `exp`."
    )
    max_lifetime_seconds: strawberry.Maybe[int | None] = strawberry.field(
        default=None,
        description="The maximum of `exp - iat`: 1 to 315,360,000 seconds (10 years). Null: no maximum.",
    )
    single_use: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether each code works only once."
    )
    session_ends_with_code: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether a session ends when the code that opened it expires."
    )
    clock_skew_seconds: strawberry.Maybe[int] = strawberry.field(
        default=None, description="The tolerance for `exp`, `nbf` and `iat`: 0 to 300 seconds."
    )
    issuer: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="The required value of `iss`, 1 to 255 characters. Null: `iss` is not checked."
    )
    audience: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description="The value that `aud` must be or contain, 1 to 255 characters. Null: `aud` is not checked.",
    )
    email_linking: strawberry.Maybe[EmailLinking] = strawberry.field(
        default=None, description="What happens if a code has a new `user.id` and the email of an existing user."
    )
    provisioning: strawberry.Maybe[Provisioning] = strawberry.field(
        default=None, description="What happens if a code has a `user.id` that is not known."
    )
    groups_member: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description=(
            "The member of `user` in a code that holds the user's groups, 1 to 255 characters; not `id`, `email` or "
            "`email_verified`. Null: codes say nothing of groups."
        ),
    )
    shared_metadata: strawberry.Maybe[list[str]] = strawberry.field(
        default=None,
        description=(
            "The names of the metadata members that other services may see: 64 at most, each of 1 to 64 characters of "
            "`A-Z a-z 0-9 _ -`."
        ),
    )
    trust_emails: strawberry.Maybe[bool] = strawberry.field(
        default=None,
        description="Whether the email of a code counts as verified if the code has no `user.email_verified`.",
    )

    def given(self) -> dict[str, object]:
        """Return the fields that were sent, null included."""
        return {name: maybe.value for name, maybe in vars(self).items() if maybe is not None}
