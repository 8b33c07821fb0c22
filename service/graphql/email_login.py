"""Queries and mutations of email login, and the settings of both methods."""

from datetime import datetime
from typing import Annotated, TypeAlias, TypeVar

import strawberry

from service.email_login import configuration
from service.email_login.login import exchange_email_code, request_email_code
from service.email_login.wrong_codes import unlock_email_sign_in
from service.errors import SignInRefused
from service.graphql.context import Info
from service.graphql.enums import SignUpMode
from service.graphql.external_auth import JwtAuth
from service.graphql.sign_in import SessionGrant, SignInError, SignInResult
from service.graphql.users import User
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt

Value = TypeVar("Value")


@strawberry.type(description="Email login: sign-in by a code sent by email.")
class EmailLogin:
    enabled: bool = strawberry.field(description="Whether email login is enabled.")
    sign_up: SignUpMode = strawberry.field(description="Who may sign in by email.")
    allowed_domains: list[str] = strawberry.field(
        description=(
            "The domains whose addresses may sign up in mode OPEN, in IDNA A-form. `*.example.com` means the subdomains of "
            "example.com. Empty: any domain. Users who exist already are not affected."
        )
    )

    @classmethod
    def of(cls, current: configuration.EmailLoginConfiguration) -> "EmailLogin":
        """Return the GraphQL type of the configuration."""
        return cls(enabled=current.enabled, sign_up=current.sign_up, allowed_domains=list(current.allowed_domains))


@strawberry.type(description="The settings of both sign-in methods.")
class AuthenticationSettings:
    email_login: EmailLogin = strawberry.field(description="Email login.")
    jwt: JwtAuth = strawberry.field(description="JWT sign-in.")


@strawberry.type(
    description=(
        "A request for an email code. A code is sent only if the address may sign in; the answer is the same "
        "if it may not."
    )
)
class EmailCodeRequest:
    id: strawberry.ID = strawberry.field(
        description="The ID of the request, which `exchangeEmailCode` needs beside the code. Keep it secret."
    )
    expires_at: datetime = strawberry.field(description="When the code expires: 10 minutes after the request.")
    resend_after: datetime = strawberry.field(description="The earliest time at which to request another code.")


EmailCodeResult: TypeAlias = Annotated[
    EmailCodeRequest | SignInError,
    strawberry.union("EmailCodeResult", description="A request for a code, or the reason for its refusal."),
]


@strawberry.type
class EmailLoginQueries:
    @strawberry.field(description="The settings of both sign-in methods. For admins and API keys.")
    async def authentication(self, info: Info) -> AuthenticationSettings | None:
        info.context.caller.require_reader()
        return AuthenticationSettings(
            email_login=EmailLogin.of(await configuration.read_configuration()), jwt=await JwtAuth.read()
        )


@strawberry.type
class EmailLoginMutations:
    @strawberry.mutation(
        description=(
            "Requests a code by email: 6 digits, valid for 10 minutes, 5 tries and one sign-in. The answer is "
            "TOO_MANY_ATTEMPTS after 5 requests for an address within an hour, and while wrong codes for the address make a "
            "new code useless. Errors: BAD_USER_INPUT if the "
            "value is not an address."
        )
    )
    async def request_email_code(
        self, info: Info, email: Annotated[str, strawberry.argument(description="The email address.")]
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
        description=(
            "Signs in by an email code and opens a new session. The answer is INVALID_EMAIL_CODE for every code "
            "that is not valid, and TOO_MANY_ATTEMPTS after many wrong codes from the network or for the address. Then "
            "a right code is refused, too, and can be used later. Sets no cookie."
        )
    )
    async def exchange_email_code(
        self,
        info: Info,
        request_id: Annotated[strawberry.ID, strawberry.argument(description="The `id` of the EmailCodeRequest.")],
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
        description=(
            "Forgets the wrong email codes for the address of a user, so that codes are accepted again at once. Does nothing"
            " if there were none. Errors: FORBIDDEN if the user is an admin and the caller is an API key; NOT_FOUND."
        )
    )
    async def unlock_email_sign_in(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The `id` of a user, or else its external ID.")],
    ) -> User | None:
        by = info.context.caller.require_manager()
        return User.of(await unlock_email_sign_in(id, by, info.context.instance.cipher))

    @strawberry.mutation(
        description=(
            "Enables or disables email login, and sets who may sign up. An argument that is left out changes "
            "nothing. Ends no session. While email login is disabled, admins can enter the panel only by a link "
            "from `doorcode admin invite`. Errors: FORBIDDEN if an API key disables email login."
        )
    )
    async def update_email_login(
        self,
        info: Info,
        enabled: Annotated[
            strawberry.Maybe[bool], strawberry.argument(description="Whether email login is enabled.")
        ] = None,
        sign_up: Annotated[
            strawberry.Maybe[SignUpMode], strawberry.argument(description="Who may sign in by email.")
        ] = None,
        allowed_domains: Annotated[
            strawberry.Maybe[list[str]],
            strawberry.argument(
                description=(
                    "The domains whose addresses may sign up in mode OPEN, at most 100. `*.example.com` means the subdomains "
                    "of example.com. Empty: any domain. BAD_USER_INPUT for what is no domain."
                )
            ),
        ] = None,
    ) -> EmailLogin | None:
        by = info.context.caller.require_admin()
        return EmailLogin.of(
            await configuration.update_configuration(
                by, enabled=_given(enabled), sign_up=_given(sign_up), allowed_domains=_given(allowed_domains)
            )
        )


def _given(argument: strawberry.Maybe[Value]) -> Value | None:
    return None if argument is None else argument.value
