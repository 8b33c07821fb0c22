"""The inspection of a code: why it would be refused, or which user it would sign in. For admins and API keys."""

from math import isfinite
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.external_auth import inspection
from service.external_auth.code_events import record_inspection
from service.graphql.context import Info
from service.graphql.enums import SignInErrorCode
from service.graphql.jwt_secrets import JwtSecret
from service.graphql.users import User


@strawberry.type(description="The result of one check of a code.")
class CodeCheck:
    name: str = strawberry.field(description="The name of the check.")
    passed: bool = strawberry.field(description="Whether the check passed. False also if it was not reached.")
    detail: str = strawberry.field(description="What the check found. If it failed, also the likely cause.")


@strawberry.type(description="What an exchange of this code would do, and why. The inspection changes nothing.")
class CodeInspection:
    accepted: bool = strawberry.field(description="Whether an exchange would succeed.")
    error_code: SignInErrorCode | None = strawberry.field(
        description="The error code that an exchange would answer. Null if it would succeed."
    )
    message: str | None = strawberry.field(
        description="The message that an exchange would answer. Null if it would succeed."
    )
    header: JSON | None = strawberry.field(description="The header of the code. Null if it cannot be read.")
    claims: JSON | None = strawberry.field(
        description=(
            "The payload of the code. Null if it cannot be read. Do not trust it if the signature check failed."
        )
    )
    checks: list[CodeCheck] = strawberry.field(description="All checks, in order.")
    secret: JwtSecret | None = strawberry.field(
        description="The secret that signed the code, retired and revoked secrets included. Null if none did."
    )
    user: User | None = strawberry.field(
        description="The existing user that the code would sign in. Null if there is none."
    )
    creates_user: bool = strawberry.field(description="Whether the code would create a user, who takes a seat.")

    @classmethod
    def of(cls, found: inspection.Inspection) -> "CodeInspection":
        """Return the GraphQL type of an inspection."""
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
class InspectionQueries:
    @strawberry.field(
        description=(
            "Says why a code would be refused, or which user it would sign in: all checks in order. Changes "
            "nothing. The audit log records who inspected a code of which secret and user, never the code. For admins "
            "and API keys."
        )
    )
    async def inspect_external_auth_code(
        self, info: Info, external_auth_code: Annotated[str, strawberry.argument(description="The code.")]
    ) -> CodeInspection | None:
        caller, instance = info.context.caller, info.context.instance
        caller.require_reader()
        found = await inspection.inspect(external_auth_code, instance.external_auth)
        await record_inspection(found, caller.actor, instance.pending_events)
        return CodeInspection.of(found)


def _json(value: object) -> JSON | None:
    return None if value is None else JSON(_finite(value))


def _finite(value: object) -> object:
    """Replace infinite numbers by null: a code may contain 1e400, which JSON cannot represent."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value
