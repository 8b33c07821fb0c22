"""Makes the first admin, and the admins that the operator creates from the command line."""

from tortoise.expressions import Q

from service.accounts.administration import activate, add_invited_user, change_role, keep_an_admin
from service.accounts.identifiers import parse_email
from service.accounts.lookup import find_by_email, lock_by_id, lock_to_change
from service.accounts.models import User, UserRole, UserStatus
from service.accounts.seats import lock_seats
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.errors import NotFound


async def has_admin() -> bool:
    """Return whether there is an active admin."""
    unlimited = Q(access_until__isnull=True) | Q(access_until__gt=now())
    return await User.filter(unlimited, role=UserRole.ADMIN, status=UserStatus.ACTIVE).exists()


async def make_admin(email: str, by: Actor) -> User:
    """Make the user with this verified email an active admin, or create one. Call it in a transaction.

    A user who only claims the address is not found: no code gives its user the role of the address's owner.

    A new or reactivated admin takes a seat like any user. Raises `SeatLimitReached` or `BadUserInput`.
    """
    await lock_seats()
    found = await find_by_email(parse_email(email))
    if found is None:
        return await add_invited_user(email, UserRole.ADMIN, by)
    user = await lock_by_id(found.id)
    if user.status is UserStatus.DEACTIVATED or user.access_until is not None:
        await activate(user, by)
    if user.role is not UserRole.ADMIN:
        await change_role(user, UserRole.ADMIN, by)
    return user


async def list_admins() -> list[User]:
    """Return all users with the role ADMIN, oldest first."""
    return await User.filter(role=UserRole.ADMIN).order_by("created_at", "id")


async def remove_admin(email: str, by: Actor, *, force: bool = False) -> User:
    """Make the admin with this email a member, and end the sessions of the user.

    Raises `NotFound` if no admin has this email, `Conflict` for the last active admin unless `force` is given,
    `BadUserInput`.
    """
    email = parse_email(email)
    async with transaction():
        await lock_seats()
        found = await find_by_email(email)
        if found is None or found.role is not UserRole.ADMIN:
            raise NotFound("No admin has this email.")
        user = await lock_to_change(found.id, by)
        if not force:
            await keep_an_admin(user)
        await change_role(user, UserRole.MEMBER, by)
    return user
