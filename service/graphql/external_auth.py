"""JWT sign-in, for administrators: the switch, the secrets, the policy, and why a code was refused."""

from datetime import datetime
from math import isfinite
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.clock import now
from service.external_auth import inspection, policy, secrets
from service.external_auth.configuration import policy_of
from service.external_auth.models import ExternalAuth
from service.external_auth.models import JwtSecret as JwtSecretRow
from service.external_auth.policy_changes import Given, PolicyChange, update_policy
from service.graphql.context import Info
from service.graphql.enums import EmailLinking, JwtSecretStatus, SignInErrorCode
from service.graphql.users import User

_SECRET_ID = Annotated[strawberry.ID, strawberry.argument(description="A secret's id.")]


@strawberry.type(description="A secret that signs codes. Its text cannot be read again.")
class JwtSecret:
    id: strawberry.ID = strawberry.field(description="The secret's id, which a code may name as its `kid`.")
    hint: str = strawberry.field(description="Its first 4 characters, to tell one from another.")
    status: JwtSecretStatus = strawberry.field(description="What it is good for now.")
    created_at: datetime = strawberry.field(description="When it was made.")
    retires_at: datetime | None = strawberry.field(
        description="Until when it verifies, once it was replaced; null: it was not."
    )
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null: it was not.")
    last_used_at: datetime | None = strawberry.field(
        description="When a code of it was last let in, to the minute; null: not yet."
    )

    @classmethod
    def of(cls, row: JwtSecretRow) -> "JwtSecret":
        """The secret as the schema shows it."""
        return cls(
            id=strawberry.ID(row.id),
            hint=row.hint,
            status=secrets.status_of(row, now()),
            created_at=row.created_at,
            retires_at=row.retires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


@strawberry.type(description="What is asked of codes beyond the minimum.")
class JwtPolicy:
    require_expiry: bool = strawberry.field(
        description="Whether a code must have `exp`. Off, a code without it is good until its secret is replaced."
    )
    max_lifetime_seconds: int | None = strawberry.field(
        description="The most that `exp - iat` may be, both then required; null: no bound."
    )
    single_use: bool = strawberry.field(description="Whether each code works once; `jti` and `exp` are then required.")
    session_ends_with_code: bool = strawberry.field(
        description="Whether a session ends when the code that opened it expires."
    )
    clock_skew_seconds: int = strawberry.field(description="The grace for `exp`, `nbf` and `iat`: 0 to 300 seconds.")
    issuer: str | None = strawberry.field(description="What `iss` must be; null: anything.")
    audience: str | None = strawberry.field(description="What `aud` must be or contain; null: anything.")
    email_linking: EmailLinking = strawberry.field(
        description="What a new `user.id` with an existing user's email does."
    )

    @classmethod
    def of(cls, value: policy.Policy) -> "JwtPolicy":
        """The policy as the schema shows it."""
        return cls(
            require_expiry=value.require_expiry,
            max_lifetime_seconds=value.max_lifetime_seconds,
            single_use=value.single_use,
            session_ends_with_code=value.session_ends_with_code,
            clock_skew_seconds=value.clock_skew_seconds,
            issuer=value.issuer,
            audience=value.audience,
            email_linking=value.email_linking,
        )


@strawberry.type(description="JWT sign-in: the switch, the policy, the secrets.")
class JwtAuth:
    enabled: bool = strawberry.field(description="Whether codes are accepted.")
    policy: JwtPolicy = strawberry.field(description="What is asked of codes.")

    @strawberry.field(description="Every secret there ever was, newest first.")
    async def secrets(self) -> list[JwtSecret]:
        return [JwtSecret.of(row) for row in await secrets.list_secrets()]

    @classmethod
    async def read(cls) -> "JwtAuth":
        """The state that holds now."""
        return cls.of(await ExternalAuth.get(id=1))

    @classmethod
    def of(cls, row: ExternalAuth) -> "JwtAuth":
        """The row as the schema shows it."""
        return cls(enabled=row.enabled, policy=JwtPolicy.of(policy_of(row)))


@strawberry.type(description="A secret that was just made.")
class NewJwtSecret:
    secret: str = strawberry.field(
        description="The text: the HMAC key is its UTF-8 bytes, exactly as shown. Shown this once."
    )
    jwt_secret: JwtSecret = strawberry.field(description="The secret's row.")
    jwt_auth: JwtAuth = strawberry.field(description="The state after it.")


@strawberry.type(description="JWT sign-in, enabled.")
class EnabledJwtAuth:
    secret: str | None = strawberry.field(
        description="The text of the secret that was made, shown this once; null where there was a current one."
    )
    jwt_auth: JwtAuth = strawberry.field(description="The state after it.")


@strawberry.input(description="New values of the policy; what is left out stays, null clears what can be null.")
class JwtPolicyInput:
    require_expiry: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether a code must have `exp`."
    )
    max_lifetime_seconds: strawberry.Maybe[int | None] = strawberry.field(
        default=None,
        description="The most that `exp - iat` may be, 1 to 315,360,000 seconds (10 years); null: no bound.",
    )
    single_use: strawberry.Maybe[bool] = strawberry.field(default=None, description="Whether each code works once.")
    session_ends_with_code: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether a session ends with the code that opened it."
    )
    clock_skew_seconds: strawberry.Maybe[int] = strawberry.field(
        default=None, description="The grace for times, 0 to 300 seconds."
    )
    issuer: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="What `iss` must be, 1 to 255 characters; null: anything."
    )
    audience: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="What `aud` must be or contain, 1 to 255 characters; null: anything."
    )
    email_linking: strawberry.Maybe[EmailLinking] = strawberry.field(
        default=None, description="What a new `user.id` with an existing user's email does."
    )

    def as_change(self) -> PolicyChange:
        """The input as the policy takes it."""
        given = {name: Given(maybe.value) for name, maybe in vars(self).items() if maybe is not None}
        return PolicyChange(**given)


