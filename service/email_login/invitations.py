"""Inviting people: a place here, and a one-time link to it."""

from dataclasses import dataclass

from service.accounts.administration import add_invited_user
from service.accounts.admins import make_admin
from service.accounts.lookup import lock_by_id
from service.accounts.models import User, UserRole, UserStatus
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import transaction
from service.email_login.configuration import read_configuration
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.links import INVITATION_LIFETIME, invitation_url, make_invitation_token
from service.email_login.mail_queue import MailKind, QueuedMail
from service.errors import Conflict, Forbidden


@dataclass(frozen=True, slots=True)
class AdminInvitation:
    """An admin, and the link that signs in as that admin once."""

    user: User
    url: str


async def invite(email: str, role: UserRole, by: Actor, dependencies: EmailLoginDependencies) -> User:
    """A new user who may sign in by this email, takes a seat at once, and is sent an invitation.

    While email login is off no member is: the link would let nobody in. Raises `SeatLimitReached`, `Conflict`,
    `BadUserInput`.
    """
    configuration = await read_configuration()
    async with transaction():
        user = await add_invited_user(email, role, by)
        if configuration.enabled or role is UserRole.ADMIN:
            await _send_invitation(user, dependencies)
    dependencies.mail_queue.wake_up.set()
    return user


async def invite_again(user_id: str, by: Actor, dependencies: EmailLoginDependencies, *, in_person: bool) -> User:
    """Mail another link to somebody who was invited and has not come yet; the link before is void.

    Raises `Conflict` for anybody else, and for a member while email login is off; `NotFound`; `Forbidden` for an admin's
    where it is not an admin `in_person` who asks.
    """
    configuration = await read_configuration()
    async with transaction():
        user = await lock_by_id(user_id)
        if user.role is UserRole.ADMIN and not in_person:
            raise Forbidden("An admin is invited by an admin who signed in, and by no API key.")
        if user.email is None or user.last_seen_at is not None or user.status is UserStatus.DEACTIVATED:
            raise Conflict("An invitation is for somebody active who has an email and has not been here yet.")
        if not configuration.enabled and user.role is not UserRole.ADMIN:
            raise Conflict("Email login is off, so the link would let nobody in. Switch it on first.")
        await _send_invitation(user, dependencies)
        await record(Action.USER_INVITED, by, user_id=user.id, detail={"again": True})
    dependencies.mail_queue.wake_up.set()
    return user


async def invite_admin(email: str, by: Actor, public_url: str) -> AdminInvitation:
    """Make an admin, or raise whoever has this email, and a link that signs in as that admin. No mail is sent.

    For the operator, at any time: also when no mail arrives, or email login is off. Raises `SeatLimitReached`,
    `BadUserInput`.
    """
    async with transaction():
        user = await make_admin(email, by)
        token = await make_invitation_token(user)
        await record(Action.ADMIN_LINK_MADE, by, user_id=user.id)
    return AdminInvitation(user, invitation_url(public_url, user, token))


async def _send_invitation(user: User, dependencies: EmailLoginDependencies) -> None:
    assert user.email is not None, "an invited user has one"
    url = invitation_url(dependencies.public_url, user, await make_invitation_token(user))
    await dependencies.mail_queue.put(QueuedMail(MailKind.INVITATION, user.email, url), now() + INVITATION_LIFETIME)
