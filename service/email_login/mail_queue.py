"""Mails that are still to be sent, in the database: written in the transaction that wants them, sent by whoever serves.

What a letter says is encrypted, because a code or a link that is valid stands in it; it is deleted once it was sent.
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
# What is of no use soonest goes first: a code before an invitation, however many invitations wait.
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
    """What a letter is about; each kind has its templates."""

    CODE = "code"
    INVITATION = "invitation"


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail before it is written: to whom, about what, and the one thing in it that is secret."""

    kind: MailKind
    email: str
    secret: str
    """The code, or the invitation's address."""


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this process is to send, and nobody else until its lease is over."""

    id: str
    encrypted_letter: str
    tries: int
    """This one included."""
    expires_at: datetime


class MailQueue:
    """The queue, and the bell that tells this process's worker of something new."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self.wake_up = asyncio.Event()

    async def put(self, queued_mail: QueuedMail, expires_at: datetime) -> None:
        """Queue a letter, in the caller's transaction; ring the bell once that is committed."""
        await write(_ADD, new_id(), self._cipher.encrypt(json.dumps(asdict(queued_mail))), now(), expires_at)

    def read(self, mail: ClaimedMail) -> QueuedMail:
        """What the mail says; raises `SettingsError` where its encryption key is gone."""
        queued_mail = json.loads(self._cipher.decrypt(mail.encrypted_letter))
        return QueuedMail(MailKind(queued_mail["kind"]), queued_mail["email"], queued_mail["secret"])


async def claim(lease: timedelta) -> ClaimedMail | None:
    """The next mail that is due, for this process alone; None where nothing is due.

    It stays in the table until it was sent: where this process dies meanwhile, another sends it when the lease is over. So
    a mail may be sent twice, and is never lost.
    """
    while rows := await fetch(_DUE, moment := now()):
        row = rows[0]
        if await write(_CLAIM, moment + lease, row["id"], row["tries"]):
            return ClaimedMail(row["id"], row["encrypted_letter"], row["tries"] + 1, as_time(row["expires_at"]))
    return None


async def postpone(mail: ClaimedMail, until: datetime) -> None:
    """Try again then."""
    await write(_PUT_OFF, until, mail.id)


async def remove(mail: ClaimedMail) -> None:
    """It was sent, or never will be."""
    await write(_REMOVE, mail.id)


async def purge_mail_queue(batch: int) -> int:
    """Forget so many mails at most that are of no use any more; how many there were."""
    return await write(_PURGE, now(), batch)


async def renew_mail_encryption(cipher: Cipher) -> None:
    """Check that every waiting mail can be read, and put it under the first encryption key, so that older ones can be dropped."""
    for row in await fetch(_STORED, now()):
        renewed = cipher.renewed(row["encrypted_letter"])
        if renewed is not None:
            await write(_RENEW, renewed, row["id"])
