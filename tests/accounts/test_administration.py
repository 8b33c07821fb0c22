"""What admins do to users: what changes, what does not, and what is refused."""

import pytest

from service.accounts import administration
from service.accounts.lookup import find_by_id
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.accounts.seats import count_seats
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.database import Statement, write
from service.errors import BadUserInput, Conflict, Forbidden, NotFound
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from tests.actions import (
    HASHES,
    TESTER,
    add_invited,
    admin,
    answer_to,
    code_of,
    count,
    enable,
    everything,
    member,
    sign_in,
    user,
)
from tests.seats import assert_counters_equal_table

ADA = {"user": {"id": "ada", "email": "ada@example.com"}}


# ---------------------------------------------------------------- inviting


async def test_invited_user_has_an_id_of_the_service_s_own_and_a_normalised_email(instance: Instance) -> None:
    person = await add_invited(" Grace@EXAMPLE.com ", UserRole.MEMBER)
    assert person.id.startswith("usr_")
    found = await user(person.id)
    assert (found.email, found.external_id, found.origin, found.role, found.status, found.metadata) == (
        "grace@example.com",
        None,
        UserOrigin.INVITATION,
        UserRole.MEMBER,
        UserStatus.ACTIVE,
        "{}",
    )
    assert found.last_seen_at is None


