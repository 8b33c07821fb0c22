"""The signed-in user, its session, and access tokens for other services."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.graphql.context import Info
from service.graphql.users import Session, User
from service.sessions.access_tokens import issue_access_token
from service.sessions.administration import end_one_session
from service.sessions.lifecycle import LiveSession


@strawberry.type(
    description=(
        "An access token: a short-lived ES256 JWT. Other services verify it with the keys at /.well-known/jwks.json."
    )
)
class AccessToken:
    token: str = strawberry.field(
        description=("The JWT, with the claims iss, aud, sub (user ID), sid, iat, exp, jti, email, origin and role.")
    )
    expires_at: datetime = strawberry.field(
        description=(
            "When the access token expires: after 10 minutes, unless the operator set another lifetime, and no later "
            "than the session."
        )
    )

    @classmethod
    async def issue(cls, info: Info, session: LiveSession) -> "AccessToken":
        """Sign an access token for this session."""
        instance = info.context.instance
        policy = (await instance.external_auth.configuration_cache.current()).policy
        issued = await issue_access_token(
            session, instance.settings, instance.cipher, shared_metadata=policy.shared_metadata
        )
        return cls(token=issued.token, expires_at=issued.expires_at)


@strawberry.type
class SessionQueries:
    @strawberry.field(description="The user who is signed in. Null if the request is not signed in or uses an API key.")
    def viewer(self, info: Info) -> User | None:
        viewer = info.context.caller.viewer
        return User.of(viewer) if viewer else None

    @strawberry.field(description="The session that made the request. Null if the request is not signed in.")
    def current_session(self, info: Info) -> Session | None:
        session = info.context.caller.session
        return Session.of(session, current=True) if session else None


@strawberry.type
class SessionMutations:
    @strawberry.mutation(
        description=(
            "Issues a new access token for the user who is signed in. Errors: UNAUTHENTICATED without signing in."
        )
    )
    async def issue_access_token(self, info: Info) -> AccessToken | None:
        return await AccessToken.issue(info, info.context.caller.require_session())

    @strawberry.mutation(
        description=(
            "Ends the current session, or the session with this `id`, from the next request on in every process. "
            "Members may end their own sessions; admins may end any. Returns false if the session was not live. "
            "Errors: NOT_FOUND for another user's session; FORBIDDEN if the session has admin rights and the caller is an "
            "API key or a session without them; UNAUTHENTICATED if `id` is given without signing in."
        )
    )
    async def end_session(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The ID of the session. Default: the session that made the request."),
        ] = None,
    ) -> bool | None:
        caller = info.context.caller
        own = caller.session.id if caller.session else None
        session_id = own if id is None else id
        if caller.may_read_everything:
            by = caller.require_manager()
            return session_id is not None and await end_one_session(session_id, by, owner=None)
        if session_id is None:
            return False  # a client that signs out twice gets this answer
        return await end_one_session(session_id, caller.actor, owner=caller.require_session().user)
