"""Signing in by a one-time link: the first admin by the set-up link, anybody invited by an invitation.

Each link is used up in the transaction that opens the session: once, also when two open it at the same moment, and not
at all where the sign-in is refused.
"""

from service.accounts.admins import make_admin
from service.accounts.models import User, UserRole, UserStatus
from service.accounts.provisioning import note_seen
from service.accounts.seats import lock_seats
from service.audit.log import Actor
from service.database import transaction
from service.email_login.desk import EmailDesk, EmailGrant, EmailVisit, granted, noted
from service.email_login.links import find_invited, is_setup_link, use_up_link
from service.email_login.switch import read_switch
from service.errors import Refusal, SignInErrorCode, SignInRefused
from service.sessions.models import Carrier


class LinkNotGood(Refusal):
    """No such link, or not any more: used, expired, replaced by a newer one, or of nobody who could use it."""

    def __init__(self) -> None:
        super().__init__(
            "This link is not good any more. Each works once and for a limited time, and a newer one replaces it."
        )


async def use_setup_link(token: str, email: str, visit: EmailVisit, desk: EmailDesk) -> EmailGrant:
    """Make whoever has this email the first admin, and sign them in.

    The seat lock comes first: of two people with links one becomes the first admin, and the other one's link is dead.
    Raises `LinkNotGood`, `SeatLimitReached`, `BadUserInput`.
    """
    async with transaction():
        await lock_seats()
        if not await is_setup_link(token) or not await use_up_link(token):
            raise LinkNotGood
        user = await make_admin(email, Actor("setup", visit.client.ip_address))
        opened = await desk.open_session(user, visit)
    await note_seen(user)
    return granted(opened)


async def use_invitation(token: str, visit: EmailVisit, desk: EmailDesk) -> EmailGrant:
    """Sign in whom the invitation is for. Raises `LinkNotGood`, `SignInRefused`.

    An admin's invitation works while email login is off, too: it is the operator's way back in.
    """
    async with noted(visit.client), transaction():
        user = await find_invited(token)
        if user is None or not _may_use(user, visit.carrier):
            raise LinkNotGood
        await _require_open(user, visit.carrier)
        if not await use_up_link(token):
            raise LinkNotGood
        opened = await desk.open_session(user, visit)
    await note_seen(user)
    return granted(opened)


def _may_use(user: User, carrier: Carrier) -> bool:
    """The panel's cookie is for admins alone."""
    return carrier is not Carrier.ADMIN_COOKIE or user.role is UserRole.ADMIN


async def _require_open(user: User, carrier: Carrier) -> None:
    if user.status is UserStatus.DEACTIVATED:
        raise SignInRefused(SignInErrorCode.USER_DEACTIVATED)
    if carrier is not Carrier.ADMIN_COOKIE and not (await read_switch()).enabled:
        raise SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED)
