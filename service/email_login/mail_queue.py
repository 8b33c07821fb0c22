"""The queue of mails in the database. A transaction adds a mail, and the mail worker of any process sends it.

The content is encrypted, because it holds a valid code or link. A mail is deleted once it was sent. What a stranger
can cause waits for a random time: otherwise the time of the next requests would tell whether a mail is being sent, and so
whether the address has a user.

SQL by hand: atomic. One conditional update claims a mail for one process.
"""

import asyncio
import json
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.clock import now
from service.database import Statement, purge_expired, transaction, write
from service.email_login.models import OutgoingMail
from service.encryption import Cipher
from service.ids import new_id

MIN_DELAY, MAX_DELAY = 0.3, 1.5  # seconds: longer than the few requests that a stranger can time at once

_CLAIM = Statement("UPDATE outgoing_mails SET tries = tries + 1, due_at = $1 WHERE id = $2 AND tries = $3")


class MailKind(StrEnum):
    """The kind of a mail. Each kind has its own templates."""

    CODE = "code"
    INVITATION = "invitation"
    WRONG_CODE = "wrong_code"
    """Not sent: tells the mail worker of a wrong code. The worker then looks whether the address has a user."""
    WRONG_CODES_ALERT = "wrong_codes_alert"
    ADMIN_SIGN_IN = "admin_sign_in"


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail before it is composed: its kind, its recipient and its secret."""

    kind: MailKind
    email: str
    secret: str
    """The email code, the URL of the invitation, or the IP address that an alert tells."""


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this process is sending. No other process may send it before its lease ends."""

    id: str
    encrypted_letter: str
    tries: int
    """Including this one."""
    expires_at: datetime


class MailQueue:
    """Adds and decrypts mails. The event `wake_up` tells this process's worker of a new one."""

    def __init__(self, cipher: Cipher, *, longest_delay: float = 0.0) -> None:
        """With a `longest_delay` in seconds, what a stranger can cause waits for a random time. Without one, nothing does."""
        self.cipher = cipher
        self.longest_delay = longest_delay
        self._last_due = now()
        self.wake_up = asyncio.Event()

    async def put(self, queued_mail: QueuedMail, expires_at: datetime, *, at_random: bool = False) -> None:
        """Queue a mail in the caller's transaction. The caller sets `wake_up` after the commit.

        With `at_random` it is due after a random delay, as for everything that a stranger can cause. Mails of one process
        leave in the order in which they were queued, so that the newest code is in the newest mail.
        """
        await OutgoingMail.create(
            id=new_id(),
            encrypted_letter=self.cipher.encrypt(json.dumps(asdict(queued_mail))),
            due_at=self._random_time() if at_random and self.longest_delay else now(),
            expires_at=expires_at,
        )

    def _random_time(self) -> datetime:
        delay = MIN_DELAY + (self.longest_delay - MIN_DELAY) * secrets.randbelow(1_000) / 1_000
        # Bounded, because a clock that was ahead and is right again would hold up every mail.
        last_due = min(self._last_due, now() + timedelta(seconds=self.longest_delay))
        self._last_due = max(last_due, now() + timedelta(seconds=delay))
        return self._last_due

    def read(self, mail: ClaimedMail) -> QueuedMail:
        """Return the content of the mail. Raises `SettingsError` if its encryption key was removed."""
        queued_mail = json.loads(self.cipher.decrypt(mail.encrypted_letter))
        return QueuedMail(MailKind(queued_mail["kind"]), queued_mail["email"], queued_mail["secret"])


async def claim(lease: timedelta) -> ClaimedMail | None:
    """Claim the next mail that is due, for this process. None if no mail is due.

    The mail stays in the table until it was sent. If this process dies, another one sends the mail when the lease ends.
    So a mail may be sent twice, and is never lost.
    """
    # What expires soonest goes first: a code before an invitation, however many invitations wait.
    while mail := await OutgoingMail.filter(due_at__lte=(moment := now())).order_by("expires_at", "id").first():
        if await write(_CLAIM, moment + lease, mail.id, mail.tries):
            return ClaimedMail(mail.id, mail.encrypted_letter, mail.tries + 1, mail.expires_at)
    return None


async def next_due() -> datetime | None:
    """Return when the next mail is due that is not due yet. None if there is none."""
    mail = await OutgoingMail.filter(due_at__gt=now()).order_by("due_at").first()
    return mail.due_at if mail else None


async def count_mails() -> int:
    """Return how many mails wait."""
    return await OutgoingMail.all().count()


async def postpone(mail: ClaimedMail, until: datetime) -> None:
    """Let the mail be due again at `until`."""
    async with transaction():
        await OutgoingMail.filter(id=mail.id).update(due_at=until)


async def remove(mail: ClaimedMail) -> None:
    """Delete a mail that was sent, or that will never be."""
    async with transaction():
        await OutgoingMail.filter(id=mail.id).delete()


async def purge_mail_queue(batch: int) -> int:
    """Delete at most `batch` expired mails, and return how many were deleted."""
    return await purge_expired("outgoing_mails", "id", "expires_at", batch)


async def delete_mails_to(emails: Collection[str], cipher: Cipher) -> None:
    """Delete every mail to these addresses that waits, in the caller's transaction. Raises `SettingsError`."""
    for mail in await OutgoingMail.all().only("id", "encrypted_letter"):
        if json.loads(cipher.decrypt(mail.encrypted_letter))["email"] in emails:
            await OutgoingMail.filter(id=mail.id).delete()


async def delete_all_mails() -> None:
    """Delete every mail that waits, in the caller's transaction."""
    await OutgoingMail.all().delete()


async def renew_mail_encryption(cipher: Cipher) -> None:
    """Encrypt the queued mails with the first encryption key, so that older keys can be removed.

    Raises `SettingsError` if one cannot be read.
    """
    for mail in await OutgoingMail.filter(expires_at__gt=now()):
        renewed = cipher.renewed(mail.encrypted_letter)
        if renewed is not None:
            async with transaction():
                await OutgoingMail.filter(id=mail.id).update(encrypted_letter=renewed)
