"""Email login as the schema has it, and the settings of both methods together."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import strawberry

from service.errors import Conflict, SignInRefused
from service.graphql.context import Info
from service.graphql.enums import SignInErrorCode
from service.graphql.external_auth import JwtAuth
from service.graphql.signing_in import SignInError, SignInResult


@strawberry.enum(
    description="INVITATION: only people who were invited sign in by email. OPEN: anyone does, and the first time makes the user."
)
class SignUpMode(StrEnum):
    INVITATION = "INVITATION"
    OPEN = "OPEN"


@strawberry.type(description="Email login: a code by mail.")
class EmailLogin:
    enabled: bool = strawberry.field(description="Whether it is on.")
    sign_up: SignUpMode = strawberry.field(description="Who may sign in by it.")


@strawberry.type(description="Both ways to sign in.")
class AuthenticationSettings:
    email_login: EmailLogin = strawberry.field(description="Email login.")
    jwt: JwtAuth = strawberry.field(description="JWT sign-in.")


@strawberry.type(
    description="A code is on its way, where the address may have one; the answer is the same where it may not."
)
class EmailCodeRequest:
    id: strawberry.ID = strawberry.field(description="The request, to be given back with the code.")
    expires_at: datetime = strawberry.field(description="Until when the code is good.")
    resend_after: datetime = strawberry.field(description="From when another may be asked for.")


EmailCodeResult: TypeAlias = Annotated[
    EmailCodeRequest | SignInError, strawberry.union("EmailCodeResult", description="A request, or why there is none.")
]


@strawberry.type
class EmailLoginQueries:
    @strawberry.field(description="How people sign in here. For admins and API keys.")
    async def authentication(self, info: Info) -> AuthenticationSettings | None:
        info.context.caller.require_reader()
        return AuthenticationSettings(
            email_login=EmailLogin(enabled=False, sign_up=SignUpMode.INVITATION), jwt=await JwtAuth.read()
        )


@strawberry.type
class EmailLoginMutations:
    @strawberry.mutation(description="Ask for a code by mail.")
    async def request_email_code(
        self, info: Info, email: Annotated[str, strawberry.argument(description="The address.")]
    ) -> EmailCodeResult:
        return SignInError.of(SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED), info.context)

    @strawberry.mutation(description="Sign in by a code that came by mail.")
    async def exchange_email_code(
        self,
        info: Info,
        request_id: Annotated[strawberry.ID, strawberry.argument(description="The request's id.")],
        code: Annotated[str, strawberry.argument(description="The 6 digits.")],
    ) -> SignInResult:
        return SignInError.of(SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED), info.context)

    @strawberry.mutation(description="Switch email login, and say who may sign up by it.")
    async def update_email_login(
        self,
        info: Info,
        enabled: Annotated[strawberry.Maybe[bool], strawberry.argument(description="Whether it is on.")] = None,
        sign_up: Annotated[
            strawberry.Maybe[SignUpMode], strawberry.argument(description="Who may sign in by it.")
        ] = None,
    ) -> EmailLogin | None:
        info.context.caller.require_admin()
        raise Conflict("Email login is not part of this version.")