@strawberry.type(description="One check of a code.")
class CodeCheck:
    name: str = strawberry.field(description="What was checked.")
    passed: bool = strawberry.field(description="Whether it holds.")
    detail: str = strawberry.field(description="What was found; where it failed, the likely cause in plain words.")


@strawberry.type(description="What an exchange of this code would do, and why. Nothing was done.")
class CodeInspection:
    accepted: bool = strawberry.field(description="Whether an exchange would succeed.")
    error_code: SignInErrorCode | None = strawberry.field(
        description="What an exchange would answer; null where it would succeed."
    )
    message: str | None = strawberry.field(
        description="The message that an exchange would answer; null where it would succeed."
    )
    header: JSON | None = strawberry.field(description="The code's header, where it can be read.")
    claims: JSON | None = strawberry.field(
        description="The code's payload, where it can be read; not to be believed where the signature failed."
    )
    checks: list[CodeCheck] = strawberry.field(description="Every check, in order.")
    secret: JwtSecret | None = strawberry.field(
        description="The secret whose signature matched, retired and revoked ones included."
    )
    user: User | None = strawberry.field(
        description="The user that it would sign in; null where none, or where it creates one."
    )
    creates_user: bool = strawberry.field(description="Whether it would create a user, who takes a seat.")

    @classmethod
    def of(cls, found: inspection.Inspection) -> "CodeInspection":
        """The findings as the schema shows them."""
        return cls(
            accepted=found.accepted,
            error_code=found.refusal.code if found.refusal else None,
            message=found.refusal.message if found.refusal else None,
            header=_json(found.header),
            claims=_json(found.claims),
            checks=[CodeCheck(name=check.name, passed=check.passed, detail=check.detail) for check in found.checks],
            secret=JwtSecret.of(found.secret) if found.secret else None,
            user=User.of(found.user) if found.user else None,
            creates_user=found.creates_user,
        )


@strawberry.type
class ExternalAuthQueries:
    @strawberry.field(
        description="Why is a code refused, or whom would it sign in? Every check in order; nothing is done or kept. For admins and API keys."
    )
    async def inspect_external_auth_code(
        self, info: Info, external_auth_code: Annotated[str, strawberry.argument(description="The code.")]
    ) -> CodeInspection | None:
        info.context.caller.require_reader()
        return CodeInspection.of(await inspection.inspect(external_auth_code, info.context.instance.external_auth))


@strawberry.type
class ExternalAuthMutations:
    @strawberry.mutation(
        description="Accept codes from now on. Makes a secret where there is no current one, and shows it this once; CONFLICT where five are live."
    )
    async def enable_jwt_auth(self, info: Info) -> EnabledJwtAuth | None:
        by = info.context.caller.require_admin()
        made = await secrets.enable(info.context.instance.cipher, by)
        return EnabledJwtAuth(secret=made.text if made else None, jwt_auth=await JwtAuth.read())

    @strawberry.mutation(description="Accept no codes from now on. The secrets stay for when it is enabled again.")
    async def disable_jwt_auth(
        self,
        info: Info,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether every session that a code opened ends too.")
        ] = False,
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        await secrets.disable(by, end_sessions=end_sessions)
        return await JwtAuth.read()

    @strawberry.mutation(
        description="Make a new current secret; the one before goes on verifying for the grace period. Ends no session: for a leak, revoke. CONFLICT where five are live."
        " CONFLICT where 5 are live already."
    )
    async def rotate_jwt_secret(
        self,
        info: Info,
        grace_period_seconds: Annotated[
            int,
            strawberry.argument(
                description="How long the one before still verifies: 0 (not at all) to 2,592,000 (30 days)."
            ),
        ] = secrets.DEFAULT_GRACE_PERIOD,
    ) -> NewJwtSecret | None:
        by = info.context.caller.require_admin()
        made = await secrets.rotate(info.context.instance.cipher, by, grace_period=grace_period_seconds)
        return NewJwtSecret(secret=made.text, jwt_secret=JwtSecret.of(made.row), jwt_auth=await JwtAuth.read())

    @strawberry.mutation(
        description="Accept no code of this secret any more. The current one may be revoked: then there is none until you rotate. NOT_FOUND."
    )
    async def revoke_jwt_secret(
        self,
        info: Info,
        id: _SECRET_ID,
        end_sessions: Annotated[
            bool, strawberry.argument(description="Whether every session that its codes opened ends too.")
        ] = True,
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        await secrets.revoke(id, by, end_sessions=end_sessions)
        return await JwtAuth.read()

    @strawberry.mutation(
        description="Change what is asked of codes, from the next one on. BAD_USER_INPUT names what cannot be."
    )
    async def update_jwt_policy(
        self, info: Info, policy: Annotated[JwtPolicyInput, strawberry.argument(description="What changes.")]
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        return JwtAuth.of(await update_policy(policy.as_change(), by))


def _json(value: object) -> JSON | None:
    return None if value is None else JSON(_finite(value))


def _finite(value: object) -> object:
    """A code may spell numbers that are infinite here (1e400), and no JSON of ours can: null stands for them."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value
