"""JWT sign-in, for admins: configuration, secrets and policy."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.external_auth import secrets
from service.external_auth.configuration import policy_of, sign_in_of, update_policy
from service.external_auth.models import ExternalAuth
from service.external_auth.secret_names import describe_secret_as
from service.graphql.context import Info
from service.graphql.jwt_policy import JwtPolicy, JwtPolicyInput, PolicyRecommendation
from service.graphql.jwt_secrets import JwtSecret
from service.graphql.server.node_count import ListLength

_SECRET_ID = Annotated[strawberry.ID, strawberry.argument(description="The ID of a signing secret.")]


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

    @strawberry.field(
        description="The recommended values of the policy, with reasons: one entry for each field that has one."
    )
    async def recommended_policy(self) -> list[PolicyRecommendation]:
        return PolicyRecommendation.all_of(policy_of(await ExternalAuth.get(id=1)))

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


@strawberry.type
class ExternalAuthMutations:
    @strawberry.mutation(
        description=(
            "Enables JWT sign-in. If there is no current secret, creates one and shows it only once. Errors: "
            "CONFLICT if 5 secrets are live already. An admin has to have signed in within the last 15 "
            "minutes, else FORBIDDEN with `freshProofNeeded`."
        )
    )
    async def enable_jwt_auth(self, info: Info) -> EnabledJwtAuth | None:
        info.context.caller.require_admin()
        by = info.context.caller.require_fresh_proof()
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
            " BAD_USER_INPUT for a grace period out of range. An admin has to have signed in within the "
            "last 15 minutes, else FORBIDDEN with `freshProofNeeded`."
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
        info.context.caller.require_admin()
        by = info.context.caller.require_fresh_proof()
        made = await secrets.rotate(info.context.instance.cipher, by, grace_period=grace_period_seconds)
        return NewJwtSecret(secret=made.text, jwt_secret=JwtSecret.of(made.row), jwt_auth=await JwtAuth.read())

    @strawberry.mutation(
        description=(
            "Revokes a secret: no code signed with it is accepted any more. If the current secret is revoked, "
            "there is none until `rotateJwtSecret` creates one. Errors: NOT_FOUND. An admin has to have "
            "signed in within the last 15 minutes, else FORBIDDEN with `freshProofNeeded`."
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
        info.context.caller.require_admin()
        by = info.context.caller.require_fresh_proof()
        await secrets.revoke(id, by, end_sessions=end_sessions)
        return await JwtAuth.read()

    @strawberry.mutation(
        description=(
            "Changes the name and the note of a secret. What is left out stays; an empty text takes it away. Errors: "
            "NOT_FOUND, BAD_USER_INPUT for a text that is too long."
        )
    )
    async def update_jwt_secret(
        self,
        info: Info,
        id: _SECRET_ID,
        name: Annotated[
            strawberry.Maybe[str], strawberry.argument(description="The name: at most 100 characters.")
        ] = None,
        note: Annotated[
            strawberry.Maybe[str], strawberry.argument(description="The note: at most 500 characters.")
        ] = None,
    ) -> JwtSecret | None:
        by = info.context.caller.require_admin()
        changes = {field: given.value for field, given in (("name", name), ("note", note)) if given is not None}
        return JwtSecret.of(await describe_secret_as(id, changes, by))

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
