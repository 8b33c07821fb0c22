"""The secrets that sign codes (contract §2): what each change does, for how long, and that none is readable at rest."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.audit.models import AuditEvent
from service.database import write_rest_of_marks
from service.errors import BadUserInput, Conflict, NotFound
from service.external_auth import secrets
from service.external_auth.configuration import JwtConfiguration, JwtConfigurationCache
from service.external_auth.models import ExternalAuth, JwtSecret
from service.external_auth.secrets import MAX_GRACE_PERIOD, NewSecret, status_of
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod, TokenTransport
from tests.actions import TESTER, answer_to, code_of, count, enable, everything, member, open_for, rows, sign_in
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ADA = {"user": {"id": "ada"}}
BAD_SIGNATURE = SignInErrorCode.INVALID_SIGNATURE
OFF = SignInErrorCode.EXTERNAL_AUTH_DISABLED


async def rotate(instance: Instance, grace: int = 86_400) -> NewSecret:
    return await secrets.rotate(instance.cipher, TESTER, grace_period=grace)


async def statuses() -> list[str]:
    """Newest first."""
    at = datetime.now(UTC)
    return [status_of(row, at).value for row in await secrets.list_secrets()]


async def current_id() -> str:
    return (await secrets.list_secrets())[0].id


# ---------------------------------------------------------------- making


async def test_secret_is_43_characters_of_base64url_and_never_the_same(instance: Instance) -> None:
    made = {await enable(instance), *[(await rotate(instance, 0)).text for _ in range(5)]}
    assert len(made) == 6
    for text in made:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", text)
    assert [row.hint for row in await secrets.list_secrets() if row.hint not in {text[:4] for text in made}] == []


async def test_method_is_off_until_it_is_enabled(instance: Instance) -> None:
    assert not (await ExternalAuth.get(id=1)).enabled
    assert await answer_to(instance, code_of("x" * 43, ADA)) == OFF
    assert await count("jwt_secrets") == 0


async def test_enabling_makes_a_secret_only_where_there_is_no_current_one(instance: Instance) -> None:
    text = await enable(instance)
    assert await secrets.enable(instance.cipher, TESTER) is None
    await secrets.disable(TESTER)
    assert await secrets.enable(instance.cipher, TESTER) is None
    assert await answer_to(instance, code_of(text, ADA)) is None
    assert await statuses() == ["CURRENT"]


async def test_enabling_keeps_retiring_secrets_and_makes_one_where_the_current_one_was_revoked(
    instance: Instance,
) -> None:
    old = await enable(instance)
    await rotate(instance)
    await secrets.revoke(await current_id(), TESTER)
    assert await statuses() == ["REVOKED", "RETIRING"]
    made = await secrets.enable(instance.cipher, TESTER)
    assert made
    assert await statuses() == ["CURRENT", "REVOKED", "RETIRING"]
    for text in (old, made.text):
        assert await answer_to(instance, code_of(text, ADA)) is None


async def test_disabling_refuses_the_next_code_and_enabling_takes_it_again(instance: Instance) -> None:
    text = await enable(instance)
    result = await sign_in(instance, code_of(text, ADA))
    await secrets.disable(TESTER)
    assert await answer_to(instance, code_of(text, ADA)) == OFF
    assert await find_session(result.token), "without endSessions they go on"
    await secrets.enable(instance.cipher, TESTER)
    assert await answer_to(instance, code_of(text, ADA)) is None


async def test_disabling_with_end_sessions_ends_every_session_of_the_method_and_no_other(instance: Instance) -> None:
    text = await enable(instance)
    by_code = [
        (await sign_in(instance, code_of(text, ADA))).token,
        (await sign_in(instance, code_of(text, {"user": {"id": "bob"}}), token_transport=TokenTransport.COOKIE)).token,
        (await sign_in(instance, code_of((await rotate(instance)).text, ADA))).token,
    ]
    by_email = (await open_for(await member("grace@example.com"))).token
    await secrets.disable(TESTER, end_sessions=True)
    assert [await find_session(token) for token in by_code] == [None] * 3
    assert await find_session(by_email)
    await secrets.enable(instance.cipher, TESTER)
    assert [await find_session(token) for token in by_code] == [None] * 3
    assert await find_session((await sign_in(instance, code_of(text, ADA))).token)


# ---------------------------------------------------------------- rotating


async def test_new_secret_is_current_at_once_and_the_one_before_retires_with_its_grace(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        old = await enable(instance)
        clock.shift(1)
        new = (await rotate(instance, 3600)).text
        assert await statuses() == ["CURRENT", "RETIRING"]
        clock.move_to(NOON + timedelta(seconds=3600))
        for text in (old, new):
            assert await answer_to(instance, code_of(text, ADA)) is None
        clock.move_to(NOON + timedelta(seconds=3601))
        assert await answer_to(instance, code_of(old, ADA)) == BAD_SIGNATURE
        assert await answer_to(instance, code_of(new, ADA)) is None
        assert await statuses() == ["CURRENT", "RETIRED"]


async def test_rotating_without_grace_retires_at_once_and_ends_no_session(instance: Instance) -> None:
    old = await enable(instance)
    result = await sign_in(instance, code_of(old, ADA))
    new = (await rotate(instance, 0)).text
    assert await statuses() == ["CURRENT", "RETIRED"]
    assert await answer_to(instance, code_of(old, ADA)) == BAD_SIGNATURE
    assert await answer_to(instance, code_of(new, ADA)) is None
    assert await find_session(result.token)


async def test_older_retiring_secret_keeps_its_own_date(instance: Instance) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        first = await enable(instance)
        clock.shift(1)
        await rotate(instance, 100)
        clock.shift(1)
        await rotate(instance, 50_000)
        clock.shift(1)
        await rotate(instance, 0)
        retires = [row.retires_at for row in reversed(await secrets.list_secrets())]
        assert retires == [
            NOON + timedelta(seconds=101),
            NOON + timedelta(seconds=50_002),
            NOON + timedelta(seconds=3),
            None,
        ]
        clock.move_to(NOON + timedelta(seconds=101))
        assert await answer_to(instance, code_of(first, ADA)) == BAD_SIGNATURE


@pytest.mark.parametrize("grace", [-1, MAX_GRACE_PERIOD + 1, 2**31 - 1])
async def test_grace_below_nothing_or_over_thirty_days_is_bad_input(instance: Instance, grace: int) -> None:
    await enable(instance)
    before = await everything()
    with pytest.raises(BadUserInput):
        await rotate(instance, grace)
    assert await everything() == before


async def test_grace_of_thirty_days_is_taken(instance: Instance) -> None:
    assert timedelta(seconds=MAX_GRACE_PERIOD) == timedelta(days=30)
    old = await enable(instance)
    await rotate(instance, MAX_GRACE_PERIOD)
    assert await answer_to(instance, code_of(old, ADA)) is None


async def test_at_most_five_secrets_are_live_at_once(instance: Instance) -> None:
    texts = [await enable(instance), *[(await rotate(instance)).text for _ in range(4)]]
    before = await everything()
    with pytest.raises(Conflict):
        await rotate(instance)
    assert await everything() == before
    for text in texts:
        assert await answer_to(instance, code_of(text, ADA)) is None

    await rotate(instance, 0)  # the fifth goes as the sixth comes
    assert await statuses() == ["CURRENT", "RETIRED"] + ["RETIRING"] * 4
    oldest = (await secrets.list_secrets())[-1].id
    await secrets.revoke(oldest, TESTER)
    await rotate(instance)
    assert sorted(await statuses()) == ["CURRENT", "RETIRED"] + ["RETIRING"] * 4 + ["REVOKED"]


async def test_rotating_many_times_at_once_leaves_one_current_secret_and_five_live_ones(instance: Instance) -> None:
    await enable(instance)
    results = await asyncio.gather(*(rotate(instance) for _ in range(12)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 8 + ["NewSecret"] * 4
    assert sorted(await statuses()) == ["CURRENT"] + ["RETIRING"] * 4


async def test_enabling_many_times_at_once_makes_one_secret(instance: Instance) -> None:
    made = await asyncio.gather(*(secrets.enable(instance.cipher, TESTER) for _ in range(12)))
    assert len([secret for secret in made if secret]) == 1
    assert await statuses() == ["CURRENT"]


async def test_rotating_where_the_method_is_off_leaves_it_off(instance: Instance) -> None:
    made = await rotate(instance)
    assert await answer_to(instance, code_of(made.text, ADA)) == OFF
    assert await secrets.enable(instance.cipher, TESTER) is None
    assert await answer_to(instance, code_of(made.text, ADA)) is None


# ---------------------------------------------------------------- revoking


async def test_revoking_refuses_its_codes_and_ends_the_sessions_it_opened_and_no_others(instance: Instance) -> None:
    old = await enable(instance)
    old_id = await current_id()
    of_old = [
        (await sign_in(instance, code_of(old, ADA), token_transport=token_transport)).token
        for token_transport in TokenTransport
    ]
    new = (await rotate(instance)).text
    of_new = (await sign_in(instance, code_of(new, ADA))).token
    by_email = (await open_for(await member("grace@example.com"))).token
    await secrets.revoke(old_id, TESTER)

    assert await answer_to(instance, code_of(old, ADA)) == BAD_SIGNATURE
    assert [await find_session(token) for token in of_old] == [None] * 3
    assert await find_session(of_new)
    assert await find_session(by_email)
    assert await answer_to(instance, code_of(new, ADA)) is None


async def test_revoking_without_end_sessions_ends_none_and_revoking_again_can_end_them(instance: Instance) -> None:
    text = await enable(instance)
    result = await sign_in(instance, code_of(text, ADA))
    secret_id = await current_id()
    await secrets.revoke(secret_id, TESTER, end_sessions=False)
    assert await answer_to(instance, code_of(text, ADA)) == BAD_SIGNATURE
    assert await find_session(result.token)
    revoked_at = (await JwtSecret.get(id=secret_id)).revoked_at
    await secrets.revoke(secret_id, TESTER)
    assert await find_session(result.token) is None
    assert (await JwtSecret.get(id=secret_id)).revoked_at == revoked_at


async def test_current_secret_may_be_revoked_and_then_there_is_none_until_one_is_made(instance: Instance) -> None:
    text = await enable(instance)
    await secrets.revoke(await current_id(), TESTER)
    assert await statuses() == ["REVOKED"]
    assert await secrets.current_secret(instance.cipher) is None
    assert await answer_to(instance, code_of(text, ADA)) == BAD_SIGNATURE
    new = (await rotate(instance)).text
    assert await statuses() == ["CURRENT", "REVOKED"]
    assert await answer_to(instance, code_of(new, ADA)) is None


async def test_retired_secret_can_be_revoked_for_its_sessions(instance: Instance) -> None:
    old = await enable(instance)
    old_id = await current_id()
    result = await sign_in(instance, code_of(old, ADA))
    await rotate(instance, 0)
    await secrets.revoke(old_id, TESTER)
    assert await find_session(result.token) is None


@pytest.mark.parametrize("secret_id", ["", "jws_", "nobody", "EXTERNAL_JWT", "x" * 1000])
async def test_revoking_what_is_no_secret_is_not_found_and_changes_nothing(instance: Instance, secret_id: str) -> None:
    await enable(instance)
    before = await everything()
    with pytest.raises(NotFound):
        await secrets.revoke(secret_id, TESTER)
    assert await everything() == before


async def test_ending_sessions_costs_the_same_however_many_there_are(instance: Instance) -> None:
    costs = []
    for sessions in (1, 30):
        text = (await rotate(instance)).text
        await secrets.enable(instance.cipher, TESTER)
        tokens = [(await sign_in(instance, code_of(text, ADA))).token for _ in range(sessions)]
        secret_id = await current_id()
        async with noted_statements() as noted:
            await secrets.revoke(secret_id, TESTER)
        assert [await find_session(token) for token in tokens] == [None] * sessions
        costs.append(len(noted))
        async with noted_statements() as noted:
            await secrets.disable(TESTER, end_sessions=True)
        costs.append(len(noted))
    assert costs[:2] == costs[2:]


async def test_session_that_opens_while_its_secret_is_revoked_is_dead(instance: Instance) -> None:
    """The exchange has verified its code, then the secret is revoked, then the session's row is written."""
    text = await enable(instance)
    await sign_in(instance, code_of(text, ADA))
    secret_id = await current_id()

    class Overtaken(JwtConfigurationCache):
        async def current(self) -> JwtConfiguration:
            configuration = await super().current()
            await secrets.revoke(secret_id, TESTER)
            return configuration

    dependencies = replace(instance.external_auth, configuration_cache=Overtaken(instance.cipher))
    result = await sign_in(replace(instance, external_auth=dependencies), code_of(text, ADA))
    assert await find_session(result.token) is None


