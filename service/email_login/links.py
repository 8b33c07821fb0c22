"""One-time links: the set-up link, which makes the first admin, and invitations (contract §3).

Opening a link does not use it up; signing in with it does, exactly once. Each user has at most one link, so a new link
voids the old one. Only the hash of the token is stored.

SQL by hand: atomic. A new link replaces the old one, and a link is used once.
"""

import re
from collections.abc import Iterable
from datetime import timedelta

from service.accounts.admins import has_admin
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.log import COMMAND_LINE, record
from service.clock import now
from service.database import Statement, purge_expired, transaction, write
from service.email_login.models import SignInLink
from service.tokens import hash_token, new_token

SETUP_LIFETIME = timedelta(hours=1)
INVITATION_LIFETIME = timedelta(hours=24)

_PREFIX = "dcl_"
_FORM = re.compile(r"dcl_[A-Za-z0-9_-]{43}", re.ASCII)
_SETUP = 0  # no user's serial

_PUT = Statement(
    "INSERT INTO sign_in_links (holder, token_hash, email, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (holder) DO UPDATE SET"
    " token_hash = excluded.token_hash, email = excluded.email, expires_at = excluded.expires_at"
)
_USE_UP = Statement("DELETE FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2")


async def make_setup_token() -> str:
    """Return the token of a new set-up link, which works for an hour or until there is an admin.

    The previous set-up link stops working.
    """
    async with transaction():
        token = await _make(_SETUP, None, SETUP_LIFETIME)
        await record(Action.SETUP_LINK_MADE, COMMAND_LINE)
    return token


async def make_invitation_token(user: User) -> str:
    """Return the token of a new invitation, which works for 24 hours and while the user keeps this email.

    The user's previous invitation stops working.
    """
    return await _make(user.serial, user.email, INVITATION_LIFETIME)


async def is_setup_link(token: str) -> bool:
    """Return whether this is the token of a live set-up link. The link stays usable."""
    link = await _find(token)
    return link is not None and link.holder == _SETUP and not await has_admin()


async def find_invited(token: str) -> User | None:
    """Return the invited user, also a deactivated one, or None without a live invitation. The link stays usable."""
    link = await _find(token)
    return await User.get_or_none(serial=link.holder, email=link.email) if link and link.email else None


async def use_up_link(token: str) -> bool:
    """Delete the link, in the transaction of the sign-in, and return false if another request has just used it."""
    return await write(_USE_UP, hash_token(token), now()) > 0


async def purge_links(batch: int) -> int:
    """Delete at most `batch` expired links, and return how many were deleted."""
    return await purge_expired("sign_in_links", "holder", "expires_at", batch)


async def delete_links_for(emails: Iterable[str]) -> None:
    """Delete the invitations of these addresses, in the caller's transaction."""
    await SignInLink.filter(email__in=list(emails)).delete()


async def delete_all_links() -> None:
    """Delete every one-time link, in the caller's transaction."""
    await SignInLink.all().delete()


async def _make(holder: int, email: str | None, lifetime: timedelta) -> str:
    token = new_token(_PREFIX)
    await write(_PUT, holder, hash_token(token), email, now() + lifetime)
    return token


async def _find(token: str) -> SignInLink | None:
    if not _FORM.fullmatch(token):
        return None
    return await SignInLink.get_or_none(token_hash=hash_token(token), expires_at__gt=now())
