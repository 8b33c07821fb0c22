"""One-time links: the one that makes the first admin, and the ones that invite (contract §3).

Looking at a link uses nothing up; using it does, exactly once. Each holder has one link at most, so a new one voids the
old, and only the hash of its token is kept.
"""

import re
from datetime import timedelta
from urllib.parse import urlencode

from service.accounts.lookup import user_from_row
from service.accounts.models import User, UserRole
from service.clock import now
from service.database import Row, Statement, fetch_one, write
from service.tokens import hash_token, new_token

SETUP_LIFETIME = timedelta(hours=1)
INVITATION_LIFETIME = timedelta(hours=24)

SETUP_PATH = "/admin/setup"
INVITATION_PATH = "/invitation"
ADMIN_INVITATION_PATH = "/admin/invitation"

_PREFIX = "dcl_"
_FORM = re.compile(r"dcl_[A-Za-z0-9_-]{43}", re.ASCII)
_SETUP = 0  # no user's serial

_PUT = Statement(
    "INSERT INTO sign_in_links (holder, token_hash, email, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (holder) DO UPDATE SET"
    " token_hash = excluded.token_hash, email = excluded.email, expires_at = excluded.expires_at"
)
_SETUP_LINK = Statement(
    f"SELECT 1 FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2 AND holder = {_SETUP}"
    " AND NOT EXISTS (SELECT 1 FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE')"
)
_INVITATION = Statement(
    "SELECT u.* FROM sign_in_links l JOIN users u ON u.serial = l.holder AND u.email = l.email"
    " WHERE l.token_hash = $1 AND l.expires_at > $2"
)
_USE_UP = Statement("DELETE FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2")
_PURGE = Statement(
    "DELETE FROM sign_in_links WHERE holder IN (SELECT holder FROM sign_in_links WHERE expires_at < $1 LIMIT $2)"
)


async def make_setup_token() -> str:
    """A new set-up link's token, good for an hour or until there is an admin; the one before is void."""
    return await _make(_SETUP, None, SETUP_LIFETIME)


async def make_invitation_token(user: User) -> str:
    """A new invitation's token, good for 24 hours and as long as the user keeps this email; the one before is void."""
    return await _make(user.serial, user.email, INVITATION_LIFETIME)


def setup_url(public_url: str, token: str) -> str:
    """Where the set-up link leads."""
    return f"{public_url}{SETUP_PATH}?{urlencode({'token': token})}"


def invitation_url(public_url: str, user: User, token: str) -> str:
    """Where an invitation leads: an admin's to the panel."""
    path = ADMIN_INVITATION_PATH if user.role is UserRole.ADMIN else INVITATION_PATH
    return f"{public_url}{path}?{urlencode({'token': token})}"


async def is_setup_link(token: str) -> bool:
    """Whether this is the token of a set-up link that is good. Uses nothing up."""
    return await _find(_SETUP_LINK, token) is not None


async def find_invited(token: str) -> User | None:
    """Whom the invitation with this token is for, while it is good; a deactivated user too. Uses nothing up."""
    row = await _find(_INVITATION, token)
    return user_from_row(row) if row else None


async def use_up_link(token: str) -> bool:
    """Let the link not be used again; false where somebody else just used it. In the transaction of the sign-in."""
    return await write(_USE_UP, hash_token(token), now()) > 0


async def purge_links(batch: int) -> int:
    """Forget so many links at most that have expired; how many there were."""
    return await write(_PURGE, now(), batch)


async def _make(holder: int, email: str | None, lifetime: timedelta) -> str:
    token = new_token(_PREFIX)
    await write(_PUT, holder, hash_token(token), email, now() + lifetime)
    return token


async def _find(statement: Statement, token: str) -> Row | None:
    return await fetch_one(statement, hash_token(token), now()) if _FORM.fullmatch(token) else None
