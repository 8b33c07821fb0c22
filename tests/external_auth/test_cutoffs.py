"""Codes that were issued before a moment: of one user, of all, and of a user who was deleted (contract §1)."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from service.accounts import administration
from service.accounts.code_cutoffs import KEPT_FOR, open_subject_hashes, purge_cutoffs, revoke_user_codes
from service.accounts.models import CodeCutoff, SubjectKey, UserRole
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.encryption import Cipher
from service.errors import Forbidden, NotFound
from service.external_auth.inspection import inspect
from service.external_auth.policy import EmailLinking
from service.external_auth.secrets import revoke_all_codes
from service.instance import Instance
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod
from service.settings import load_settings
from tests.actions import (
    TESTER,
    admin,
    answer_to,
    audited,
    code_of,
    count,
    enable,
    everything,
    member,
    open_for,
    refusal_of,
    set_policy,
    sign_in,
    user,
)
from tests.statements import noted_statements

ADA = {"user": {"id": "ada", "email": "ada@example.com"}}
SUBJECTS: list[dict[str, Any]] = [ADA, {"id": "ada"}, {"email": "ada@example.com"}]
EXPIRED = "CODE_EXPIRED"


def issued(claims: dict[str, Any], moment: datetime, seconds: float = 0) -> dict[str, Any]:
    """The claims, issued that many seconds after the moment."""
    return {**claims, "iat": moment.timestamp() + seconds}


async def new_ada(instance: Instance) -> str:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    return secret


@pytest.mark.parametrize("claims", SUBJECTS, ids=["user", "id", "email"])
async def test_revoked_codes_of_a_user_are_refused_and_those_of_the_same_second_work(
    instance: Instance, claims: dict[str, Any]
) -> None:
    secret = await new_ada(instance)
    moment = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    assert moment
    assert moment.microsecond == 0
    assert timedelta() <= datetime.now(UTC) - moment < timedelta(seconds=30)
    for seconds in (-0.001, -1, -3600, -(10**12)):
        assert await answer_to(instance, code_of(secret, issued(claims, moment, seconds))) == EXPIRED
    assert await answer_to(instance, code_of(secret, claims)) == EXPIRED, "a code without iat"
    for seconds in (0, 0.5, 30):
        assert await answer_to(instance, code_of(secret, issued(claims, moment, seconds))) is None


async def test_revoked_codes_of_one_user_concern_no_other(instance: Instance) -> None:
    secret = await new_ada(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "grace"}}))
    await revoke_user_codes("ada", TESTER)
    for user_id in ("grace", "new"):
        assert await answer_to(instance, code_of(secret, {"user": {"id": user_id}})) is None


async def test_client_reads_that_the_code_has_expired_and_log_audit_and_inspection_say_why(instance: Instance) -> None:
    secret = await new_ada(instance)
    moment = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    assert moment
    code = code_of(secret, issued(ADA, moment, -1))
    refused = await refusal_of(instance, code)
    assert "admin" not in refused.message
    assert "(" not in refused.message
    reason = str(refused.cause)
    assert reason.startswith("an admin made this person's codes issued before")
    [event] = await AuditEvent.filter(action="sign_in.refused")
    assert (event.user_id, reason in event.detail) == ("ada", True)
    inspection = await inspect(code, instance.external_auth)
    [failed] = [check for check in inspection.checks if check.name == "user"]
    assert not failed.passed
    assert reason[1:] in failed.detail
    assert inspection.refusal
    assert inspection.refusal.code == EXPIRED


async def test_sessions_that_codes_opened_end_and_those_opened_by_email_stay(instance: Instance) -> None:
    secret = await new_ada(instance)
    by_code = await sign_in(instance, code_of(secret, ADA))
    by_email = await open_for(await user("ada"), SignInMethod.EMAIL)
    await revoke_user_codes("ada", TESTER, end_sessions=False)
    assert await find_session(by_code.token)
    moment = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    assert moment
    assert await find_session(by_code.token) is None
    assert await find_session(by_email.token)
    fresh = await sign_in(instance, code_of(secret, issued(ADA, moment)))
    assert await find_session(fresh.token)
    assert await audited("user.codes_revoked") == [("user.codes_revoked", "ada")] * 2


async def test_live_session_does_not_help_a_revoked_code(instance: Instance) -> None:
    secret = await new_ada(instance)
    token = (await sign_in(instance, code_of(secret, ADA))).token
    await revoke_user_codes("ada", TESTER, end_sessions=False)
    for claims in SUBJECTS:
        assert await answer_to(instance, code_of(secret, claims), session_token=token) == EXPIRED


async def test_revoked_code_changes_nothing_of_the_user(instance: Instance) -> None:
    secret = await new_ada(instance)
    await revoke_user_codes("ada", TESTER)
    before = await everything()
    changed = {"user": {"id": "ada", "email": "new@example.com", "plan": "gold"}}
    assert await answer_to(instance, code_of(secret, changed)) == EXPIRED
    assert (await everything())["users"] == before["users"]


async def test_exchange_of_a_user_with_revoked_codes_costs_no_query_more(instance: Instance) -> None:
    secret = await new_ada(instance)
    moment = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    assert moment
    await revoke_all_codes(TESTER)
    code = code_of(secret, issued(ADA, moment, 30))
    await sign_in(instance, code)
    async with noted_statements() as noted:
        await sign_in(instance, code)
    assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 1, 2), noted


async def test_codes_of_an_admin_take_an_admin_in_person(instance: Instance) -> None:
    boss = await admin()
    with pytest.raises(Forbidden):
        await revoke_user_codes(boss.id, Actor.of_api_key("key_1", None))
    assert (await user(boss.id)).codes_valid_from is None
    assert (await revoke_user_codes(boss.id, TESTER)).codes_valid_from
    with pytest.raises(NotFound):
        await revoke_user_codes("nobody", TESTER)


async def test_moment_never_goes_back(instance: Instance) -> None:
    await new_ada(instance)
    first = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    everyone = (await revoke_all_codes(TESTER)).codes_valid_from
    with time_machine.travel(time.time() - 3600):  # a clock that was set back
        assert (await revoke_user_codes("ada", TESTER)).codes_valid_from == first
        assert (await revoke_all_codes(TESTER)).codes_valid_from == everyone


async def test_all_codes_are_revoked_before_a_moment(instance: Instance) -> None:
    secret = await new_ada(instance)
    by_code = await sign_in(instance, code_of(secret, ADA))
    await set_policy(clock_skew_seconds=300)
    moment = (await revoke_all_codes(TESTER)).codes_valid_from
    assert moment
    assert await find_session(by_code.token)
    for claims in (*SUBJECTS, {"user": {"id": "new"}}):
        assert await answer_to(instance, code_of(secret, claims)) == EXPIRED
        refused = await refusal_of(instance, code_of(secret, issued(claims, moment, -1)))
        assert (refused.code, "admin" in refused.message) == (EXPIRED, False)
        assert str(refused.cause).startswith("an admin made all codes issued before")
        assert await answer_to(instance, code_of(secret, issued(claims, moment))) is None
    inspection = await inspect(code_of(secret, issued(ADA, moment, -1)), instance.external_auth)
    [failed] = [check for check in inspection.checks if check.name == "times"]
    assert (failed.passed, "all codes issued before" in failed.detail) == (False, True)
    await revoke_all_codes(TESTER, end_sessions=True)
    assert await find_session(by_code.token) is None
    assert await count("audit_events", "WHERE action = 'jwt.codes_revoked'") == 2


async def test_deleted_user_is_made_again_only_by_a_fresh_code_if_codes_were_revoked(instance: Instance) -> None:
    secret = await new_ada(instance)
    old = code_of(secret, issued(ADA, datetime.now(UTC), -60))
    await administration.delete_user("ada", TESTER, instance.subject_hashes, revoke_codes=True)
    before = await everything()
    for code in (old, code_of(secret, ADA)):
        refused = await refusal_of(instance, code)
        assert refused.code == EXPIRED
        assert (await inspect(code, instance.external_auth)).refusal
    assert {**(await everything()), "audit_events": []} == {**before, "audit_events": []}

    fresh = await sign_in(instance, code_of(secret, issued(ADA, datetime.now(UTC))))
    assert fresh.new_user
    assert await answer_to(instance, old) == EXPIRED, "the new user is not for the old link either"


async def test_deleted_user_is_made_again_by_any_code_if_codes_were_not_revoked(instance: Instance) -> None:
    secret = await new_ada(instance)
    await administration.delete_user("ada", TESTER, instance.subject_hashes)
    assert await count("code_cutoffs") == 0
    assert (await sign_in(instance, code_of(secret, ADA))).new_user


async def test_deletion_does_not_bring_back_codes_that_were_revoked_before(instance: Instance) -> None:
    secret = await new_ada(instance)
    moment = (await revoke_user_codes("ada", TESTER)).codes_valid_from
    assert moment
    await administration.delete_user("ada", TESTER, instance.subject_hashes)
    assert await answer_to(instance, code_of(secret, issued(ADA, moment, -1))) == EXPIRED
    assert await answer_to(instance, code_of(secret, issued(ADA, moment))) is None


async def test_deleted_user_is_not_named_by_what_is_kept(instance: Instance) -> None:
    await new_ada(instance)
    await administration.update_user("ada", TESTER, external_id="crm-42")
    await administration.delete_user("ada", TESTER, instance.subject_hashes, revoke_codes=True)
    kept = await CodeCutoff.all()
    assert len(kept) == 2, "codes name the user by external ID and by ID"
    assert all(len(row.subject_hash) == 64 and "ada" not in row.subject_hash for row in kept)
    assert {row.expires_at - row.codes_valid_from > timedelta(days=400) - timedelta(seconds=1) for row in kept} == {
        True
    }


async def test_linking_and_an_external_id_given_by_an_admin_do_not_lift_it(instance: Instance) -> None:
    secret = await new_ada(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    old = issued({"user": {"id": "ada"}}, datetime.now(UTC), -60)
    await administration.delete_user("ada", TESTER, instance.subject_hashes, revoke_codes=True)
    invited = await member("ada@example.com")
    assert await answer_to(instance, code_of(secret, issued(ADA, datetime.now(UTC), -60))) == EXPIRED
    assert (await sign_in(instance, code_of(secret, issued(ADA, datetime.now(UTC))))).session.user.id == invited.id
    assert await answer_to(instance, code_of(secret, old)) == EXPIRED

    await administration.update_user(invited.id, TESTER, external_id=None)
    other = await member("other@example.com")
    await administration.update_user(other.id, TESTER, external_id="ada", hashes=instance.subject_hashes)
    assert await answer_to(instance, code_of(secret, old)) == EXPIRED


async def test_it_is_kept_for_400_days(instance: Instance) -> None:
    secret = await new_ada(instance)
    await administration.delete_user("ada", TESTER, instance.subject_hashes, revoke_codes=True)
    with time_machine.travel(datetime.now(UTC) + KEPT_FOR - timedelta(minutes=1)):
        assert await purge_cutoffs(500) == 0
        assert await answer_to(instance, code_of(secret, ADA)) == EXPIRED
    with time_machine.travel(datetime.now(UTC) + KEPT_FOR + timedelta(minutes=1)):
        assert await answer_to(instance, code_of(secret, ADA)) is None
        assert await purge_cutoffs(500) == 1


async def test_hashes_outlive_the_encryption_key(instance: Instance) -> None:
    before = instance.subject_hashes.hash("ada")
    old = (await SubjectKey.get(id=1)).encrypted_key
    settings = load_settings({"DOORCODE_DATA_DIR": str(instance.settings.data_dir)})
    key = (settings.data_dir / "encryption.key").read_text().strip()
    new = "A" * 43 + "="
    assert (await open_subject_hashes(Cipher((new, key)))).hash("ada") == before
    assert (await SubjectKey.get(id=1)).encrypted_key != old
    assert (await open_subject_hashes(Cipher((new,)))).hash("ada") == before


async def test_admin_role_is_no_way_around_a_revocation(instance: Instance) -> None:
    secret = await new_ada(instance)
    await administration.set_role("ada", UserRole.ADMIN, TESTER)
    await revoke_user_codes("ada", TESTER)
    assert await answer_to(instance, code_of(secret, ADA)) == EXPIRED
