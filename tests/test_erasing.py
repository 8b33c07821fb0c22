"""Erasing a person: nothing in the database names the person any more, in no table, free page or log of the file."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from tortoise import fields
from tortoise.models import Model

from service.accounts.administration import delete_user, set_role, update_user
from service.accounts.directory import record_export as record_user_export
from service.accounts.groups import set_user_groups
from service.accounts.lookup import find_by_id
from service.accounts.models import UserRole
from service.audit.listing import record_export
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.clock import now
from service.database import Statement, fetch, on_sqlite, transaction, write
from service.database.connection import APP
from service.email_login.invitations import invite_again
from service.email_login.links import make_invitation_token
from service.erasing import erase_user, finish_erasures
from service.errors import Conflict, NotFound
from service.external_auth.code_events import record_signed_code
from service.instance import Instance
from service.invariants import broken_invariants
from service.sessions.administration import end_one_session
from service.sessions.lifecycle import Client
from service.sessions.sent_forms import SentFormId
from tests.actions import (
    TESTER,
    admin,
    audited,
    code_of,
    count,
    enable,
    member,
    open_for,
    refusal_of,
    rows,
    set_policy,
    sign_in,
)
from tests.email_login.dependencies import ask, guess_wrong, sign_in_from

MARK = "zq7mark"
HOME = Client("198.51.100.77", f"{MARK} browser")
PERSONAL = (MARK, str(HOME.ip_address))
FIRST_ID, LATER_ID, FIRST_EMAIL, EMAIL = f"{MARK}-1", f"{MARK}-ext", f"{MARK}-old@example.com", f"{MARK}@example.com"

# Text that is no person's: names of kinds, IDs that the service makes, hashes with a key, encrypted texts, settings.
IMPERSONAL = {
    "api_keys": {"id", "name", "hint", "token_hash", "scope"},
    "audit_events": {"id", "action", "secret_id", "fold_key", "reference"},
    "branding": {"name", "accent_color", "accent_color_dark", "support_email", "support_url"},  # of the company
    "code_cutoffs": {"subject_hash"},
    "daily_counts": {"id", "subject", "name"},
    "email_code_allowances": {"id"},
    "email_codes": {"id", "code_hash"},
    "email_login": {"sign_up", "allowed_domains"},
    "erasures": {"pseudonym", "encrypted_person"},
    "external_auth": {"issuer", "audience", "email_linking", "shared_metadata", "groups_member", "provisioning"}
    | {"sign_in_url", "sign_out_url"},
    "held_codes": {"id", "encrypted_link"},
    "jwt_secrets": {"id", "encrypted_secret", "hint", "name", "note"},
    "known_clients": {"id", "kind"},
    "outgoing_mails": {"id", "encrypted_letter"},
    "refused_sign_ins": {"reference", "method", "code", "secret_id"},
    "sent_forms": {"id"},
    "session_cutoffs": {"scope"},
    "sessions": {"id", "method", "carrier", "secret_id", "token_hash"},
    "shown_secrets": {"id", "session_id", "kind", "encrypted_secret"},
    "sign_in_links": {"token_hash"},
    "signing_keys": {"kid", "state", "encrypted_private_key", "public_jwk"},
    "subject_keys": {"encrypted_key"},
    "used_codes": {"id"},
    "users": {"origin", "role", "status"},
    "wrong_codes": {"id", "account"},
}


def models() -> Iterator[type[Model]]:
    from tortoise.context import get_current_context

    context = get_current_context()
    assert context is not None
    assert context.apps is not None
    yield from context.apps[APP].values()


def text_columns() -> set[str]:
    """Every column of the models that can hold a text."""
    return {
        f"{model._meta.db_table}.{name}"
        for model in models()
        for name, field in model._meta.fields_map.items()
        if isinstance(field, fields.CharField | fields.TextField)
    }


async def columns_that_name_the_person() -> set[str]:
    """The columns with a text of the person in them."""
    return {
        f"{model._meta.db_table}.{name}"
        for model in models()
        for row in await rows(str(model._meta.db_table))
        for name, value in dict(row).items()
        if any(text in str(value).lower() for text in PERSONAL)
    }


def left_in_files(directory: Path) -> list[tuple[str, str]]:
    """What names the person in the bytes of the database file and of its log, free pages included."""
    files = {path.name: path.read_bytes().lower() for path in directory.glob("doorcode.sqlite3*")}
    return [(name, text) for name, content in files.items() for text in PERSONAL if text.encode() in content]


async def live_here(instance: Instance) -> str:
    """Let a person leave traces in every place that can hold one. Returns the ID."""
    secret = await enable(instance)
    profile = {"email": FIRST_EMAIL, "name": f"{MARK} name"}
    await sign_in(instance, code_of(secret, {"user": {"id": FIRST_ID, **profile}}), client=HOME)
    await refusal_of(instance, code_of(secret, {"user": {"id": FIRST_ID}, "exp": 1}), client=HOME)
    await refusal_of(instance, code_of(secret, {"user": {"email": FIRST_EMAIL}, "exp": 1}), client=HOME)
    await update_user(FIRST_ID, TESTER, external_id=LATER_ID, email=EMAIL)
    await set_user_groups(FIRST_ID, [f"{MARK} group"], TESTER)
    await sign_in_from(instance, HOME, email=EMAIL, device="dcd_" + "x" * 43)
    await guess_wrong(instance, 2, email=EMAIL, client=HOME)
    await ask(instance, EMAIL, HOME)
    person = await find_by_id(FIRST_ID)
    assert person is not None
    await admin()
    await set_role(FIRST_ID, UserRole.ADMIN, TESTER)
    by = Actor.of_user(FIRST_ID, HOME.ip_address, may_change_admins=True)
    await set_user_groups((await member("other@example.com")).id, ["staff"], by)
    await end_one_session((await open_for(person)).session.id, by, owner=person)
    await set_role(FIRST_ID, UserRole.MEMBER, TESTER)
    async with transaction():
        await make_invitation_token(person)
    await record_signed_code("secret", {"user": {"id": FIRST_ID, "email": EMAIL}, "jti": MARK}, TESTER)
    await record_user_export("csv", {"search": f"<{EMAIL}>"}, TESTER)
    await record_export("csv", {"userId": FIRST_ID, "actor": f"user:{FIRST_ID}"}, TESTER)
    form = SentFormId("form", "session")
    await form.claim()
    await form.finish(f"/admin/users/user?id={FIRST_ID}&done=updated")
    await set_policy(groups_member="groups")
    await sign_in(instance, code_of(secret, {"user": {"id": LATER_ID, "groups": [f"{MARK} team"]}}), client=HOME)
    await instance.pending_events.write()
    await write(Statement("UPDATE refused_sign_ins SET cause = $1"), f"the user {FIRST_ID} was late")
    return FIRST_ID


async def erase(instance: Instance, user_id: str, **how: Any) -> str:
    return await erase_user(user_id, TESTER, instance.subject_hashes, instance.cipher, instance.pending_events, **how)


async def test_nothing_personal_is_left(instance: Instance, tmp_path: Path) -> None:
    user_id = await live_here(instance)
    seen = await columns_that_name_the_person() | {"users.claimed_email"}  # a user has that or `email`
    impersonal = {f"{table}.{name}" for table, names in IMPERSONAL.items() for name in names}
    assert text_columns() - seen == impersonal, "say of each new column of a table whether it can name a person"
    mails = await count("outgoing_mails")

    await erase(instance, user_id)
    assert await columns_that_name_the_person() == set()
    for table in ("known_clients", "wrong_codes", "email_codes", "sign_in_links", "sent_forms", "refused_sign_ins"):
        assert await count(table) == 0, table
    assert mails > await count("outgoing_mails") == 0
    if on_sqlite():
        assert left_in_files(tmp_path) == []
    assert [line async for line in broken_invariants(instance.cipher)] == []


async def test_address_that_a_code_only_claimed_is_erased(instance: Instance) -> None:
    profile = {"id": FIRST_ID, "email": FIRST_EMAIL, "email_verified": False}
    await sign_in(instance, code_of(await enable(instance), {"user": profile}), client=HOME)
    assert "users.claimed_email" in await columns_that_name_the_person()
    await ask(instance, FIRST_EMAIL, HOME)
    await erase(instance, FIRST_ID)
    assert await columns_that_name_the_person() == set()


async def test_what_happened_stays_in_the_audit_log_under_one_pseudonym(instance: Instance) -> None:
    user_id = await live_here(instance)
    before = await AuditEvent.all().order_by("id")
    pseudonym = await erase(instance, user_id)
    after = {event.id: event for event in await AuditEvent.all()}

    assert [(event.action, event.count) for event in before] == [
        (after[event.id].action, after[event.id].count) for event in before
    ]
    assert {after[event.id].user_id for event in before if event.user_id == user_id} == {pseudonym}
    assert await audited("user.erased") == [("user.erased", pseudonym)]
    for event in before:  # what others did keeps their address
        if event.actor == TESTER.name:
            assert after[event.id].ip_address == TESTER.ip_address
    own = [after[event.id] for event in before if event.actor == f"user:{user_id}"]
    assert {event.actor for event in own} == {f"user:{pseudonym}"}
    [groups_of_another] = [event for event in own if event.action == "user.groups_set"]
    assert "staff" in groups_of_another.detail


async def test_another_person_with_a_similar_name_keeps_everything(instance: Instance) -> None:
    secret = await enable(instance)
    for number in ("1", "12"):
        await sign_in(instance, code_of(secret, {"user": {"id": number, "email": f"u{number}@example.com"}}))
    await update_user("12", TESTER, email="u12-new@example.com", external_id="crm-12")
    await instance.pending_events.write()
    other = [event.detail for event in await AuditEvent.filter(user_id="12").order_by("id")]

    await erase(instance, "1")
    assert [event.detail for event in await AuditEvent.filter(user_id="12").order_by("id")] == other
    assert await find_by_id("12")


async def test_identifier_that_another_user_has_now_is_not_erased(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "shared@example.com"}}))
    await update_user("ada", TESTER, email="ada@example.com", external_id="crm-7")
    await update_user("ada", TESTER, external_id="crm-8")
    await sign_in(instance, code_of(secret, {"user": {"id": "crm-7", "email": "shared@example.com"}}))
    await instance.pending_events.write()

    await erase(instance, "ada")
    assert [user_id for _, user_id in await audited("session.opened")].count("crm-7") == 1
    assert (await rows("users"))[0]["email"] == "shared@example.com"


async def test_what_another_process_writes_late_is_erased_a_minute_later(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": FIRST_ID}, "iat": int(time.time())})
    await sign_in(instance, code, client=HOME)
    moment = now()
    await erase(instance, FIRST_ID)
    async with transaction():
        await AuditEvent.create(
            id="0",
            action="session.opened",
            actor="email",
            user_id=FIRST_ID,
            ip_address=HOME.ip_address,
            created_at=moment,
        )
    await sign_in(instance, code, client=HOME)  # the person comes again
    await instance.pending_events.write()

    assert await finish_erasures(instance.cipher) == 0
    with time_machine.travel(now() + timedelta(seconds=61)):
        assert await finish_erasures(instance.cipher) == 1
    assert (await AuditEvent.get(id="0")).ip_address is None
    assert await AuditEvent.filter(user_id=FIRST_ID, action="session.opened").count() == 1
    assert await count("erasures") == 0
    assert await find_by_id(FIRST_ID)


async def test_user_who_was_deleted_before_can_be_erased(instance: Instance) -> None:
    user_id = await live_here(instance)
    await delete_user(user_id, TESTER, instance.subject_hashes)
    await erase(instance, user_id)
    assert await columns_that_name_the_person() == set()


async def test_code_issued_before_creates_the_user_again_unless_codes_are_revoked(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time()) - 10})
    await sign_in(instance, code)
    await erase(instance, "ada")
    await sign_in(instance, code)
    await erase(instance, "ada", revoke_codes=True)
    assert (await refusal_of(instance, code)).code == "CODE_EXPIRED"


async def test_unknown_id_and_the_last_admin_are_refused(instance: Instance) -> None:
    boss = await admin()
    with pytest.raises(NotFound):
        await erase(instance, "nobody-has-it")
    with pytest.raises(Conflict):
        await erase(instance, boss.id)
    await invite_again(boss.id, TESTER, instance.email_login)
    assert await count("erasures") == 0
    assert await fetch(Statement("SELECT id FROM users"))
