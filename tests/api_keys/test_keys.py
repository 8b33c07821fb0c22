"""API keys (contract §3 and §4): what is stored of one, for how long it is valid, and that its use is recorded."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.api_keys.keys import create_api_key, find_api_key, revoke_api_key
from service.api_keys.models import ApiKey, ApiKeyScope
from service.audit.models import AuditEvent
from service.database import write_rest_of_marks
from service.errors import BadUserInput, NotFound
from service.instance import Instance
from service.sessions.lifecycle import find_session
from tests.actions import TESTER, count, everything, member, open_for, rows
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def make(name: str = "tests", expires_at: datetime | None = None) -> str:
    return (await create_api_key(name, ApiKeyScope.READ, expires_at, TESTER)).token


async def test_token_is_256_random_bits_behind_a_prefix_and_only_its_hash_is_stored(instance: Instance) -> None:
    tokens = {await make() for _ in range(5)}
    assert len(tokens) == 5
    for token in tokens:
        assert re.fullmatch(r"dck_[A-Za-z0-9_-]{43}", token)
    stored = {row["token_hash"]: row["hint"] for row in await rows("api_keys")}
    assert stored == {hashlib.sha256(token.encode()).hexdigest(): token[4:8] for token in tokens}
    written = repr(await everything())
    for token in tokens:
        assert token not in written
        assert token[4:20] not in written


async def test_key_is_good_until_it_ends_or_is_revoked(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for_ever, for_a_day = await make(), await make("day", NOON + timedelta(days=1))
        clock.shift(timedelta(days=1, microseconds=-1))
        assert await find_api_key(for_a_day)
        clock.shift(timedelta(microseconds=1))
        assert await find_api_key(for_a_day) is None
        clock.shift(timedelta(days=3650))
        found = await find_api_key(for_ever)
        assert found
        revoked = await revoke_api_key(found.id, TESTER)
        assert revoked.revoked_at == NOON + timedelta(days=3651)
        assert await find_api_key(for_ever) is None


async def test_revoking_again_is_no_error_and_keeps_the_first_date(instance: Instance) -> None:
    found = await find_api_key(await make())
    assert found
    first = await revoke_api_key(found.id, TESTER)
    assert (await revoke_api_key(found.id, TESTER)).revoked_at == first.revoked_at
    assert await AuditEvent.filter(action="api_key.revoked").count() == 1


@pytest.mark.parametrize("key_id", ["", "nobody", "x" * 5000, "\0", "key_\ud800"])
async def test_revoking_what_is_no_key_is_not_found(instance: Instance, key_id: str) -> None:
    token = await make()
    with pytest.raises(NotFound):
        await revoke_api_key(key_id, TESTER)
    assert await find_api_key(token)


async def test_use_is_noted_to_the_minute(instance: Instance) -> None:
    with time_machine.travel(NOON + timedelta(seconds=10), tick=False) as clock:
        token = await make()
        assert (await rows("api_keys"))[0]["last_used_at"] is None
        for seconds, noted in ((0, 0), (49, 0), (1, 60)):
            clock.shift(seconds)
            await find_api_key(token)
            await write_rest_of_marks()
            [key] = await ApiKey.all()
            assert key.last_used_at == NOON + timedelta(seconds=noted)
        async with noted_statements() as statements:
            await find_api_key(token)
        assert (len(statements.reads), len(statements)) == (1, 1)


async def test_use_of_a_key_that_is_no_good_is_not_noted(instance: Instance) -> None:
    token = await make()
    [key] = await ApiKey.all()
    await revoke_api_key(key.id, TESTER)
    await find_api_key(token)
    assert (await rows("api_keys"))[0]["last_used_at"] is None


async def test_token_of_another_kind_is_no_key_and_a_key_is_no_session(instance: Instance) -> None:
    session = (await open_for(await member("grace@example.com"))).token
    token = await make()
    assert await find_api_key(session) is None
    assert await find_session(token) is None
    for other in ("", "dck_", token + " ", token[:-1], token.swapcase(), "dck_\u00e9"):
        assert await find_api_key(other) is None


@pytest.mark.parametrize("name", ["", " ", "\t\n", "x" * 101, "a\0b", "a\nb", "\ud800"])
async def test_name_that_cannot_be_is_bad_input(instance: Instance, name: str) -> None:
    with pytest.raises(BadUserInput):
        await make(name)
    assert await count("api_keys") == await count("audit_events") == 0


async def test_key_that_would_be_over_already_is_bad_input(instance: Instance) -> None:
    for moment in (datetime.now(UTC), datetime(1, 1, 1, tzinfo=UTC)):
        with pytest.raises(BadUserInput):
            await make("x", moment)
    assert await count("api_keys") == 0


async def test_making_and_revoking_are_events_that_name_the_key_and_not_its_token(instance: Instance) -> None:
    token = await make("deploys")
    [key] = await ApiKey.all()
    await revoke_api_key(key.id, TESTER)
    events = await AuditEvent.all().order_by("id")
    assert [event.action for event in events] == ["api_key.created", "api_key.revoked"]
    for event in events:
        assert key.id in event.detail
        assert "deploys" in event.detail
        assert token[4:] not in event.detail


@pytest.mark.parametrize("expires_at", [None, datetime.now(UTC) + timedelta(days=1)])
async def test_key_from_a_row_is_as_tortoise_makes_it(instance: Instance, expires_at: datetime | None) -> None:
    with time_machine.travel(datetime.now(UTC), tick=False):
        token = await make("deploys", expires_at)
        first = await find_api_key(token)
        await write_rest_of_marks()
        second = await find_api_key(token)
    assert first is not None
    assert first.last_used_at is None
    assert second is not None
    [stored] = await ApiKey.all()
    assert vars(second) == vars(stored)
