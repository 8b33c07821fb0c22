"""The state of the mails: how many wait, and what became of those of the last days."""

from dataclasses import dataclass
from datetime import datetime

from service.audit.daily_counts import Counted, Total, totals
from service.email_login.mail_queue import count_mails

DAYS = 7


@dataclass(frozen=True, slots=True)
class MailStatus:
    """How many mails wait, and the counts of the last `DAYS` days, today included."""

    waiting: int
    sent: int
    retried: int
    dropped: int
    last_sent_at: datetime | None
    last_failed_at: datetime | None
    """When a mail was last refused by the mail server, or dropped."""


async def mail_status() -> MailStatus:
    """Return the state of the mails of all processes."""
    found = {total.name: total for total in await totals(Counted.MAIL, DAYS)}
    sent, failed = found.get("sent"), [found[name] for name in ("retried", "dropped") if name in found]
    return MailStatus(
        waiting=await count_mails(),
        sent=_count(sent),
        retried=_count(found.get("retried")),
        dropped=_count(found.get("dropped")),
        last_sent_at=sent.last_at if sent else None,
        last_failed_at=max((total.last_at for total in failed), default=None),
    )


def _count(total: Total | None) -> int:
    return total.count if total else 0
