"""Activates and deactivates users, and ends their access at the time that an admin set (contract §3).

From that time on every rule treats the user as deactivated, because each compares the time with the clock: signing in,
live sessions, lists and seats. The row and the counters follow here, in batches, so that no sign-up waits for the
update of many rows.
"""

from service.accounts.groups import count_group_member
from service.accounts.models import User, UserStatus
from service.accounts.seats import count_user, lock_seats, take_seat
from service.audit.actions import Action
from service.audit.log import CLOCK, record
from service.clock import now, to_the_second
from service.database import transaction


async def set_status(user: User, status: UserStatus) -> None:
    """Set the status, under the seat lock. Raises `SeatLimitReached` if ACTIVE needs a seat and none is free.

    Raising the epoch ends the sessions, and keeps them ended when the user is active again.
    """
    if status is not user.status:
        if status is UserStatus.ACTIVE:
            await take_seat(user.origin)
        else:
            await count_user(user.origin, status, 1)
        await count_user(user.origin, user.status, -1)
        await count_group_member(user, 1 if status is UserStatus.ACTIVE else -1)
    user.status, user.access_ended = status, False
    user.session_epoch += 1
    await user.save(update_fields=["status", "access_ended", "session_epoch"])


async def end_lapsed_access(user: User) -> bool:
    """Deactivate a user that is locked and whose access has ended. Returns whether it did. Call it under the seat lock."""
    if user.status is not UserStatus.ACTIVE or user.access_until is None or user.access_until > now():
        return False
    await set_status(user, UserStatus.DEACTIVATED)
    user.access_ended = True
    await user.save(update_fields=["access_ended"])
    detail = {"accessUntil": to_the_second(user.access_until)}
    await record(Action.USER_ACCESS_ENDED, CLOCK, user_id=user.id, detail=detail)
    return True


async def end_lapsed_accesses(batch: int) -> int:
    """Deactivate at most `batch` users whose access has ended, and return how many were found."""
    if not await User.filter(status=UserStatus.ACTIVE, access_until__lte=now()).exists():
        return 0
    async with transaction():
        await lock_seats()
        lapsed = User.filter(status=UserStatus.ACTIVE, access_until__lte=now()).order_by("access_until").limit(batch)
        users = await lapsed.select_for_update()
        for user in users:
            await end_lapsed_access(user)
    return len(users)
