"""Stores secrets that a page shows once, for 10 minutes and for the session that made them.

A reload or the Back button then shows the same secret again. Otherwise each reload would need another rotation.
"""

from datetime import timedelta

from service.clock import now
from service.database import Statement, fetch, fetch_one, write
from service.encryption import Cipher
from service.ids import new_id
from service.sessions.lifecycle import LiveSession

SHOWN_FOR = timedelta(minutes=10)

_KEEP = Statement(
    "INSERT INTO shown_secrets (id, session_id, kind, encrypted_secret, expires_at) VALUES ($1, $2, $3, $4, $5)"
)
_FIND = Statement(
    "SELECT kind, encrypted_secret FROM shown_secrets WHERE id = $1 AND session_id = $2 AND expires_at > $3"
)
_STORED = Statement("SELECT id, encrypted_secret FROM shown_secrets WHERE expires_at > $1")
_RENEW = Statement("UPDATE shown_secrets SET encrypted_secret = $1 WHERE id = $2")
_PURGE = Statement(
    "DELETE FROM shown_secrets WHERE id IN (SELECT id FROM shown_secrets WHERE expires_at < $1 LIMIT $2)"
)


async def keep_to_show(secret: str, kind: str, session: LiveSession, cipher: Cipher) -> str:
    """Store a secret, encrypted, for 10 minutes and for this session only.

    Returns the ID that the page's URL carries.
    """
    shown_id = new_id()
    await write(_KEEP, shown_id, session.id, kind, cipher.encrypt(secret), now() + SHOWN_FOR)
    return shown_id


async def secret_to_show(shown_id: str, session: LiveSession, cipher: Cipher) -> tuple[str, str] | None:
    """Return the kind and the text of a secret that was stored for this session.

    None if there is none or it expired.
    """
    row = await fetch_one(_FIND, shown_id, session.id, now())
    return None if row is None else (row["kind"], cipher.decrypt(row["encrypted_secret"]))


async def purge_shown_secrets(batch: int) -> int:
    """Delete at most `batch` expired secrets. Returns how many were deleted."""
    return await write(_PURGE, now(), batch)


async def renew_shown_encryption(cipher: Cipher) -> None:
    """Encrypt the stored secrets with the first encryption key, so that older keys can be removed."""
    for row in await fetch(_STORED, now()):
        renewed = cipher.renewed(row["encrypted_secret"])
        if renewed is not None:
            await write(_RENEW, renewed, row["id"])
