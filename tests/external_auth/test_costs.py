"""What an exchange asks of the database, counted where the driver sends it: it is made on every page load."""

import json
import time

import pytest

from service.accounts import administration
from service.external_auth.secrets import current_secret
from service.instance import Instance
from service.sessions.models import TokenTransport
from tests.actions import TESTER, admin, answer_to, code_of, count, enable, everything, set_policy, sign_in, user
from tests.statements import noted_statements

ADA = {"user": {"id": "ada", "email": "ada@example.com", "plan": "gold"}}
PAYLOADS = [ADA, {"user": {"id": "ada"}}, {"id": "ada"}, {"email": "ada@example.com"}]


@pytest.mark.parametrize("claims", PAYLOADS, ids=["user", "user without profile", "id", "email"])
async def test_exchange_by_a_known_user_costs_one_read_and_one_write(
    instance: Instance, claims: dict[str, object]
) -> None:
    code = code_of(await enable(instance), ADA)
    await sign_in(instance, code)
    code = code_of(await _secret_text(instance), claims)
    async with noted_statements() as noted:
        result = await sign_in(instance, code)
    assert (len(noted.reads), len(noted.writes)) == (1, 1), noted
    assert noted.writes[0].startswith("INSERT INTO sessions")
    assert len(noted) == 2
    assert not result.new_user


@pytest.mark.parametrize("token_transport", [TokenTransport.BEARER, TokenTransport.COOKIE])
@pytest.mark.parametrize("claims", PAYLOADS, ids=["user", "user without profile", "id", "email"])
async def test_exchange_that_continues_a_session_costs_two_reads_and_no_write(
    instance: Instance, claims: dict[str, object], token_transport: TokenTransport
) -> None:
    code = code_of(await enable(instance), ADA)
    first = await sign_in(instance, code, token_transport=token_transport)
    code = code_of(await _secret_text(instance), claims)
    async with noted_statements() as noted:
        again = await sign_in(instance, code, session_token=first.token, token_transport=token_transport)
    assert again.token == first.token
    assert (len(noted.reads), len(noted.writes), len(noted)) == (2, 0, 2), noted


async def test_exchange_beside_a_session_that_is_not_continued_costs_two_reads_and_one_write(
    instance: Instance,
) -> None:
    code = code_of(await enable(instance), ADA)
    first = await sign_in(instance, code)
    async with noted_statements() as noted:
        again = await sign_in(instance, code, session_token=first.token, lifetime=60)
    assert again.token != first.token
    assert (len(noted.reads), len(noted.writes), len(noted)) == (2, 1, 3), noted


async def test_single_use_costs_one_write_more_and_waits_for_nobody(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    first, second = (code_of(secret, {**ADA, "exp": time.time() + 60, "jti": jti}) for jti in ("1", "2"))
    await sign_in(instance, first)
    async with noted_statements() as noted:
        await sign_in(instance, second)
    assert (len(noted.reads), len(noted.writes)) == (2, 2), noted
    assert not [statement for statement in noted if "seats" in statement], "the seats are locked only to create a user"


@pytest.mark.parametrize(
    ("kept", "again"),
    [
        ('{"a": {"x": 1, "y": [1, 2]}, "b": 2}', '{"b": 2, "a": {"y": [1, 2], "x": 1}}'),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
async def test_metadata_in_another_order_is_the_same(instance: Instance, kept: str, again: str) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", **json.loads(kept)}}))
    before = await everything()
    async with noted_statements() as noted:
        await sign_in(instance, code_of(secret, {"user": {"id": "ada", **json.loads(again)}}))
    assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 1, 2), noted
    assert (await everything())["users"] == before["users"]


@pytest.mark.parametrize(
    ("kept", "new"), [("1", "true"), ("1", "1.0"), ("0", "false"), ("[1, 2]", "[2, 1]"), ('"1"', "1")]
)
async def test_metadata_that_json_tells_apart_is_brought_up_to_date(instance: Instance, kept: str, new: str) -> None:
    secret = await enable(instance)
    for value in (kept, new):
        await sign_in(instance, code_of(secret, {"user": {"id": "ada", "value": json.loads(value)}}))
    assert (await user("ada")).metadata == f'{{"value":{json.dumps(json.loads(new))}}}'


async def test_what_is_kept_as_it_was_locks_no_seat_and_is_noted_once(instance: Instance) -> None:
    """An email that another user has, and an admin's profile: both may come with every page load."""
    secret = await enable(instance)
    boss = await admin("boss@example.com")
    await sign_in(instance, code_of(secret, ADA))
    taken = code_of(secret, {"user": {"id": "ada", "email": "boss@example.com", "plan": "gold"}})
    protected = code_of(secret, {"id": boss.id}), code_of(secret, {"user": {"id": boss.id, "plan": "gold"}})
    for code in (taken, *protected, taken, *protected):
        async with noted_statements() as noted:
            await sign_in(instance, code)
        assert not [statement for statement in noted if "seats" in statement], noted
    assert await count("audit_events", "WHERE action IN ('user.email_kept', 'admin.profile_kept')") == 2
    assert (await user(boss.id)).metadata == "{}"


async def test_user_with_another_external_id_costs_no_more(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await administration.update_user("ada", TESTER, external_id="crm-1")
    code = code_of(secret, {"user": {"id": "crm-1", "email": "ada@example.com", "plan": "gold"}})
    await sign_in(instance, code)
    async with noted_statements() as noted:
        await sign_in(instance, code)
    assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 1, 2), noted


async def test_stranger_s_code_costs_one_read(instance: Instance) -> None:
    await enable(instance)
    for code in ("", "a.b.c", code_of("x" * 43, ADA)):
        await answer_to(instance, code)
        async with noted_statements() as noted:
            await answer_to(instance, code)
        assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 0, 1), noted


async def test_secret_is_noted_as_used_once_a_minute_and_not_at_every_exchange(instance: Instance) -> None:
    code = code_of(await enable(instance), ADA)
    async with noted_statements() as noted:
        for _ in range(5):
            await sign_in(instance, code)
    assert len([statement for statement in noted.writes if "jwt_secrets" in statement]) == 1
    assert await count("sessions") == 5


async def _secret_text(instance: Instance) -> str:
    made = await current_secret(instance.cipher)
    assert made
    return made.text
