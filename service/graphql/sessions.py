"""Whoever is signed in: who that is, its session, and the access token for other services."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.graphql.context import Info
from service.graphql.users import Session, User
from service.sessions.access_tokens import issue_access_token
from service.sessions.administration import end_one_session
from service.sessions.lifecycle import LiveSession


@strawberry.type(description="A short-lived ES256 JWT that any other service verifies by /.well-known/jwks.json.")
class AccessToken:
    token: str = strawberry.field(
        description="The JWT: iss, aud, sub (user ID), sid, iat, exp, jti, email, origin, role."
    )
    expires_at: datetime = strawberry.field(
        description="When it expires: 10 minutes from now, unless the operator set another lifetime."
    )

    @classmethod
    async def issue(cls, info: Info, session: LiveSession) -> "AccessToken":
        """Sign one for this session."""
        instance = info.context.instance
        issued = await issue_access_token(session, instance.settings, instance.cipher)
        return cls(token=issued.token, expires_at=issued.expires_at)


@strawberry.type
class SessionQueries:
    @strawberry.field(description="The user who is signed in; null where nobody is. An API key is nobody's.")
    def viewer(self, info: Info) -> User | None:
        viewer = info.context.caller.viewer
        return User.of(viewer) if viewer else None

    @strawberry.field(description="The session that asks; null where nobody is signed in.")
    def current_session(self, info: Info) -> Session | None:
        session = info.context.caller.session
        return Session.of(session, current=True) if session else None


@strawberry.type
class SessionMutations:
    @strawberry.mutation(description="A new access token for whoever is signed in.")
    async def issue_access_token(self, info: Info) -> AccessToken | None:
        return await AccessToken.issue(info, info.context.caller.require_session())

    @strawberry.mutation(
        description="End a session, for the next request everywhere: the one that asks, or by id one of your own; an admin may end anyone's."
        " False where none was live. Somebody else's is NOT_FOUND; with an id, nobody is UNAUTHENTICATED."
    )
    async def end_session(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Which; left out: the one that asks.")
        ] = None,
    ) -> bool | None:
        caller = info.context.caller
        own = caller.session.id if caller.session else None
        session_id = own if id is None else id
        if caller.may_read_everything:
            by = caller.require_admin()
            return session_id is not None and await end_one_session(session_id, by, owner=None)
        if session_id is None:
            return False  # what a client is told that signs out twice
        return await end_one_session(session_id, caller.actor, owner=caller.require_session().user)
