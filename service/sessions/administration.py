"""Ends sessions at the request of a user, an admin or the operator, and records it in the audit log.

SQL by hand: beyond the ORM. The query repeats the condition for "live".
"""

from service.accounts.lookup import lock_to_change
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import Statement, fetch_one, transaction
from service.errors import NotFound
from service.sessions.lifecycle import ADMIN_RIGHTS, LIVE, count_live_sessions, end_session, end_sessions_of_user

_OWNER = Statement(
    f"SELECT u.id AS user_id, u.serial, {ADMIN_RIGHTS} AS admin_rights FROM sessions s"
    f" JOIN users u ON u.serial = s.user_serial WHERE s.id = $2 AND {LIVE}"
)


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
    async with transaction():
        ended = await end_session(session_id)
        if ended and not by.is_user(row["user_id"]):
            await record(Action.SESSION_ENDED, by, user_id=row["user_id"])
    return ended
