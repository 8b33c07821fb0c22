"""Users that are created before their first sign-in, and many users at once (contract §3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.accounts import administration
from service.accounts.creation import create_user
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.accounts.seats import count_seats, set_seat_limit
from service.audit.log import Actor
from service.errors import BadUserInput, Conflict, Forbidden, SeatLimitReached
from service.instance import Instance
from tests.actions import HASHES, TESTER, admin, answer_to, audited, code_of, count, enable, member, user
from tests.seats import assert_counters_equal_table

UNTIL = datetime(2050, 1, 1, tzinfo=UTC)


async def create(external_id: str, by: Actor = TESTER, **values: Any) -> Any:
    return await create_user(external_id, by, HASHES, **values)


async def test_created_user_is_the_one_that_a_code_names(instance: Instance) -> None:
    secret = await enable(instance)
    made = await create("crm-42", email="Ada@Example.com", metadata={"plan": "gold"}, access_until=UNTIL)
    assert (made.id, made.external_id, made.email, made.email_verified) == ("crm-42", "crm-42", "ada@example.com", True)
    assert (made.origin, made.role, made.last_seen_at) == (UserOrigin.EXTERNAL_JWT, UserRole.MEMBER, None)
    assert (made.metadata, made.access_until) == ('{"plan":"gold"}', UNTIL)
    assert (await count_seats()).used == 1
    assert await answer_to(instance, code_of(secret, {"user": {"id": "crm-42"}})) is None
    assert await answer_to(instance, code_of(secret, {"email": "ada@example.com"})) is None
    assert await count("users") == 1
    assert await audited("user.created") == [("user.created", "crm-42")]


async def test_repeating_it_answers_the_user_and_sets_the_end(instance: Instance) -> None:
    await create("crm-42", email="ada@example.com", metadata={"plan": "gold", "n": 1})
    for same in ({}, {"email": "ADA@example.com"}, {"metadata": {"n": 1, "plan": "gold"}}):
        assert (await create("crm-42", **same)).email == "ada@example.com"
    others: list[dict[str, Any]] = [
        {"email": "other@example.com"},
        {"metadata": {}},
        {"metadata": {"n": 1.0, "plan": "gold"}},
    ]
    for other in others:
        with pytest.raises(Conflict):
            await create("crm-42", **other)
    await create("crm-42", access_until=UNTIL)
    await create("crm-42")
    assert (await user("crm-42")).access_until == UNTIL
    assert (await create("crm-42", access_until=None)).access_until is None
    assert await count("users") == 1
    await assert_counters_equal_table()


async def test_repeating_it_for_a_user_with_another_id_finds_the_external_id(instance: Instance) -> None:
    invited = await member("ada@example.com")
    await administration.update_user(invited.id, TESTER, external_id="crm-42")
    assert (await create("crm-42", email="ada@example.com")).id == invited.id


async def test_what_cannot_be_created_changes_nothing(instance: Instance) -> None:
    await member("taken@example.com")
    with pytest.raises(Conflict):
        await create("crm-42", email="taken@example.com")
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}}
    wrongs: list[dict[str, Any]] = [{"email": "no address"}, {"metadata": []}, {"metadata": "x"}, {"metadata": deep}]
    for wrong in wrongs:
        with pytest.raises(BadUserInput):
            await create("crm-42", **wrong)
    for external_id in ("", "usr_1", "undefined", "a\0b", "x" * 256):
        with pytest.raises(BadUserInput):
            await create(external_id)
    await set_seat_limit(1, TESTER)
    with pytest.raises(SeatLimitReached):
        await create("crm-42")
    assert await count("users") == 1
    await assert_counters_equal_table()


async def test_end_of_an_admin_s_access_takes_an_admin_in_person(instance: Instance) -> None:
    boss = await admin("boss@example.com")
    await admin("second@example.com")
    await administration.update_user(boss.id, TESTER, external_id="crm-1")
    key = Actor.of_api_key("key_1", None)
    assert (await create("crm-1", key)).id == boss.id
    with pytest.raises(Forbidden):
        await create("crm-1", key, access_until=UNTIL)


async def test_user_whose_end_is_past_is_created_without_a_seat(instance: Instance) -> None:
    made = await create("crm-42", access_until=datetime.now(UTC) - timedelta(hours=1))
    assert made.status is UserStatus.DEACTIVATED
    assert (await count_seats()).used == 0
    await assert_counters_equal_table()


async def test_codes_that_were_revoked_with_a_deleted_user_stay_revoked(instance: Instance) -> None:
    secret = await enable(instance)
    await create_user("crm-42", TESTER, instance.subject_hashes)
    await administration.delete_user("crm-42", TESTER, instance.subject_hashes, revoke_codes=True)
    made = await create_user("crm-42", TESTER, instance.subject_hashes)
    assert made.codes_valid_from
    assert await answer_to(instance, code_of(secret, {"user": {"id": "crm-42"}})) == "CODE_EXPIRED"
