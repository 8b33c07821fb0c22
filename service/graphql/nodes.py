"""`node(id:)`: fetches a user or a session again, as Relay does for its `@refetchable` fragments."""

from typing import Annotated

import strawberry

from service.accounts.lookup import find_by_id
from service.graphql.context import Context, Info
from service.graphql.users import Node, Session, User
from service.ids import could_be_id
from service.sessions.listing import find_live


@strawberry.type
class NodeQueries:
    @strawberry.field(
        description=(
            "The user or the live session with this ID. If both have it, the user. Null if there is none, or if it is "
            "not the caller's: members see themselves and their own sessions, admins and API keys see all. "
            "Errors: UNAUTHENTICATED without signing in; CONFLICT as for `user`."
        )
    )
    async def node(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID, strawberry.argument(description="The `id` of the object, or the external ID of a user.")
        ],
    ) -> Node | None:
        context = info.context
        if not context.caller.may_read_everything:
            return await _own_node(context, id)
        user = await find_by_id(id)
        return User.of(user) if user else await _session(context, id)


async def _own_node(context: Context, node_id: str) -> Node | None:
    own = context.caller.require_session().user
    if node_id == own.id:
        return User.of(own)
    session = await _session(context, node_id)
    return session if session and session.live.user.serial == own.serial else None


async def _session(context: Context, session_id: str) -> Session | None:
    if not could_be_id(session_id):
        return None
    live = await find_live(session_id, with_admin_rights=context.shows_admin_sessions)
    if live is None:
        return None
    return Session.of(live, current=any(own.id == live.id for own in context.own_sessions))
