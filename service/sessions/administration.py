"""Ends sessions at the request of a user, an admin or the operator, and records it in the audit log.

SQL by hand: beyond the ORM. The query repeats the condition for "live".
"""

from enum import StrEnum

from service.accounts.lookup import lock_to_change, user_from_row
from service.accounts.models import User, UserRole
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import Actor, record
from service.clock import now
from service.database import Statement, fetch_one, transaction
from service.errors import NotFound
from service.sessions.lifecycle import (
    ADMIN_RIGHTS,
    LIVE,
    SESSION_COLUMNS,
    LiveSession,
    count_live_sessions,
    end_session,
    end_sessions_of_user,
    session_from_row,
)

_OWNER = Statement(
    f"SELECT {SESSION_COLUMNS}, u.*, {ADMIN_RIGHTS} AS admin_rights FROM sessions s"
    f" JOIN users u ON u.serial = s.user_serial WHERE s.id = $2 AND {LIVE}"
)


class OwnEnd(StrEnum):
    """How a user ended a session: signed out of it, ended it by its ID, or replaced it by signing in again."""

    SIGNED_OUT = "SIGNED_OUT"
    ENDED = "ENDED"
    REPLACED = "REPLACED"


async def end_user_sessions(user_id: str, by: Actor) -> int:
    """End every session of a user. Returns how many were live. Raises `NotFound`, and `Forbidden` for an admin."""
    async with transaction():
        user = await lock_to_change(user_id, by)
        live = await count_live_sessions(user)
        await end_sessions_of_user(user)
        await record(Action.USER_SESSIONS_ENDED, by, user_id=user.id, detail={"live": live})
    return live


async def end_one_session(session_id: str, by: Actor, *, owner: User | None) -> bool:
    """End a live session. Returns false if it was not live.

    If `owner` is given, raises `NotFound` for a session of another user. If it is None, ends a session of any user.
    Raises `Forbidden` for a session with admin rights, if the actor may not change admins.
    """
    row = await fetch_one(_OWNER, now(), session_id)
    if row is None:
        return False
    if owner is not None and row["serial"] != owner.serial:
        raise NotFound("You have no session with this id.")
    if row["admin_rights"]:
        by.require_may_change_admins()
    session = session_from_row(row, user_from_row(row))
    if by.is_user(session.user.id):
        return await end_own_session(session, by, OwnEnd.ENDED)
    async with transaction():
        ended = await end_session(session_id)
        if ended:
            await record(Action.SESSION_ENDED, by, user_id=session.user.id, secret_id=session.secret_id)
    return ended


async def end_own_session(session: LiveSession, by: Actor, how: OwnEnd) -> bool:
    """End a session at the request of its user. Returns false if it was not live.

    Each end of an admin's session is an event. Those of members are folded by the hour, because a member may sign in
    and out as often as a program can.
    """
    user_id, secret_id = session.user.id, session.secret_id
    detail = {"how": how, "method": session.method, "tokenTransport": session.token_transport}
    async with transaction():
        ended = await end_session(session.id)
        if ended and session.user.role is UserRole.ADMIN:
            await record(Action.SESSION_ENDED, by, user_id=user_id, secret_id=secret_id, detail=detail)
        elif ended:
            await record_hourly(
                Action.SESSION_ENDED,
                by,
                person=user_id,
                reason=" ".join(detail.values()),
                user_id=user_id,
                secret_id=secret_id,
                detail=detail,
            )
    return ended
