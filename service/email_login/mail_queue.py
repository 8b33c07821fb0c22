"""The queue of mails in the database. A transaction adds a mail, and the mail worker of any process sends it.

The content is encrypted, because it holds a valid code or link. A mail is deleted once it was sent. The statements are
written by hand, because claiming a mail is one atomic conditional statement.
"""

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.clock import now
from service.database import Statement, as_time, fetch, write
from service.encryption import Cipher
from service.ids import new_id

_ADD = Statement(
    "INSERT INTO outgoing_mails (id, encrypted_letter, tries, due_at, expires_at) VALUES ($1, $2, 0, $3, $4)"
)
# The mail that expires soonest is sent first: a code before an invitation, even behind a long queue of invitations.
_DUE = Statement(
    "SELECT id, encrypted_letter, tries, expires_at FROM outgoing_mails WHERE due_at <= $1 ORDER BY expires_at, id LIMIT 1"
)
_CLAIM = Statement("UPDATE outgoing_mails SET tries = tries + 1, due_at = $1 WHERE id = $2 AND tries = $3")
_PUT_OFF = Statement("UPDATE outgoing_mails SET due_at = $1 WHERE id = $2")
_REMOVE = Statement("DELETE FROM outgoing_mails WHERE id = $1")
_PURGE = Statement(
    "DELETE FROM outgoing_mails WHERE id IN (SELECT id FROM outgoing_mails WHERE expires_at < $1 LIMIT $2)"
)


_STORED = Statement("SELECT id, encrypted_letter FROM outgoing_mails WHERE expires_at > $1")
_RENEW = Statement("UPDATE outgoing_mails SET encrypted_letter = $1 WHERE id = $2")


class MailKind(StrEnum):
    """The kind of a mail. Each kind has its own templates."""

    CODE = "code"
    INVITATION = "invitation"


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail before it is composed: its kind, its recipient and its secret."""

    kind: MailKind
    email: str
    secret: str
    """The email code, or the URL of the invitation."""


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this process is sending. No other process may send it before its lease ends."""

    id: str
    encrypted_letter: str
    tries: int
    """Including this one."""
    expires_at: datetime


class MailQueue:
    """The queue. `wake_up` tells the mail worker of this process that a mail was added."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self.wake_up = asyncio.Event()

    async def put(self, queued_mail: QueuedMail, expires_at: datetime) -> None:
        """Add a mail, in the caller's transaction. The caller sets `wake_up` after the commit."""
        await write(_ADD, new_id(), self._cipher.encrypt(json.dumps(asdict(queued_mail))), now(), expires_at)

    def read(self, mail: ClaimedMail) -> QueuedMail:
        """Return the content of the mail. Raises `SettingsError` if its encryption key was removed."""
        queued_mail = json.loads(self._cipher.decrypt(mail.encrypted_letter))
        return QueuedMail(MailKind(queued_mail["kind"]), queued_mail["email"], queued_mail["secret"])


async def claim(lease: timedelta) -> ClaimedMail | None:
    """Claim the next mail that is due, for this process. None if no mail is due.

    The mail stays in the table until it was sent. If this process dies, another one sends the mail when the lease ends.
    So a mail may be sent twice, and is never lost.
    """
    while rows := await fetch(_DUE, moment := now()):
        row = rows[0]
        if await write(_CLAIM, moment + lease, row["id"], row["tries"]):
            return ClaimedMail(row["id"], row["encrypted_letter"], row["tries"] + 1, as_time(row["expires_at"]))
    return None


async def postpone(mail: ClaimedMail, until: datetime) -> None:
    """Make the mail due at `until`."""
    await write(_PUT_OFF, until, mail.id)


async def remove(mail: ClaimedMail) -> None:
    """Delete a mail that was sent or is undeliverable."""
    await write(_REMOVE, mail.id)


async def purge_mail_queue(batch: int) -> int:
    """Delete at most `batch` expired mails. Returns how many were deleted."""
    return await write(_PURGE, now(), batch)


async def renew_mail_encryption(cipher: Cipher) -> None:
    """Encrypt every queued mail with the first encryption key, so that older keys can be removed.

    Raises `SettingsError` if one cannot be read.
    """
    for row in await fetch(_STORED, now()):
        renewed = cipher.renewed(row["encrypted_letter"])
        if renewed is not None:
            await write(_RENEW, renewed, row["id"])
