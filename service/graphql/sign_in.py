"""The sign-in methods and the exchange of a code, for frontends."""

from typing import Annotated, TypeAlias

import strawberry

from service.email_login.configuration import read_configuration
from service.errors import SignInRefused
from service.external_auth.configuration import JwtConfiguration
from service.external_auth.exchange import exchange
from service.graphql.context import Context, Info
from service.graphql.enums import SignInErrorCode, SignInMethod
from service.graphql.sessions import AccessToken
from service.graphql.users import Session, User
from service.sessions.lifecycle import LiveSession
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt

_SIGN_IN_URL = (
    "Where a person signs in again, or for the first time: a page of the customer's own system. Null if there is none, or if JWT "
    "sign-in is disabled."
)


@strawberry.type(description="A successful sign-in.")
class SessionGrant:
    live: strawberry.Private[LiveSession]
    token: str = strawberry.field(
        description=("The session token, to be sent as `Authorization: Bearer …`. It is opaque and shown only once.")
    )
    session: Session = strawberry.field(description="The session.")
    user: User = strawberry.field(description="The user who is signed in.")
    new_user: bool = strawberry.field(description="Whether this sign-in created the user.")

    @strawberry.field(description=_SIGN_IN_URL)
    def sign_in_url(self, info: Info) -> str | None:
        return _sign_in_url(info.context.instance.external_auth.configuration_cache.known())

    @strawberry.field(description="A short-lived JWT for other services. It is signed only if this field is selected.")
    async def access_token(self, info: Info) -> AccessToken:
        return await AccessToken.issue(info, self.live)

    @classmethod
    def of(cls, live: LiveSession, token: str, context: Context, *, new_user: bool) -> "SessionGrant":
        """Return the GraphQL type of a sign-in, and let its fields show the new session to its user."""
        context.granted.append(live)
        return cls(
            live=live, token=token, session=Session.of(live, current=True), user=User.of(live.user), new_user=new_user
        )


@strawberry.type(description="A refused sign-in and its reason.")
class SignInError:
    code: SignInErrorCode = strawberry.field(description="The reason, for programs.")
    message: str = strawberry.field(description="A text for the user: what happened and what to do next.")
    reference: str = strawberry.field(description="An ID for support. The log has the same ID.")
    retry_after_seconds: int | None = strawberry.field(
        default=None, description="With TOO_MANY_ATTEMPTS, the seconds to wait before the next try. Else null."
    )

    @strawberry.field(description=_SIGN_IN_URL)
    def sign_in_url(self, info: Info) -> str | None:
        return _sign_in_url(info.context.instance.external_auth.configuration_cache.known())

    @classmethod
    def of(cls, refusal: SignInRefused, context: Context) -> "SignInError":
        """Return the refusal as data, and set `Retry-After` if the client should wait."""
        if refusal.retry_after is not None:
            context.response_headers["Retry-After"] = str(refusal.retry_after)
        return cls(
            code=refusal.code,
            message=refusal.message,
            reference=refusal.reference,
            retry_after_seconds=refusal.retry_after,
        )


SignInResult: TypeAlias = Annotated[
    SessionGrant | SignInError,
    strawberry.union("SignInResult", description="A session, or the reason for the refusal."),
]


@strawberry.type(description="How a user can sign in now.")
class SignInOptions:
    methods: list[SignInMethod] = strawberry.field(description="The sign-in methods that are enabled, EMAIL first.")
    sign_in_url: str | None = strawberry.field(description=_SIGN_IN_URL)
    name: str | None = strawberry.field(
        description="What end users know the service as. Null if the branding has no name."
    )


@strawberry.type
class SignInQueries:
    @strawberry.field(description="The sign-in methods that are enabled now, EMAIL first. Needs no rights.")
    async def sign_in_methods(self, info: Info) -> list[SignInMethod]:
        return (await _read_options(info)).methods

    @strawberry.field(description="The enabled sign-in methods, and where a sign-in starts. Needs no rights.")
    async def sign_in_options(self, info: Info) -> SignInOptions:
        return await _read_options(info)


async def _read_options(info: Info) -> SignInOptions:
    email = await read_configuration()
    configuration = await info.context.instance.external_auth.configuration_cache.current()
    methods = {SignInMethod.EMAIL: email.enabled, SignInMethod.EXTERNAL_JWT: configuration.enabled}
    return SignInOptions(
        methods=[method for method, is_on in methods.items() if is_on],
        sign_in_url=_sign_in_url(configuration),
        name=(await info.context.instance.branding.current()).name,
    )


def _sign_in_url(configuration: JwtConfiguration | None) -> str | None:
    return configuration.sign_in.sign_in_url if configuration and configuration.enabled else None


@strawberry.type
class SignInMutations:
    @strawberry.mutation(
        description=(
            "Signs in the user that an externalAuthCode names. If the request carries a live session of the same "
            "user that a code opened and that has at least half of its lifetime left, that session continues with"
            " the same token. Sets no cookie. Errors: BAD_USER_INPUT if `lifetimeSeconds` is less than 1."
        )
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
                description=(
                    "The maximum lifetime of the session in seconds, 1 or more. The operator's maximum applies too."
                )
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