# ---------------------------------------------------------------- which secret verifies


async def test_kid_that_is_known_picks_the_secret_and_any_other_tries_all(instance: Instance) -> None:
    old = await enable(instance)
    old_id = await current_id()
    new = (await rotate(instance)).text
    new_id = await current_id()
    for text, kid, expected in (
        (old, old_id, None),
        (new, new_id, None),
        (old, new_id, BAD_SIGNATURE),
        (new, old_id, BAD_SIGNATURE),
        (old, "unknown", None),
        (new, "", None),
    ):
        assert await answer_to(instance, code_of(text, ADA, kid=kid)) == expected
    await secrets.revoke(old_id, TESTER)
    assert await answer_to(instance, code_of(new, ADA, kid=old_id)) == BAD_SIGNATURE


async def test_use_is_noted_to_the_minute(instance: Instance) -> None:
    with time_machine.travel(NOON + timedelta(seconds=10), tick=False) as clock:
        text = await enable(instance)
        assert (await rows("jwt_secrets"))[0]["last_used_at"] is None
        for seconds, noted in ((0, 0), (49, 0), (1, 60), (59, 60), (3600, 3660)):
            clock.shift(seconds)
            await sign_in(instance, code_of(text, ADA))
            await write_rest_of_marks()
            assert (await JwtSecret.get(id=await current_id())).last_used_at == NOON + timedelta(seconds=noted)


