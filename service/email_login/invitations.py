"""Invites users and admins, each with a one-time link."""

from dataclasses import dataclass

from service.accounts.administration import add_invited_user
from service.accounts.admins import make_admin
from service.accounts.lookup import lock_to_change
from service.accounts.models import User, UserRole, UserStatus
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import transaction
from service.email_login.configuration import read_configuration
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.links import INVITATION_LIFETIME, make_invitation_token
from service.email_login.mail_queue import MailKind, QueuedMail
from service.errors import Conflict
from service.page_urls import PageUrls


@dataclass(frozen=True, slots=True)
class AdminInvitation:
    """An admin, and the one-time link that signs in as that admin."""

    user: User
    url: str


async def invite(email: str, role: UserRole, by: Actor, dependencies: EmailLoginDependencies) -> User:
    """Create a user with this email, who takes a seat at once, and mail an invitation.

    A member is sent no invitation while email login is off, because the link would be refused. Raises
    `SeatLimitReached`, `Conflict` or `BadUserInput`.
    """
    configuration = await read_configuration()
    async with transaction():
        user = await add_invited_user(email, role, by)
        if configuration.enabled or role is UserRole.ADMIN:
            await _send_invitation(user, dependencies)
    dependencies.mail_queue.wake_up.set()
    return user


async def invite_again(user_id: str, by: Actor, dependencies: EmailLoginDependencies) -> User:
    """Mail a new link to a user who has not signed in yet. The previous link is void.

    Raises `NotFound`; `Conflict` for a user who has no verified email, is deactivated or has signed in, and for a member while
    email login is off; `Forbidden` for an admin's invitation, if the actor may not change admins.
    """
    configuration = await read_configuration()
    async with transaction():
        user = await lock_to_change(user_id, by)
        if not user.email_verified or user.last_seen_at is not None or user.current_status is UserStatus.DEACTIVATED:
            raise Conflict(
                "Only an active user who has a verified email and has not signed in yet can be invited again."
            )
        if not configuration.enabled and user.role is not UserRole.ADMIN:
            raise Conflict("Email login is off, so the link would be refused. Switch email login on first.")
        await _send_invitation(user, dependencies)
        await record(Action.USER_INVITED, by, user_id=user.id, detail={"again": True})
    dependencies.mail_queue.wake_up.set()
    return user


async def invite_admin(email: str, by: Actor, page_urls: PageUrls) -> AdminInvitation:
    """Make the user with this email an admin, or create one, and return a one-time link. No mail is sent.

    For the operator, who may use it while email login is off or no mail server is configured. Raises `SeatLimitReached`
    or `BadUserInput`.
    """
    async with transaction():
        user = await make_admin(email, by)
        token = await make_invitation_token(user)
        await record(Action.ADMIN_LINK_MADE, by, user_id=user.id)
    return AdminInvitation(user, page_urls.invitation(token, to_admin=True))


async def _send_invitation(user: User, dependencies: EmailLoginDependencies) -> None:
    assert user.email is not None, "an invited user has one"
    token = await make_invitation_token(user)
    url = dependencies.page_urls.invitation(token, to_admin=user.role is UserRole.ADMIN)
    await dependencies.mail_queue.put(QueuedMail(MailKind.INVITATION, user.email, url), now() + INVITATION_LIFETIME)
