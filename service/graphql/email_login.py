"""Email login as the schema has it, and the settings of both methods together."""

from datetime import datetime
from typing import Annotated, TypeAlias, TypeVar

import strawberry

from service.email_login import configuration
from service.email_login.login import exchange_email_code, request_email_code
from service.errors import SignInRefused
from service.graphql.context import Info
from service.graphql.enums import SignUpMode
from service.graphql.external_auth import JwtAuth
from service.graphql.sign_in import SessionGrant, SignInError, SignInResult
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt

Value = TypeVar("Value")


@strawberry.type(description="Email login: a code by mail.")
class EmailLogin:
    enabled: bool = strawberry.field(description="Whether it is on.")
    sign_up: SignUpMode = strawberry.field(description="Who may sign in by it.")

    @classmethod
    def of(cls, current: configuration.EmailLoginConfiguration) -> "EmailLogin":
        """The switch as the schema shows it."""
        return cls(enabled=current.enabled, sign_up=current.sign_up)


@strawberry.type(description="Both ways to sign in.")
class AuthenticationSettings:
    email_login: EmailLogin = strawberry.field(description="Email login.")
    jwt: JwtAuth = strawberry.field(description="JWT sign-in.")


@strawberry.type(
    description="A code is on its way, where the address may have one; the answer is the same where it may not."
)
class EmailCodeRequest:
    id: strawberry.ID = strawberry.field(
        description="The request, to be given back with the code. Keep it to yourself."
    )
    expires_at: datetime = strawberry.field(description="Until when the code is good: 10 minutes.")
    resend_after: datetime = strawberry.field(description="From when it makes sense to ask for another one.")


EmailCodeResult: TypeAlias = Annotated[
    EmailCodeRequest | SignInError, strawberry.union("EmailCodeResult", description="A request, or why there is none.")
]


@strawberry.type
class EmailLoginQueries:
    @strawberry.field(description="How people sign in here. For admins and API keys.")
    async def authentication(self, info: Info) -> AuthenticationSettings | None:
        info.context.caller.require_reader()
        return AuthenticationSettings(
            email_login=EmailLogin.of(await configuration.read_configuration()), jwt=await JwtAuth.read()
        )


@strawberry.type
class EmailLoginMutations:
    @strawberry.mutation(
        description="Ask for a code by mail: 6 digits, good for 10 minutes and 5 tries, once. An address has 5 an hour:"
        " TOO_MANY_ATTEMPTS. BAD_USER_INPUT for what is no address."
    )
    async def request_email_code(
        self, info: Info, email: Annotated[str, strawberry.argument(description="The address.")]
    ) -> EmailCodeResult:
        context = info.context
        try:
            request = await request_email_code(email, context.caller.client, context.instance.email_login)
        except SignInRefused as refusal:
            return SignInError.of(refusal, context)
        return EmailCodeRequest(
            id=strawberry.ID(request.id), expires_at=request.expires_at, resend_after=request.resend_after
        )

    @strawberry.mutation(
        description="Sign in by a code that came by mail, always in a new session. INVALID_EMAIL_CODE whatever is wrong with it."
        " Sets no cookie."
    )
    async def exchange_email_code(
        self,
        info: Info,
        request_id: Annotated[strawberry.ID, strawberry.argument(description="The request's id.")],
        code: Annotated[str, strawberry.argument(description="The 6 digits, with or without spaces.")],
    ) -> SignInResult:
        context = info.context
        attempt = SignInAttempt(context.caller.client, TokenTransport.BEARER)
        try:
            result = await exchange_email_code(request_id, code, attempt, context.instance.email_login)
        except SignInRefused as refusal:
            return SignInError.of(refusal, context)
        return SessionGrant.of(result.session, result.token, context, new_user=result.new_user)

    @strawberry.mutation(
        description="Switch email login on or off, and say who may sign up by it; what is left out stays. Ends no session. While it"
        " is off admins have no way into the panel but a link from `doorcode admin invite`."
    )
    async def update_email_login(
        self,
        info: Info,
        enabled: Annotated[strawberry.Maybe[bool], strawberry.argument(description="Whether it is on.")] = None,
        sign_up: Annotated[
            strawberry.Maybe[SignUpMode], strawberry.argument(description="Who may sign in by it.")
        ] = None,
    ) -> EmailLogin | None:
        by = info.context.caller.require_admin()
        return EmailLogin.of(
            await configuration.update_configuration(by, enabled=_given(enabled), sign_up=_given(sign_up))
        )


def _given(argument: strawberry.Maybe[Value]) -> Value | None:
    return None if argument is None else argument.value
