"""Makes the first admin, and the admins that the operator creates from the command line."""

from service.accounts.administration import add_invited_user, change_role, set_status
from service.accounts.identifiers import parse_email
from service.accounts.lookup import find_by_email, lock_by_id
from service.accounts.models import User, UserRole, UserStatus
from service.accounts.seats import lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record


async def has_admin() -> bool:
    """Return whether there is an active admin."""
    return await User.filter(role=UserRole.ADMIN, status=UserStatus.ACTIVE).exists()


async def make_admin(email: str, by: Actor) -> User:
    """Make the user with this email an active admin, or create one. Call it in a transaction.

    A new or reactivated admin takes a seat like any user. Raises `SeatLimitReached` or `BadUserInput`.
    """
    await lock_seats()
    found = await find_by_email(parse_email(email))
    if found is None:
        return await add_invited_user(email, UserRole.ADMIN, by)
    user = await lock_by_id(found.id)
    if user.status is UserStatus.DEACTIVATED:
        await set_status(user, UserStatus.ACTIVE)
        await record(Action.USER_REACTIVATED, by, user_id=user.id)
    if user.role is not UserRole.ADMIN:
        await change_role(user, UserRole.ADMIN, by)
    return user