async def test_code_that_is_refused_is_no_use_of_its_secret(instance: Instance) -> None:
    text = await enable(instance)
    assert await answer_to(instance, code_of(text, {"id": "nobody"})) == SignInErrorCode.UNKNOWN_USER
    assert (await JwtSecret.get(id=await current_id())).last_used_at is None


# ---------------------------------------------------------------- at rest, and in the audit log


async def test_secret_stands_nowhere_in_the_database(instance: Instance) -> None:
    texts = [await enable(instance), (await rotate(instance)).text]
    for text in texts:
        await sign_in(instance, code_of(text, ADA))
    await secrets.revoke(await current_id(), TESTER)
    written = repr(await everything())
    if instance.settings.uses_sqlite:
        directory = instance.settings.sqlite_path.parent
        for path in directory.glob("doorcode.sqlite3*"):
            written += path.read_bytes().decode("latin-1")
    for text in texts:
        assert text not in written
        assert text[:8] not in written
    for row in await secrets.list_secrets():
        assert instance.cipher.decrypt(row.encrypted_secret) in texts


async def test_every_change_is_one_event_that_names_the_secret_and_never_its_text(instance: Instance) -> None:
    texts = [await enable(instance)]
    first = await current_id()
    made = await rotate(instance, 60)
    texts.append(made.text)
    await secrets.revoke(first, TESTER, end_sessions=False)
    await secrets.disable(TESTER, end_sessions=True)
    await secrets.enable(instance.cipher, TESTER)
    events = await AuditEvent.all().order_by("id")
    assert [(event.action, event.secret_id) for event in events] == [
        ("jwt.enabled", first),
        ("jwt.secret_rotated", made.row.id),
        ("jwt.secret_revoked", first),
        ("jwt.disabled", None),
        ("jwt.enabled", None),
    ]
    assert {event.actor for event in events} == {"tester"}
    for text in texts:
        assert text not in repr([event.detail for event in events])


async def test_email_sessions_outlive_every_change_of_the_method(instance: Instance) -> None:
    await enable(instance)
    token = (await open_for(await member("grace@example.com"), SignInMethod.EMAIL)).token
    await rotate(instance, 0)
    await secrets.revoke(await current_id(), TESTER)
    await secrets.disable(TESTER, end_sessions=True)
    assert await find_session(token)


async def test_current_secret_is_the_newest_one_with_its_text(instance: Instance) -> None:
    assert await secrets.current_secret(instance.cipher) is None
    await enable(instance)
    made = await secrets.rotate(instance.cipher, TESTER)
    current = await secrets.current_secret(instance.cipher)
    assert current
    assert (current.text, current.row.id) == (made.text, made.row.id)
