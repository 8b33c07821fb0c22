"""Wrong codes of a known user are told: one audit event an hour, a mail to an admin, and a metric. None to a stranger."""

from datetime import timedelta
from email.message import EmailMessage

import time_machine
from prometheus_client import REGISTRY

from service.audit.models import AuditEvent
from service.clock import now
from service.email_login.mail_queue import MailKind
from service.email_login.mail_worker import MailWorker
from service.instance import Instance
from service.sessions.models import TokenTransport
from tests.actions import admin, count, member
from tests.email_login.dependencies import answer_to, ask, guess_wrong, queued_mails, wrong
from tests.email_login.test_known_and_unknown import Basket


async def delivered(instance: Instance) -> list[EmailMessage]:
    """The alerts of wrong codes among what the mail worker sends of what is queued. The second run sends what the first one queued."""
    basket = Basket()
    for _ in range(2):
        worker = MailWorker(instance.email_login.mail_queue, basket, instance.settings)
        worker.finish()
        await worker.work()
    return [mail for mail in basket.mails if "Wrong sign-in codes" in mail["Subject"]]


async def failed() -> list[tuple[str, str | None, str | None, int]]:
    events = await AuditEvent.filter(action="email_codes.failed").order_by("created_at", "id")
    return [(event.actor, event.user_id, event.ip_address, event.count) for event in events]


async def test_audit_log_has_one_event_for_each_user_and_hour(instance: Instance) -> None:
    user = await member("ada@example.com")
    with time_machine.travel(now().replace(minute=5), tick=False) as clock:
        await guess_wrong(instance, 4)
        await guess_wrong(instance, 1, email="unknown@example.com")
        assert await delivered(instance) == []
        assert await failed() == [("email", user.id, "192.0.2.1", 4)]
        clock.shift(timedelta(hours=1))
        await guess_wrong(instance, 1)
        await delivered(instance)
    assert [count for *_, count in await failed()] == [4, 1]


async def test_admin_gets_one_plain_mail_an_hour_that_says_what_to_do(instance: Instance) -> None:
    await admin("boss@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await guess_wrong(instance, 3, email="boss@example.com")
        [mail] = await delivered(instance)
        assert mail["To"] == "boss@example.com"
        assert mail["Subject"] == "Wrong sign-in codes for your account at 127.0.0.1"
        assert mail.get_content_type() == "text/plain"
        text = mail.get_content()
        for part in ("192.0.2.1", "/admin/audit?action=email_codes.failed", "doorcode admin invite", "users unlock"):
            assert part in text
        request, code = await ask(instance, "boss@example.com")
        await answer_to(instance, request.id, wrong(code))
        assert await delivered(instance) == []
        clock.shift(timedelta(hours=1))
        await guess_wrong(instance, 1, email="boss@example.com")
        assert len(await delivered(instance)) == 1


async def test_right_code_tells_nothing(instance: Instance) -> None:
    await admin("boss@example.com")
    request, code = await ask(instance, "boss@example.com")
    await answer_to(instance, request.id, code)
    assert await delivered(instance) == []
    assert await failed() == []


async def test_report_is_queued_for_every_address_alike(instance: Instance) -> None:
    await admin("boss@example.com")
    for email in ("boss@example.com", "unknown@example.com"):
        await guess_wrong(instance, 1, email=email)
    reports = [mail for mail in await queued_mails(instance) if mail.kind is MailKind.WRONG_CODE]
    assert [mail.email for mail in reports] == ["boss@example.com", "unknown@example.com"]
    await delivered(instance)
    assert await count("outgoing_mails") == 0


async def test_metric_counts_codes_of_the_panel_apart(instance: Instance) -> None:
    def counted(panel: str) -> float:
        return REGISTRY.get_sample_value("doorcode_wrong_email_codes_total", {"panel": panel}) or 0.0

    before = counted("yes"), counted("no")
    request, code = await ask(instance)
    for transport in TokenTransport:
        await answer_to(instance, request.id, wrong(code), token_transport=transport)
    assert (counted("yes") - before[0], counted("no") - before[1]) == (1, 2)
