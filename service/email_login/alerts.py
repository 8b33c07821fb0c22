"""Tells of wrong email codes (a metric, an audit event, a mail to an admin) and of an admin's new network (contract §3).

A request with a wrong code only queues a report, for every address alike. The mail worker looks later whether the
address has a user, so neither the answer nor its time tells.
"""

from datetime import timedelta

from service.accounts.lookup import find_by_email
from service.accounts.models import UserRole
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import Actor
from service.clock import now
from service.database import transaction
from service.email_login.allowances import take_alert
from service.email_login.mail_queue import MailKind, MailQueue, QueuedMail
from service.metrics import WRONG_EMAIL_CODES
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt

REPORT_LIFETIME = timedelta(days=1)  # a report or an alert that waits for longer is of no use


async def report_wrong_code(email: str, attempt: SignInAttempt, mail_queue: MailQueue) -> None:
    """Count a wrong code, and queue a report to the mail worker."""
    in_panel = attempt.token_transport is TokenTransport.ADMIN_COOKIE
    WRONG_EMAIL_CODES.labels("yes" if in_panel else "no").inc()
    report = QueuedMail(MailKind.WRONG_CODE, email, attempt.client.ip_address or "")
    async with transaction():
        await mail_queue.put(report, now() + REPORT_LIFETIME, at_random=True)
    mail_queue.wake_up.set()


async def announce_admin_sign_in(email: str, client: Client, mail_queue: MailQueue) -> None:
    """Queue a mail to an admin who signed in, with admin rights, from a network that was not known before."""
    async with transaction():
        mail = QueuedMail(MailKind.ADMIN_SIGN_IN, email, client.ip_address or "")
        await mail_queue.put(mail, now() + REPORT_LIFETIME)
    mail_queue.wake_up.set()


async def record_wrong_code(report: QueuedMail, mail_queue: MailQueue) -> None:
    """Record a wrong code of a known user, one event an hour, and queue a mail to an admin, one mail an hour at most."""
    user = await find_by_email(report.email)
    if user is None:
        return
    await record_hourly(
        Action.EMAIL_CODES_FAILED,
        Actor.of_email(report.secret or None),
        person=user.id,
        reason="wrong code",
        user_id=user.id,
    )
    if user.role is UserRole.ADMIN and await take_alert(report.email, mail_queue.cipher):
        alert = QueuedMail(MailKind.WRONG_CODES_ALERT, report.email, report.secret)
        async with transaction():
            await mail_queue.put(alert, now() + REPORT_LIFETIME)
        mail_queue.wake_up.set()
