"""What `doorcode after-restore` does to a database that was restored from a backup.

A backup brings back the state of its time: sessions that were ended since, one-time links that were used, signing
secrets that were revoked. Nothing in the backup tells which, so all sessions, links, codes and mails end, and sign-in
by codes is off until the operator has repeated what was revoked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.audit.actions import Action
from service.audit.listing import changes_between, time_of_last_event
from service.audit.log import Actor, record
from service.audit.models import AuditEvent
from service.database import transaction
from service.email_login.codes import delete_all_codes
from service.email_login.configuration import end_sessions_opened_by_email
from service.email_login.links import delete_all_links
from service.email_login.mail_queue import delete_all_mails
from service.external_auth.secrets import disable_for_restored_database
from service.sessions.shown_once import delete_all_shown_secrets

LAST_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Restored:
    """What the restored database held, for the operator."""

    ends_at: datetime | None
    """When the last event of the backup's audit log happened. None if the log is empty."""
    changes: list[AuditEvent]
    """What admins, API keys and commands did in the day before `ends_at`, oldest first."""
    codes_were_enabled: bool
    """Whether sign-in by codes was enabled until now."""


async def prepare_restored_database(by: Actor) -> Restored:
    """End and forget what a backup brings back, and return what may have to be repeated. One transaction.

    It may run again, and a server may run meanwhile: every process reads the change at its next request.
    """
    ends_at = await time_of_last_event(besides=Action.BACKUP_RESTORED)
    changes = [] if ends_at is None else await changes_between(ends_at - LAST_DAY, ends_at)
    async with transaction():
        codes_were_enabled = await disable_for_restored_database()
        await end_sessions_opened_by_email()
        await delete_all_links()
        await delete_all_codes()
        await delete_all_mails()
        await delete_all_shown_secrets()
        await record(Action.BACKUP_RESTORED, by, detail={"jwtWasEnabled": codes_were_enabled})
    return Restored(ends_at, changes, codes_were_enabled)
