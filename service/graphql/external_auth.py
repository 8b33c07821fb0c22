"""JWT sign-in, for admins: configuration, secrets and policy."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.external_auth import policy, secrets
from service.external_auth.configuration import policy_of, sign_in_of, update_policy
from service.external_auth.models import ExternalAuth
from service.graphql.context import Info
from service.graphql.enums import EmailLinking
from service.graphql.jwt_secrets import JwtSecret
from service.graphql.server.node_count import ListLength

_SECRET_ID = Annotated[strawberry.ID, strawberry.argument(description="The ID of a signing secret.")]


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
            trust_emails=value.trust_emails,
        )


@strawberry.type(description="The configuration of JWT sign-in: whether it is enabled, the policy and the secrets.")
class JwtAuth:
    enabled: bool = strawberry.field(description="Whether JWT sign-in is enabled.")
    policy: JwtPolicy = strawberry.field(description="The policy for codes.")
    codes_valid_from: datetime | None = strawberry.field(
        description=(
            "Codes that were issued before this time are refused, and codes without `iat`. To the second. Null if codes of "
            "any time are accepted."
        )
    )
    sign_in_url: str | None = strawberry.field(
        description=(
            "Where a person without a code signs in: a page of your own system, which sends them back with a code and the "
            "`returnTo` and `state` that it was given. Null if there is none."
        )
    )
    sign_out_url: str | None = strawberry.field(
        description=(
            "Where signing out leads, if a code opened the session. Null: to the application, as for all other sessions."
        )
    )
    start_automatically: bool = strawberry.field(
        description="Whether `/login` goes to `signInUrl` at once, without a page."
    )
    require_state: bool = strawberry.field(
        description="Whether a link login needs a `state` that `/login/start` gave to this browser. Codes exchanged by the API need none."
    )

    @strawberry.field(
        description=(
            "The secrets that verify codes, and the newest 100 of all, retired and revoked ones included, newest first. "
            "The list counts as 100 nodes."
        ),
        metadata=ListLength(secrets.MAX_LISTED).metadata,
    )
    async def secrets(self) -> list[JwtSecret]:
        return [JwtSecret.of(row) for row in await secrets.list_newest_secrets()]

    @classmethod
    async def read(cls) -> "JwtAuth":
        """Read the configuration as it is now."""
        return cls.of(await ExternalAuth.get(id=1))

    @classmethod
    def of(cls, row: ExternalAuth) -> "JwtAuth":
        """Return the GraphQL type of the configuration's row."""
        sign_in = sign_in_of(row)
        return cls(
            enabled=row.enabled,
            policy=JwtPolicy.of(policy_of(row)),
            codes_valid_from=row.codes_valid_from,
            sign_in_url=sign_in.sign_in_url,
            sign_out_url=sign_in.sign_out_url,
            start_automatically=sign_in.start_automatically,
            require_state=sign_in.require_state,
        )


@strawberry.type(description="A signing secret that was just created.")
class NewJwtSecret:
    secret: str = strawberry.field(
        description=("The text of the secret. The HMAC key is its UTF-8 bytes exactly as shown. It is shown only once.")
    )
    jwt_secret: JwtSecret = strawberry.field(description="The secret without its text.")
    jwt_auth: JwtAuth = strawberry.field(description="The configuration after the change.")


@strawberry.type(description="The result of enabling JWT sign-in.")
class EnabledJwtAuth:
    secret: str | None = strawberry.field(
        description=("The text of the secret that was created, shown only once. Null if there was a current secret.")
    )
    jwt_auth: JwtAuth = strawberry.field(description="The configuration after the change.")


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
    trust_emails: strawberry.Maybe[bool] = strawberry.field(
        default=None,
        description="Whether the email of a code counts as verified if the code has no `user.email_verified`.",
    )

    def given(self) -> dict[str, object]:
        """Return the fields that were sent, null included."""
        return {name: maybe.value for name, maybe in vars(self).items() if maybe is not None}


@strawberry.type
class ExternalAuthMutations:
    @strawberry.mutation(
        description=(
            "Enables JWT sign-in. If there is no current secret, creates one and shows it only once. Errors: "
            "CONFLICT if 5 secrets are live already."
        )
    )
    async def enable_jwt_auth(self, info: Info) -> EnabledJwtAuth | None:
        by = info.context.caller.require_admin()
        made = await secrets.enable(info.context.instance.cipher, by)
        return EnabledJwtAuth(secret=made.text if made else None, jwt_auth=await JwtAuth.read())

    @strawberry.mutation(description="Disables JWT sign-in. The secrets stay and are used when it is enabled again.")
    async def disable_jwt_auth(
        self,
        info: Info,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether all sessions that codes opened end too.")
        ] = False,
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        await secrets.disable(by, end_sessions=end_sessions)
        return await JwtAuth.read()

    @strawberry.mutation(
        description=(
            "Creates a new current secret. The previous secret verifies codes until the grace period ends. Ends "
            "no session; after a leak, revoke the secret instead. Errors: CONFLICT if 5 secrets are live already,"
            " BAD_USER_INPUT for a grace period out of range."
        )
    )
    async def rotate_jwt_secret(
        self,
        info: Info,
        grace_period_seconds: Annotated[
            int,
            strawberry.argument(
                description="How long the previous secret still verifies codes: 0 to 2,592,000 seconds (30 days)."
            ),
        ] = secrets.DEFAULT_GRACE_PERIOD,
    ) -> NewJwtSecret | None:
        by = info.context.caller.require_admin()
        made = await secrets.rotate(info.context.instance.cipher, by, grace_period=grace_period_seconds)
        return NewJwtSecret(secret=made.text, jwt_secret=JwtSecret.of(made.row), jwt_auth=await JwtAuth.read())

    @strawberry.mutation(
        description=(
            "Revokes a secret: no code signed with it is accepted any more. If the current secret is revoked, "
            "there is none until `rotateJwtSecret` creates one. Errors: NOT_FOUND."
        )
    )
    async def revoke_jwt_secret(
        self,
        info: Info,
        id: _SECRET_ID,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether all sessions that codes of this secret opened end too.")
        ] = True,
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        await secrets.revoke(id, by, end_sessions=end_sessions)
        return await JwtAuth.read()

    @strawberry.mutation(
        description=(
            "Refuses all codes that were issued before now, in every process at once: they are CODE_EXPIRED. The secrets "
            "stay, and a code that is issued in this second or later works. A code without `iat` is refused from now on."
        )
    )
    async def revoke_all_codes(
        self,
        info: Info,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether all sessions that codes opened end too.")
        ] = False,
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        return JwtAuth.of(await secrets.revoke_all_codes(by, end_sessions=end_sessions))

    @strawberry.mutation(
        description=(
            "Changes the policy, from the next code on. Errors: BAD_USER_INPUT names the value that is not valid."
        )
    )
    async def update_jwt_policy(
        self, info: Info, policy: Annotated[JwtPolicyInput, strawberry.argument(description="The values to change.")]
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        return JwtAuth.of(await update_policy(policy.given(), by))
