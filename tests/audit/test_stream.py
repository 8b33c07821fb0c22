"""The stream of audit events on stdout: each event that was committed once, folded ones with what was added."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.accounts.administration import update_user
from service.accounts.seats import set_seat_limit
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import record
from service.audit.models import AuditEvent
from service.audit.stream import audit_stream
from service.database import short_transaction, transaction
from service.instance import Instance
from tests.actions import TESTER, code_of, enable, member, sign_in


@pytest.fixture(autouse=True)
def _streamed(instance: Instance) -> Iterator[None]:
    settings = instance.settings.model_validate(dict(instance.settings) | {"audit_stream": "stdout"})
    with audit_stream(settings):
        yield


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of the stream; log lines are no JSON here."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]


async def test_event_is_one_line_with_what_the_audit_log_has(
    instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    person = await member("grace@example.com")
    capfd.readouterr()
    await update_user(person.id, TESTER, email="new@example.com")
    [line] = lines(capfd)
    event = await AuditEvent.get(action="user.updated")
    assert line == {
        "id": event.id,
        "createdAt": event.created_at.isoformat(),
        "action": "user.updated",
        "actor": TESTER.name,
        "userId": person.id,
        "secretId": None,
        "ipAddress": TESTER.ip_address,
        "requestId": None,
        "detail": json.loads(event.detail),
    }


async def test_counts_of_the_lines_of_a_folded_event_add_up(
    instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    code = code_of(await enable(instance), {"user": {"id": "ada"}})
    capfd.readouterr()
    for times in (3, 2):
        for _ in range(times):
            await sign_in(instance, code)
        await instance.pending_events.write()
    opened = [line for line in lines(capfd) if line["action"] == "session.opened"]
    assert [(line["id"], line["count"], line["userId"]) for line in opened] == [(None, 3, "ada"), (None, 2, "ada")]
    [event] = await AuditEvent.filter(action="session.opened")
    assert {line["fold"] for line in opened} == {event.fold_key}
    assert event.count == 5


@pytest.mark.parametrize("in_short_transaction", [False, True])
async def test_event_that_is_rolled_back_has_no_line(
    instance: Instance, capfd: pytest.CaptureFixture[str], in_short_transaction: bool
) -> None:
    async def fail() -> None:
        await record(Action.SEAT_LIMIT_SET, TESTER)
        await record_hourly(Action.CODE_INSPECTED, TESTER, person="x", reason="x")
        assert lines(capfd) == [], "before the commit"
        raise LookupError

    async def fail_in_transaction() -> None:
        async with transaction():
            await fail()

    with pytest.raises(LookupError):
        await (short_transaction(fail) if in_short_transaction else fail_in_transaction())
    assert lines(capfd) == []


async def test_event_is_written_although_its_request_was_cancelled_after_the_commit(
    instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    task = asyncio.ensure_future(set_seat_limit(7, TESTER))
    while not await AuditEvent.filter(action="seats.limit_set").exists():  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [line["action"] for line in lines(capfd)] == ["seats.limit_set"]


async def test_stream_that_cannot_be_written_loses_no_change(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("service.audit.stream.os.write", broken)
    with capture_logs() as logs:
        for limit in (1, 2):
            await set_seat_limit(limit, TESTER)
    assert [(line["event"], line["error"]) for line in logs] == [("audit_stream_failed", "BrokenPipeError")]
    assert await AuditEvent.filter(action="seats.limit_set").count() == 2
