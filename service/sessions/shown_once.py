"""Stores secrets that a page shows once, for 10 minutes and for the session that made them.

A reload or the Back button then shows the same secret again. Otherwise each reload would need another rotation.
"""

from datetime import timedelta

from service.clock import now
from service.database import purge_expired, transaction
from service.encryption import Cipher
from service.ids import new_id
from service.sessions.lifecycle import LiveSession
from service.sessions.models import ShownSecret

SHOWN_FOR = timedelta(minutes=10)


async def keep_to_show(
    secret: str, kind: str, session: LiveSession, cipher: Cipher, *, replaces_others: bool = False
) -> str:
    """Store a secret, encrypted, for ten minutes and for this session only, and return the ID to show it by.

    With `replaces_others`, what the session keeps of this kind is deleted, so that large texts do not add up.
    """
    async with transaction():
        if replaces_others:
            await ShownSecret.filter(session_id=session.id, kind=kind).delete()
        shown = await ShownSecret.create(
            id=new_id(),
            session_id=session.id,
            kind=kind,
            encrypted_secret=cipher.encrypt(secret),
            expires_at=now() + SHOWN_FOR,
        )
    return shown.id


async def secret_to_show(shown_id: str, session: LiveSession, cipher: Cipher) -> tuple[str, str] | None:
    """Return the kind and the text of a secret that was stored for this session, or None after ten minutes."""
    shown = await ShownSecret.get_or_none(id=shown_id, session_id=session.id, expires_at__gt=now())
    return None if shown is None else (shown.kind, cipher.decrypt(shown.encrypted_secret))


async def forget_shown(shown_id: str, session: LiveSession) -> None:
    """Delete what was stored for this session under this ID."""
    async with transaction():
        await ShownSecret.filter(id=shown_id, session_id=session.id).delete()


async def purge_shown_secrets(batch: int) -> int:
    """Delete at most `batch` expired secrets, and return how many were deleted."""
    return await purge_expired("shown_secrets", "id", "expires_at", batch)


async def delete_all_shown_secrets() -> None:
    """Delete every stored secret, in the caller's transaction."""
    await ShownSecret.all().delete()


async def renew_shown_encryption(cipher: Cipher) -> None:
    """Encrypt what is still shown with the first encryption key, so that older keys can be dropped."""
    for shown in await ShownSecret.filter(expires_at__gt=now()):
        renewed = cipher.renewed(shown.encrypted_secret)
        if renewed is not None:
            async with transaction():
                await ShownSecret.filter(id=shown.id).update(encrypted_secret=renewed)
