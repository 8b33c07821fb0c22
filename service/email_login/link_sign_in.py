"""Signs in by a one-time link: the first admin by the set-up link, an invited user by an invitation.

The transaction that opens the session uses up the link. So two simultaneous requests cannot both use it, and a refused
sign-in does not use it up.
"""

from service.accounts.admins import make_admin
from service.accounts.models import User, UserRole
from service.accounts.provisioning import record_user_seen
from service.accounts.refusals import require_active
from service.accounts.seats import lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.database import transaction
from service.email_login.configuration import read_configuration
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.links import find_invited, is_setup_link, use_up_link
from service.email_login.wrong_codes import reset_wrong_codes
from service.errors import Refusal, SignInRefused
from service.refusal_texts import SignInErrorCode
from service.sessions.models import SignInMethod, TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.sign_in.outcome import record_refusal, record_success


class LinkNotGood(Refusal):
    """The link is unknown, used, expired or replaced by a newer one, or its user may not sign in by it."""

    def __init__(self) -> None:
        super().__init__(
            "This link no longer works. A link works once and for a limited time, and a newer link replaces it."
        )


async def use_setup_link(
    token: str, email: str, attempt: SignInAttempt, dependencies: EmailLoginDependencies
) -> SignInResult:
    """Make the user with this email the first admin, creating the user if needed, and sign in.

    Takes the seat lock first: if two people hold set-up links, one becomes the first admin and the other's link is
    void. Raises `LinkNotGood`, `SeatLimitReached` or `BadUserInput`.
    """
    by = Actor.of_setup_link(attempt.client.ip_address)
    async with transaction():
        await lock_seats()
        if not await is_setup_link(token) or not await use_up_link(token):
            raise LinkNotGood
        user = await make_admin(email, by)
        await record(Action.SETUP_LINK_USED, by, user_id=user.id)
        result = await dependencies.open_session(user, attempt)
    return await _finish(result, attempt, dependencies)


async def use_invitation(token: str, attempt: SignInAttempt, dependencies: EmailLoginDependencies) -> SignInResult:
    """Sign in the invited user. Raises `LinkNotGood` or `SignInRefused`.

    An admin's invitation works while email login is off, so that the operator can always create an admin session.
    """
    async with record_refusal(SignInMethod.EMAIL, attempt.client, dependencies.outcomes), transaction():
        user = await find_invitation(token, attempt.token_transport)
        if user is None:
            raise LinkNotGood
        await _require_open(user, attempt.token_transport)
        if not await use_up_link(token):
            raise LinkNotGood
        result = await dependencies.open_session(user, attempt)
    return await _finish(result, attempt, dependencies)


async def find_invitation(token: str, token_transport: TokenTransport) -> User | None:
    """Return the invited user; None if the link is void, or the admin cookie is asked for and the user is not an admin."""
    user = await find_invited(token)
    if user is not None and token_transport is TokenTransport.ADMIN_COOKIE and user.role is not UserRole.ADMIN:
        return None
    return user


async def _finish(result: SignInResult, attempt: SignInAttempt, dependencies: EmailLoginDependencies) -> SignInResult:
    """Do what follows the commit. A link lifts the lock of email codes: its holder was invited, or asked the operator."""
    user = result.session.user
    await record_user_seen(user)
    if user.email is not None:
        await reset_wrong_codes(user.email, dependencies.cipher)
    await dependencies.remember_client(result.session, attempt)
    return await record_success(result, dependencies.outcomes)


async def _require_open(user: User, token_transport: TokenTransport) -> None:
    require_active(user)
    if token_transport is not TokenTransport.ADMIN_COOKIE and not (await read_configuration()).enabled:
        raise SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED)
