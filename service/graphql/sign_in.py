"""Signing in: what a frontend calls, and the answers that it has to handle."""

from typing import Annotated, TypeAlias

import strawberry

from service.email_login.configuration import read_configuration
from service.errors import SignInRefused
from service.external_auth.exchange import exchange
from service.graphql.context import Context, Info
from service.graphql.enums import SignInErrorCode, SignInMethod
from service.graphql.sessions import AccessToken
from service.graphql.users import Session, User
from service.sessions.lifecycle import LiveSession
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt


@strawberry.type(description="Somebody is signed in.")
class SessionGrant:
    live: strawberry.Private[LiveSession]
    token: str = strawberry.field(
        description="The session token, to be sent as `Authorization: Bearer …`. Opaque, shown this once."
    )
    session: Session = strawberry.field(description="The session.")
    user: User = strawberry.field(description="Who is signed in.")
    new_user: bool = strawberry.field(description="Whether this sign-in made the user.")

    @strawberry.field(description="A short-lived JWT for other services; signed only when it is selected.")
    async def access_token(self, info: Info) -> AccessToken:
        return await AccessToken.issue(info, self.live)

    @classmethod
    def of(cls, live: LiveSession, token: str, context: Context, *, new_user: bool) -> "SessionGrant":
        """The grant as the schema shows it: to the person who has just been signed in."""
        context.granted.append(live)
        return cls(
            live=live, token=token, session=Session.of(live, current=True), user=User.of(live.user), new_user=new_user
        )


@strawberry.type(description="Nobody is signed in, and why.")
class SignInError:
    code: SignInErrorCode = strawberry.field(description="For your program.")
    message: str = strawberry.field(description="For the person to read: what happened, and what to do next.")
    reference: str = strawberry.field(description="For whoever has to look: the same id stands in the log.")
    retry_after_seconds: int | None = strawberry.field(
        default=None, description="With TOO_MANY_ATTEMPTS: try again after so many seconds."
    )

    @classmethod
    def of(cls, refusal: SignInRefused, context: Context) -> "SignInError":
        """The refusal as data; with `Retry-After` where waiting helps."""
        if refusal.retry_after is not None:
            context.response_headers["Retry-After"] = str(refusal.retry_after)
        return cls(
            code=refusal.code,
            message=refusal.message,
            reference=refusal.reference,
            retry_after_seconds=refusal.retry_after,
        )


SignInResult: TypeAlias = Annotated[
    SessionGrant | SignInError, strawberry.union("SignInResult", description="A session, or why there is none.")
]


@strawberry.type
class SignInQueries:
    @strawberry.field(description="The ways to sign in that are on now, EMAIL first. Anyone may ask.")
    async def sign_in_methods(self, info: Info) -> list[SignInMethod]:
        email, configuration = (
            await read_configuration(),
            await info.context.instance.external_auth.configuration_cache.current(),
        )
        methods = {SignInMethod.EMAIL: email.enabled, SignInMethod.EXTERNAL_JWT: configuration.enabled}
        return [method for method, is_on in methods.items() if is_on]


@strawberry.type
class SignInMutations:
    @strawberry.mutation(
        description="Sign in whom an externalAuthCode speaks of. Sent with the live session of the same user, opened by a code and with half"
        " its life or more to go, it continues that session: same token. Sets no cookie."
    )
    async def exchange_external_auth_code(
        self,
        info: Info,
        external_auth_code: Annotated[
            str,
            strawberry.argument(
                description="The code: a compact JWS (HS256) of at most 8 KiB, signed with a secret of this service."
            ),
        ],
        lifetime_seconds: Annotated[
            int | None,
            strawberry.argument(
                description="A session no longer than this, in seconds; it is never longer than the operator allows."
            ),
        ] = None,
    ) -> SignInResult:
        context = info.context
        caller = context.caller
        attempt = SignInAttempt(caller.client, TokenTransport.BEARER, caller.session, caller.session_token)
        try:
            result = await exchange(
                external_auth_code, attempt, context.instance.external_auth, lifetime=lifetime_seconds
            )
        except SignInRefused as refusal:
            return SignInError.of(refusal, context)
        return SessionGrant.of(result.session, result.token, context, new_user=result.new_user)