async def test_email_of_another_user_cannot_be_invited(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    before = await everything()
    with pytest.raises(Conflict):
        await add_invited("ADA@example.com", UserRole.MEMBER)
    assert await everything() == before


@pytest.mark.parametrize("email", ["", "x", "a@b@c.de", "a\0@b.cd", "x" * 10_000, "a@b"])
async def test_text_that_is_no_email_cannot_be_invited(instance: Instance, email: str) -> None:
    with pytest.raises(BadUserInput):
        await add_invited(email, UserRole.MEMBER)
    assert await count("users") == 0


# ---------------------------------------------------------------- changing


async def test_email_and_external_id_are_set_and_cleared_and_what_is_left_out_stays(instance: Instance) -> None:
    person = await member("grace@example.com")
    await administration.update_user(person.id, TESTER, external_id="crm-7")
    assert ((await user(person.id)).email, (await user(person.id)).external_id) == ("grace@example.com", "crm-7")
    await administration.update_user(person.id, TESTER, email="New@example.com")
    assert ((await user(person.id)).email, (await user(person.id)).external_id) == ("new@example.com", "crm-7")
    await administration.update_user(person.id, TESTER, email=None)
    assert ((await user(person.id)).email, (await user(person.id)).external_id) == (None, "crm-7")
    await administration.update_user(person.id, TESTER, external_id=None)
    assert ((await user(person.id)).email, (await user(person.id)).external_id) == (None, None)


async def test_change_that_changes_nothing_is_no_event(instance: Instance) -> None:
    person = await member("grace@example.com")
    before = await everything()
    await administration.update_user(person.id, TESTER)
    await administration.update_user(person.id, TESTER, email="GRACE@example.com", external_id=None)
    assert await everything() == before


async def test_email_of_another_user_is_a_conflict(instance: Instance) -> None:
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    before = await everything()
    with pytest.raises(Conflict):
        await administration.update_user(grace.id, TESTER, email="Ada@example.com", external_id="crm-1")
    assert await everything() == before
    await administration.update_user(ada.id, TESTER, email=None)
    await administration.update_user(grace.id, TESTER, email="ada@example.com")


async def test_id_or_external_id_of_another_user_is_a_conflict(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await administration.update_user("ada", TESTER, external_id="crm-1")
    grace = await member("grace@example.com")
    for taken in ("ada", "crm-1"):
        with pytest.raises(Conflict):
            await administration.update_user(grace.id, TESTER, external_id=taken)
    assert (await user(grace.id)).external_id is None
    await administration.update_user("ada", TESTER, external_id="ada")
    assert (await user("ada")).external_id == "ada"


@pytest.mark.parametrize("external_id", ["", " ", "undefined", "a\0b", "x" * 256, "usr_1", "\ud800"])
async def test_external_id_that_no_code_could_name_is_bad_input(instance: Instance, external_id: str) -> None:
    person = await member("grace@example.com")
    with pytest.raises(BadUserInput):
        await administration.update_user(person.id, TESTER, external_id=external_id)
    assert (await user(person.id)).external_id is None


async def test_admin_keeps_an_email(instance: Instance) -> None:
    boss = await admin()
    with pytest.raises(Conflict):
        await administration.update_user(boss.id, TESTER, email=None)
    with pytest.raises(Forbidden):
        await administration.update_user(boss.id, Actor("api-key:key_1"), email="new@example.com")
    await administration.update_user(boss.id, TESTER, email="new@example.com")
    assert (await user(boss.id)).email == "new@example.com"


# ---------------------------------------------------------------- keeping out and forgetting


async def test_deactivated_user_stays_out_until_it_is_reactivated(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await administration.deactivate_user("ada", TESTER)
    assert await answer_to(instance, code_of(secret, ADA)) == SignInErrorCode.USER_DEACTIVATED
    await administration.reactivate_user("ada", TESTER)
    assert await answer_to(instance, code_of(secret, ADA)) is None
    await assert_counters_equal_table()


async def test_deleting_frees_id_email_and_external_id_and_a_live_code_makes_the_user_anew(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, ADA))
    await administration.update_user("ada", TESTER, external_id="crm-1")
    assert await administration.delete_user("ada", TESTER, HASHES) == "ada"
    assert await find_by_id("ada") is None
    for claims in ({"id": "ada"}, {"id": "crm-1"}, {"email": "ada@example.com"}):
        assert await answer_to(instance, code_of(secret, claims)) == SignInErrorCode.UNKNOWN_USER
    again = await sign_in(instance, code_of(secret, ADA))
    assert again.new_user
    assert again.session.user.serial != first.session.user.serial
    await assert_counters_equal_table()


async def test_nobody_is_not_found(instance: Instance) -> None:
    before = await everything()
    for change in (
        administration.deactivate_user("nobody", TESTER),
        administration.reactivate_user("nobody", TESTER),
        administration.delete_user("nobody", TESTER, HASHES),
        administration.set_role("nobody", UserRole.ADMIN, TESTER),
        administration.update_user("nobody", TESTER, email=None),
    ):
        with pytest.raises(NotFound):
            await change
    assert await everything() == before


async def test_users_are_named_by_their_id_or_their_external_id(instance: Instance) -> None:
    person = await member("grace@example.com")
    await administration.update_user(person.id, TESTER, external_id="crm-7")
    assert (await administration.deactivate_user("crm-7", TESTER)).id == person.id
    assert (await administration.reactivate_user(person.id, TESTER)).id == person.id


# ---------------------------------------------------------------- the last admin


async def test_last_active_admin_cannot_be_deactivated_deleted_or_made_a_member(instance: Instance) -> None:
    boss = await admin()
    other = await admin("other@example.com")
    await administration.deactivate_user(other.id, TESTER)
    before = await everything()
    for change in (
        administration.deactivate_user(boss.id, TESTER),
        administration.delete_user(boss.id, TESTER, HASHES),
        administration.set_role(boss.id, UserRole.MEMBER, TESTER),
    ):
        with pytest.raises(Conflict):
            await change
    assert await everything() == before
    await administration.set_role(boss.id, UserRole.ADMIN, TESTER)
    assert await everything() == before


async def test_one_of_two_admins_can_go_and_then_the_other_cannot(instance: Instance) -> None:
    first, second = await admin("1@example.com"), await admin("2@example.com")
    await administration.set_role(first.id, UserRole.MEMBER, TESTER)
    with pytest.raises(Conflict):
        await administration.delete_user(second.id, TESTER, HASHES)
    await administration.set_role(first.id, UserRole.ADMIN, TESTER)
    await administration.delete_user(second.id, TESTER, HASHES)


async def test_two_admins_who_remove_each_other_at_once_leave_one(instance: Instance) -> None:
    import asyncio

    first, second = await admin("1@example.com"), await admin("2@example.com")
    results = await asyncio.gather(
        administration.deactivate_user(first.id, TESTER),
        administration.set_role(second.id, UserRole.MEMBER, TESTER),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "User"]


async def test_deactivated_admin_can_be_deleted_and_made_a_member(instance: Instance) -> None:
    await admin()
    other = await admin("other@example.com")
    await administration.deactivate_user(other.id, TESTER)
    assert (await administration.set_role(other.id, UserRole.MEMBER, TESTER)).role is UserRole.MEMBER
    await administration.delete_user(other.id, TESTER, HASHES)
    assert await find_by_id(other.id) is None
    assert (await count_seats()).used == 1


async def test_admin_has_an_email_to_sign_in_by(instance: Instance) -> None:
    boss, secret = await admin(), await enable(instance)
    nobodys = (await sign_in(instance, code_of(secret, {"user": {"id": "crm-1"}}))).session.user
    with pytest.raises(Conflict, match="needs a verified email"):
        await administration.set_role(nobodys.id, UserRole.ADMIN, TESTER)
    await administration.update_user(nobodys.id, TESTER, email="ada@example.com")
    await administration.set_role(nobodys.id, UserRole.ADMIN, TESTER)
    await administration.deactivate_user(boss.id, TESTER)
    with pytest.raises(Conflict, match="last active admin"):
        await administration.deactivate_user(nobodys.id, TESTER)
    await administration.reactivate_user(boss.id, TESTER)
    await write(Statement("UPDATE users SET email = NULL WHERE id = $1"), nobodys.id)  # as an older version let it be
    assert (await administration.set_role(nobodys.id, UserRole.MEMBER, TESTER)).role is UserRole.MEMBER


# ---------------------------------------------------------------- the audit log


async def test_every_change_is_one_event_with_who_and_whom(instance: Instance) -> None:
    await admin()
    person = await member("grace@example.com")
    await administration.update_user(person.id, TESTER, external_id="crm-7")
    await administration.set_role(person.id, UserRole.ADMIN, TESTER)
    for _ in range(2):
        await administration.deactivate_user(person.id, TESTER)
        await administration.deactivate_user(person.id, TESTER)
        await administration.reactivate_user(person.id, TESTER)
        await administration.reactivate_user(person.id, TESTER)
    await administration.delete_user(person.id, TESTER, HASHES)
    events = await AuditEvent.filter(user_id=person.id).order_by("id")
    assert [event.action for event in events] == [
        "user.invited",
        "user.updated",
        "user.role_set",
        "user.deactivated",
        "user.reactivated",
        "user.deactivated",
        "user.reactivated",
        "user.deleted",
    ]
    assert {(event.actor, event.ip_address) for event in events} == {("tester", "192.0.2.1")}
