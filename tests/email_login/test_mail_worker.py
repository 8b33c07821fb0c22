"""The mail worker: mails are sent, retried, dropped in time, and survive a crash; no part of one is logged."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest
import structlog
import time_machine
from structlog.typing import EventDict

from service.accounts import administration
from service.accounts.models import UserRole
from service.clock import now
from service.database import Statement, as_time, fetch, transaction, write
from service.email_login import mail_worker
from service.email_login.configuration import update_configuration
from service.email_login.invitations import invite
from service.email_login.login import request_email_code
from service.email_login.mail_queue import (
    MAX_DELAY,
    MIN_DELAY,
    ClaimedMail,
    MailKind,
    MailQueue,
    QueuedMail,
    claim,
    purge_mail_queue,
)
from service.email_login.mail_status import mail_status
from service.email_login.mail_worker import AT_ONCE, MailWorker, send_mails
from service.email_login.transports import Undeliverable
from service.instance import Instance, open_instance
from service.sessions.lifecycle import Client
from service.settings import Settings, load_settings
from tests.actions import HASHES, TESTER, admin, count, member, rows
from tests.email_login.dependencies import ask, forget_allowances, sign_in
from tests.mail_server import DEADLINE, MailServer, code_in, link_in

LEASE = timedelta(minutes=2)
TRIED_TWICE = Statement("SELECT id FROM outgoing_mails WHERE tries >= 2")


class Post:
    """A transport whose results the test sets: for each mail an entry of `fails`, or success."""

    def __init__(self, *fails: Exception | None, patience: float = 0.0) -> None:
        self.fails = list(fails)
        self.taken: list[EmailMessage] = []
        self.patience = patience
        self.under_way = self.most_under_way = 0

    async def send(self, message: EmailMessage) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.patience)
            if self.fails and (failure := self.fails.pop(0)):
                raise failure
            self.taken.append(message)
        finally:
            self.under_way -= 1


async def deliver(instance: Instance, post: Post) -> None:
    """What is due now."""
    worker = MailWorker(instance.email_login.mail_queue, post, instance.settings)
    worker.finish()
    await worker.work()


async def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


def with_server(settings: Settings, server: MailServer) -> Settings:
    return settings.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{server.port}"})


# ---------------------------------------------------------------- the whole way, with a real server


async def test_code_arrives_at_once_and_signs_in(instance: Instance) -> None:
    await member("ada@example.com")
    with MailServer() as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            request, _ = await ask(instance)
            started = time.monotonic()
            mail = await asyncio.to_thread(server.mail_to, "ada@example.com")
            assert time.monotonic() - started < mail_worker.LOOK_EVERY, "the bell was heard"
            await sign_in(instance, request.id, code_in(mail))
    assert await count("outgoing_mails") == 0


async def test_invitation_arrives(instance: Instance) -> None:
    with MailServer() as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
            mail = await asyncio.to_thread(server.mail_to, "ada@example.com")
    assert link_in(mail).startswith("http://127.0.0.1:8000/invitation?token=dcl_")


async def test_strangers_get_no_mail(instance: Instance) -> None:
    await member("ada@example.com")
    with MailServer() as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            await ask(instance, "stranger@example.com")
            await ask(instance)
            await asyncio.to_thread(server.wait_for, 1)
    assert server.recipients == [["ada@example.com"]]
    assert await count("outgoing_mails") == 0


async def test_answer_waits_for_no_server(instance: Instance) -> None:
    await member("ada@example.com")
    with MailServer(patience=3) as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            started = time.monotonic()
            await ask(instance)
            assert time.monotonic() - started < 1
            await asyncio.to_thread(server.mail_to, "ada@example.com")


async def test_mail_is_tried_again_until_the_server_takes_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_worker, "FIRST_PAUSE", timedelta(milliseconds=50))
    monkeypatch.setattr(mail_worker, "LOOK_EVERY", 0.05)
    await member("ada@example.com")
    with MailServer(answers=["451 busy", "421 later"]) as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            await ask(instance)
            await asyncio.to_thread(server.mail_to, "ada@example.com")
    assert server.tried == 3
    status = await mail_status()
    assert (status.sent, status.retried, status.dropped, status.waiting) == (1, 2, 0, 0)
    assert status.last_sent_at
    assert status.last_failed_at
    assert status.last_sent_at > status.last_failed_at


async def test_server_that_comes_back_gets_the_mail(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_worker, "FIRST_PAUSE", timedelta(milliseconds=50))
    monkeypatch.setattr(mail_worker, "LOOK_EVERY", 0.05)
    await member("ada@example.com")
    server = MailServer()
    async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
        await ask(instance)
        async with asyncio.timeout(DEADLINE):
            while not await fetch(TRIED_TWICE):  # noqa: ASYNC110  # the database sends no notice
                await asyncio.sleep(0.01)
        with server:
            await asyncio.to_thread(server.mail_to, "ada@example.com")


# ---------------------------------------------------------------- when and how often


async def test_what_a_stranger_causes_leaves_at_a_random_time_and_in_order(instance: Instance) -> None:
    mail_queue = MailQueue(instance.cipher, longest_delay=MAX_DELAY)
    with time_machine.travel(now(), tick=False):
        async with transaction():
            for n in range(40):
                await mail_queue.put(QueuedMail(MailKind.CODE, f"a{n}@example.com", ""), now(), at_random=True)
            await mail_queue.put(QueuedMail(MailKind.INVITATION, "b@example.com", ""), now())
        *delays, at_once = [
            (as_time(row["due_at"]) - now()).total_seconds()
            for row in await fetch(Statement("SELECT due_at FROM outgoing_mails ORDER BY id"))
        ]
    assert delays == sorted(delays)
    assert len(set(delays)) > 1
    assert min(delays) >= MIN_DELAY
    assert max(delays) <= MAX_DELAY
    assert at_once == 0


async def test_mail_that_is_not_due_yet_is_sent_when_it_is_and_before_a_shutdown(instance: Instance) -> None:
    await member("ada@example.com")
    delayed = replace(instance.email_login, mail_queue=MailQueue(instance.cipher, longest_delay=MAX_DELAY))
    with MailServer() as server:
        async with send_mails(delayed.mail_queue, with_server(instance.settings, server)):
            started = time.monotonic()
            await request_email_code("ada@example.com", Client("198.51.100.1"), delayed)
        assert time.monotonic() - started >= MIN_DELAY
        assert len(server.wait_for(1)) == 1
    assert await count("outgoing_mails") == 0


async def test_only_a_mail_server_makes_mails_wait(environ: dict[str, str]) -> None:
    for smtp_url, longest in ((None, 0.0), ("smtp://127.0.0.1:1", MAX_DELAY)):
        given = environ if smtp_url is None else {**environ, "DOORCODE_SMTP_URL": smtp_url}
        async with open_instance(load_settings(given)) as instance:
            assert instance.email_login.mail_queue.longest_delay == longest


async def test_pauses_grow_up_to_five_minutes(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await invite("grace@example.com", UserRole.MEMBER, TESTER, instance.email_login)
        pauses, post = [], Post()
        for _ in range(9):
            await deliver(instance, Post(ConnectionError()))
            [row] = await fetch(Statement("SELECT due_at FROM outgoing_mails"))
            due_at = as_time(row["due_at"])
            pauses.append((due_at - now()).total_seconds())
            await deliver(instance, post := Post())
            assert post.taken == [], "not before it is due"
            clock.move_to(due_at)
        await deliver(instance, post)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert len(post.taken) == 1
    assert await count("outgoing_mails") == 0


async def test_code_is_given_up_when_it_is_worth_nothing_any_more(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await ask(instance)
        await deliver(instance, Post(ConnectionError()))
        clock.shift(timedelta(minutes=10))
        await deliver(instance, post := Post())
    assert post.taken == []
    assert await count("outgoing_mails") == 0


async def test_mail_that_is_refused_for_good_is_not_tried_again(instance: Instance) -> None:
    await member("ada@example.com")
    await ask(instance)
    await deliver(instance, Post(Undeliverable("recipient refused, 550")))
    assert await count("outgoing_mails") == 0
    assert (await mail_status()).dropped == 1


async def test_codes_go_before_invitations(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_worker, "AT_ONCE", 1)
    await member("ada@example.com")
    for n in range(5):
        await invite(f"a{n}@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    await ask(instance)
    await deliver(instance, post := Post())
    assert post.taken[0]["To"] == "ada@example.com"
    assert len(post.taken) == 6


async def test_so_many_are_under_way_at_once_and_no_more(instance: Instance) -> None:
    for n in range(2 * AT_ONCE):
        await invite(f"a{n}@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    await deliver(instance, post := Post(patience=1))
    assert len(post.taken) == 2 * AT_ONCE
    assert post.most_under_way == AT_ONCE


async def test_one_mail_that_hangs_holds_up_no_other(instance: Instance) -> None:
    for n in range(2):
        await invite(f"a{n}@example.com", UserRole.MEMBER, TESTER, instance.email_login)

    class Hangs(Post):
        async def send(self, message: EmailMessage) -> None:
            if message["To"] == "a0@example.com":
                await asyncio.sleep(30)
            await super().send(message)

    worker = MailWorker(instance.email_login.mail_queue, post := Hangs(), instance.settings)
    task = asyncio.create_task(worker.work())
    await eventually(lambda: len(post.taken) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ---------------------------------------------------------------- who gets it, looked at when it is sent


async def test_invitation_of_a_user_who_is_gone_is_not_sent(instance: Instance) -> None:
    await admin()
    user = await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    await administration.delete_user(user.id, TESTER, HASHES)
    await deliver(instance, post := Post())
    assert post.taken == []
    assert await count("outgoing_mails") == 0


async def test_code_is_not_sent_once_email_login_is_off(instance: Instance) -> None:
    await member("ada@example.com")
    await ask(instance)
    await update_configuration(TESTER, enabled=False)
    await deliver(instance, post := Post())
    assert post.taken == []


# ---------------------------------------------------------------- several processes, crashes, endings


async def test_several_workers_send_each_mail_once(instance: Instance) -> None:
    for n in range(12):
        await invite(f"a{n}@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    posts = [Post(patience=0.01) for _ in range(4)]
    await asyncio.gather(*(deliver(instance, post) for post in posts))
    assert sorted(mail["To"] for post in posts for mail in post.taken) == sorted(f"a{n}@example.com" for n in range(12))


async def test_mail_of_a_process_that_died_is_sent_by_another(instance: Instance) -> None:
    await member("ada@example.com")
    with time_machine.travel(now(), tick=False) as clock:
        await ask(instance)
        assert await claim(LEASE), "a process takes it, and dies"
        await deliver(instance, post := Post())
        assert post.taken == []
        clock.shift(LEASE)
        await deliver(instance, post)
    assert len(post.taken) == 1


async def test_ending_sends_what_is_due_first(instance: Instance) -> None:
    await member("ada@example.com")
    with MailServer(patience=0.5) as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            await ask(instance)
        assert len(server.mails) == 1
    assert await count("outgoing_mails") == 0


async def test_ending_waits_a_few_seconds_at_most_and_loses_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_worker, "DRAIN", 0.3)
    await member("ada@example.com")
    with MailServer(patience=3) as server:
        async with send_mails(instance.email_login.mail_queue, with_server(instance.settings, server)):
            await ask(instance)
            await eventually(lambda: server.tried == 1)
            started = time.monotonic()
        assert time.monotonic() - started < 2
    assert await count("outgoing_mails") == 1


async def test_database_out_of_reach_ends_nothing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_worker, "LOOK_EVERY", 0.02)
    failures = iter([OSError(), TimeoutError(), OSError()])

    async def claim_sometimes(lease: timedelta) -> ClaimedMail | None:
        if failure := next(failures, None):
            raise failure
        return await claim(lease)

    monkeypatch.setattr(mail_worker, "claim", claim_sometimes)
    await member("ada@example.com")
    await ask(instance)
    worker = MailWorker(instance.email_login.mail_queue, post := Post(), instance.settings)
    task = asyncio.create_task(worker.work())
    await eventually(lambda: len(post.taken) == 1)
    worker.finish()
    await asyncio.wait_for(task, 5)


async def test_mail_under_a_key_that_is_gone_is_dropped(instance: Instance) -> None:
    await member("ada@example.com")
    for _ in range(2):
        await ask(instance)
    first = "SELECT MIN(id) FROM outgoing_mails"
    await write(Statement(f"UPDATE outgoing_mails SET encrypted_letter = $1 WHERE id = ({first})"), "gAAAAA-another")
    await deliver(instance, post := Post())
    assert len(post.taken) == 1
    assert await count("outgoing_mails") == 0


async def test_letter_that_cannot_be_addressed_is_dropped(instance: Instance) -> None:
    mail_queue = instance.email_login.mail_queue
    unusable = QueuedMail(MailKind.CODE, "=?utf-8?q?x?=@example.com", "012345")
    async with transaction():
        await mail_queue.put(unusable, now() + timedelta(minutes=10))
    await deliver(instance, post := Post())
    assert post.taken == []
    assert await count("outgoing_mails") == 0


async def test_mails_of_no_use_are_purged_in_batches(instance: Instance) -> None:
    with time_machine.travel(now() - timedelta(minutes=11)):
        for _ in range(3):
            await ask(instance)
    await forget_allowances()
    await ask(instance)
    assert [await purge_mail_queue(2) for _ in range(3)] == [2, 1, 0]
    assert await count("outgoing_mails") == 1


async def test_nothing_of_a_mail_is_logged(instance: Instance) -> None:
    """Nor what a server says, which may quote the mail."""
    await member("ada@example.com")
    failures: list[Exception | None] = [
        ConnectionError("no route for ada@example.com"),
        Undeliverable("recipient refused, 550"),
        RuntimeError("012345"),
        None,
    ]
    secrets = ["ada@example.com", "stranger@example.com"]
    with structlog.testing.capture_logs() as logged:
        for failure in failures:
            _, code = await ask(instance)
            secrets.append(code)
            await deliver(instance, Post(failure))
            await write(Statement("DELETE FROM outgoing_mails"))
        await ask(instance, "stranger@example.com")
        await deliver(instance, Post())
    assert len(logged) == 3
    assert not _found(logged, secrets)
    assert {entry["kind"] for entry in logged} == {"code"}


async def test_stored_mail_is_encrypted(instance: Instance) -> None:
    await invite("ada@example.com", UserRole.MEMBER, TESTER, instance.email_login)
    stored = repr([dict(row) for row in await rows("outgoing_mails")])
    assert "ada" not in stored
    assert "token" not in stored


def _found(logged: list[EventDict], secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if secret in repr(logged)]
