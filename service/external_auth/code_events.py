"""Audit events of what an admin or the operator does with codes: signing one to try sign-in, and inspecting one.

The code itself is never recorded, and of its claims only what names the user.
"""

from service.audit.actions import Action
from service.audit.folding import HourlyEvent
from service.audit.log import Actor, record
from service.audit.pending import PendingEvents
from service.database import transaction
from service.external_auth.inspection import Inspection
from service.text import JsonObject


async def record_signed_code(secret_id: str, claims: JsonObject, by: Actor) -> None:
    """Record that a code with these claims was signed with this secret. Call it before the code is shown."""
    user = claims.get("user")
    subject: JsonObject = user if isinstance(user, dict) else claims
    user_id, email = subject.get("id"), subject.get("email")
    detail = {"exp": claims.get("exp"), "jti": claims.get("jti")} | ({"email": email} if email else {})
    async with transaction():
        await record(
            Action.CODE_SIGNED, by, user_id=str(user_id) if user_id else None, secret_id=secret_id, detail=detail
        )


async def record_inspection(found: Inspection, by: Actor, pending_events: PendingEvents) -> None:
    """Record that a code was inspected: one event an hour for each actor, user, secret and result."""
    result = found.refusal.code if found.refusal else "ACCEPTED"
    await pending_events.add(
        HourlyEvent(
            Action.CODE_INSPECTED,
            by,
            person=found.user.id if found.user else "",
            reason=result,
            user_id=found.user.id if found.user else None,
            secret_id=found.secret.id if found.secret else None,
            detail={"result": result},
        )
    )
