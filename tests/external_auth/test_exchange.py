"""Which user a code signs in, and what it changes (contract §1 and §3)."""

import json
import time

import pytest

from service.accounts import administration
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.audit.listing import detail_of
from service.audit.models import AuditEvent
from service.database import Statement, write
from service.errors import BadUserInput
from service.external_auth import secrets
from service.external_auth.policy import EmailLinking
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from service.sessions.models import SignInMethod, TokenTransport
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
    rows,
    set_policy,
    sign_in,
    user,
)

CRM_42 = {"user": {"id": "crm-42", "email": "ada@example.com", "plan": "gold"}}


# ---------------------------------------------------------------- the three payloads


async def test_user_is_created_the_first_time_and_takes_a_seat(instance: Instance) -> None:
    secret = await enable(instance)
    result = await sign_in(instance, code_of(secret, CRM_42))

    assert result.new_user
    person = await user("crm-42")
    assert (person.external_id, person.email) == ("crm-42", "ada@example.com")
    assert json.loads(person.metadata) == {"plan": "gold"}
    assert (person.origin, person.role, person.status) == (
        UserOrigin.EXTERNAL_JWT,
        UserRole.MEMBER,
        UserStatus.ACTIVE,
    )
    assert (await rows("seats"))[0]["active_external_jwt"] == 1
    assert await audited("user.created") == [("user.created", "crm-42")]
    found = await find_session(result.token)
    assert found
    assert (found.user.id, found.method, found.token_transport) == (
        "crm-42",
        SignInMethod.EXTERNAL_JWT,
        TokenTransport.BEARER,
    )


async def test_second_sign_in_is_the_same_user_in_another_session(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, CRM_42))
    second = await sign_in(instance, code_of(secret, CRM_42))

    assert not second.new_user
    assert second.session.user.serial == first.session.user.serial
    assert second.token != first.token
    assert await count("sessions") == 2
    assert await count("users") == 1
    assert await audited("user.created") == [("user.created", "crm-42")]


async def test_existing_user_is_signed_in_by_id_and_by_email(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    invited = await member("grace@example.com")

    for claims, wanted in (
        ({"id": "crm-42"}, "crm-42"),
        ({"email": "ada@example.com"}, "crm-42"),
        ({"id": invited.id}, invited.id),
        ({"email": " Grace@EXAMPLE.com\n"}, invited.id),
        ({"user": {"id": invited.id}}, invited.id),
    ):
        result = await sign_in(instance, code_of(secret, claims))
        assert (result.session.user.id, result.new_user) == (wanted, False)
    assert await count("users") == 2


@pytest.mark.parametrize("claims", [{"id": "nobody"}, {"id": 1234}, {"email": "nobody@example.com"}])
async def test_unknown_id_or_email_is_unknown_user_and_makes_nobody(
    instance: Instance, claims: dict[str, object]
) -> None:
    secret = await enable(instance)
    refused = await refusal_of(instance, code_of(secret, claims))
    assert refused.code == SignInErrorCode.UNKNOWN_USER
    assert await count("users") == await count("sessions") == 0


async def test_integer_id_is_the_user_with_these_digits(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": 1234}}))
    for claims in ({"id": 1234}, {"id": "1234"}, {"user": {"id": "1234"}}):
        assert (await sign_in(instance, code_of(secret, claims))).session.user.id == "1234"
    assert await count("users") == 1


@pytest.mark.parametrize(
    "other", ["CRM-42", "crm-42 ", " crm-42", "crm\u201142", "crm-4\u0662", "crm\u200b-42", "\uff43rm-42"]
)
async def test_ids_are_compared_exactly(instance: Instance, other: str) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "crm-42"}}))
    assert await answer_to(instance, code_of(secret, {"id": other})) == SignInErrorCode.UNKNOWN_USER
    assert (await sign_in(instance, code_of(secret, {"user": {"id": other}}))).new_user


async def test_composed_and_decomposed_ids_are_two_users(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "Ren\u00e9"}}))
    assert (await sign_in(instance, code_of(secret, {"user": {"id": "Rene\u0301"}}))).new_user


# ---------------------------------------------------------------- precedence


async def test_user_wins_over_id_and_id_over_email(instance: Instance) -> None:
    secret = await enable(instance)
    for name in ("user", "id", "email"):
        await sign_in(instance, code_of(secret, {"user": {"id": f"by-{name}", "email": f"{name}@example.com"}}))

    result = await sign_in(
        instance, code_of(secret, {"user": {"id": "by-user"}, "id": "by-id", "email": "email@example.com"})
    )
    assert result.session.user.id == "by-user"
    result = await sign_in(instance, code_of(secret, {"id": "by-id", "email": "email@example.com"}))
    assert result.session.user.id == "by-id"
    assert (await user("by-id")).email == "id@example.com"


async def test_unknown_id_beside_a_known_email_is_unknown_user(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    refused = await refusal_of(instance, code_of(secret, {"id": "nobody", "email": "ada@example.com"}))
    assert refused.code == SignInErrorCode.UNKNOWN_USER
    assert await count("sessions") == 1


async def test_null_user_id_or_email_counts_as_absent(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    for claims in (
        {"user": None, "id": "crm-42"},
        {"user": None, "id": None, "email": "ada@example.com"},
        {"id": None, "email": "ada@example.com"},
        {"user": {"id": "crm-42", "email": None}, "id": None},
    ):
        assert (await sign_in(instance, code_of(secret, claims))).session.user.id == "crm-42"
    no_subject = {"user": None, "id": None, "email": None}
    assert await answer_to(instance, code_of(secret, no_subject)) == SignInErrorCode.INVALID_CLAIMS


async def test_what_does_not_win_is_not_looked_at(instance: Instance) -> None:
    secret = await enable(instance)
    claims = {**CRM_42, "id": "", "email": "no email at all"}
    assert (await sign_in(instance, code_of(secret, claims))).session.user.id == "crm-42"
    assert (await sign_in(instance, code_of(secret, {"id": "crm-42", "email": 5}))).session.user.id == "crm-42"


async def test_external_id_wins_over_the_id_of_another_user(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "a"}}))
    await administration.update_user("a", TESTER, external_id="b")
    await sign_in(instance, code_of(secret, {"user": {"id": "c"}}))
    await administration.update_user("c", TESTER, external_id=None)
    # An external id that another user has as its id cannot be given by hand: only a row from elsewhere could.
    await _raw("UPDATE users SET external_id = 'c' WHERE id = 'a'")

    for claims in ({"id": "c"}, {"user": {"id": "c"}}):
        assert (await sign_in(instance, code_of(secret, claims))).session.user.id == "a"
    assert (await sign_in(instance, code_of(secret, {"id": "a"}))).session.user.id == "a"


async def test_id_claim_finds_the_id_where_no_external_id_is_it(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "a"}}))
    await administration.update_user("a", TESTER, external_id="b")
    for claims in ({"id": "a"}, {"id": "b"}, {"user": {"id": "a"}}, {"user": {"id": "b"}}):
        result = await sign_in(instance, code_of(secret, claims))
        assert (result.session.user.id, result.session.user.external_id, result.new_user) == ("a", "b", False)
    assert await count("users") == 1


async def test_new_id_of_the_service_s_own_form_is_invalid_and_a_known_one_is_not(instance: Instance) -> None:
    secret = await enable(instance)
    invited = await member("grace@example.com")
    assert invited.id.startswith("usr_")

    refused = await refusal_of(instance, code_of(secret, {"user": {"id": "usr_other", "email": "grace@example.com"}}))
    assert refused.code == SignInErrorCode.INVALID_CLAIMS
    assert refused.reason
    assert await answer_to(instance, code_of(secret, {"id": "usr_other"})) == SignInErrorCode.UNKNOWN_USER
    result = await sign_in(instance, code_of(secret, {"user": {"id": invited.id, "x": 1}}))
    assert result.session.user.serial == invited.serial
    assert (await user(invited.id)).external_id is None
    assert await count("users") == 1


# ---------------------------------------------------------------- emails


@pytest.mark.parametrize("email", ["no email at all", "ada\u3164@example.com", 42, ["ada@example.com"], True])
async def test_malformed_email_keeps_no_known_user_out_and_is_told_in_the_audit_log(
    instance: Instance, email: object
) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "crm-42", "email": email, "plan": "gold"}})
    assert await answer_to(instance, code) == SignInErrorCode.INVALID_CLAIMS
    assert await count("users") == 0

    await sign_in(instance, code_of(secret, CRM_42))
    for _ in range(2):
        assert (await sign_in(instance, code)).session.user.id == "crm-42"
    assert (await user("crm-42")).email == "ada@example.com"
    (event,) = await AuditEvent.filter(action="user.email_kept")
    assert (event.user_id, event.count, detail_of(event)["reason"]) == ("crm-42", 2, "email malformed")


@pytest.mark.parametrize("email", ["", "  "])
async def test_empty_email_changes_nothing(instance: Instance, email: str) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    assert not (await sign_in(instance, code_of(secret, {"user": {"id": "crm-42", "email": email}}))).new_user
    assert (await user("crm-42")).email == "ada@example.com"
    assert (await sign_in(instance, code_of(secret, {"user": {"id": "crm-43", "email": email}}))).new_user
    assert await answer_to(instance, code_of(secret, {"email": email})) == SignInErrorCode.INVALID_CLAIMS


async def test_emails_of_one_person_are_one_email_however_they_are_written(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "1", "email": " J\u00d6RG@B\u00dcCHER.example "}}))
    assert (await user("1")).email == "j\u00f6rg@xn--bcher-kva.example"
    for spelling in (
        "j\u00f6rg@b\u00fccher.example",
        "JO\u0308RG@XN--BCHER-KVA.EXAMPLE",
        "jo\u0308rg@bu\u0308cher.example",
    ):
        assert (await sign_in(instance, code_of(secret, {"email": spelling}))).session.user.id == "1"
        refused = await answer_to(instance, code_of(secret, {"user": {"id": "2", "email": spelling}}))
        assert refused == SignInErrorCode.EMAIL_TAKEN
    assert await count("users") == 1


async def test_new_id_with_the_email_of_another_user_is_email_taken(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    before = await rows("users")
    refused = await refusal_of(instance, code_of(secret, {"user": {"id": "crm-43", "email": "Ada@example.com"}}))
    assert refused.code == SignInErrorCode.EMAIL_TAKEN
    assert await rows("users") == before
    assert await count("sessions") == 1


async def test_linking_signs_in_whom_the_email_belongs_to_and_gives_it_the_external_id(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    invited = await member("grace@example.com")
    result = await sign_in(
        instance, code_of(secret, {"user": {"id": "crm-7", "email": "GRACE@example.com", "plan": "gold"}})
    )

    assert (result.session.user.serial, result.new_user) == (invited.serial, False)
    person = await user(invited.id)
    assert (person.external_id, person.email) == ("crm-7", "grace@example.com")
    assert json.loads(person.metadata) == {"plan": "gold"}
    assert person.origin is UserOrigin.INVITATION
    assert (await rows("seats"))[0]["active_external_jwt"] == 0
    assert await count("users") == 1
    assert await audited("user.linked") == [("user.linked", invited.id)]
    for claims in ({"id": "crm-7"}, {"user": {"id": "crm-7"}}):
        assert (await sign_in(instance, code_of(secret, claims))).session.user.serial == invited.serial


async def test_linking_never_takes_an_admin(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    boss = await admin("boss@example.com")
    code = code_of(secret, {"user": {"id": "crm-1", "email": "boss@example.com"}})
    assert await answer_to(instance, code) == SignInErrorCode.EMAIL_TAKEN
    assert (await user(boss.id)).external_id is None
    assert await count("sessions") == 0


async def test_linking_never_takes_a_user_with_another_external_id(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    await sign_in(instance, code_of(secret, CRM_42))
    code = code_of(secret, {"user": {"id": "crm-43", "email": "ada@example.com"}})
    assert await answer_to(instance, code) == SignInErrorCode.EMAIL_TAKEN
    assert (await user("crm-42")).external_id == "crm-42"
    assert await count("users") == await count("sessions") == 1


async def test_linking_to_a_deactivated_user_lets_nobody_in_and_links_nothing(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    invited = await member("grace@example.com")
    await administration.deactivate_user(invited.id, TESTER)
    code = code_of(secret, {"user": {"id": "crm-7", "email": "grace@example.com"}})
    assert await answer_to(instance, code) == SignInErrorCode.USER_DEACTIVATED
    assert (await user(invited.id)).external_id is None
    assert await count("sessions") == 0


async def test_email_of_a_deactivated_user_is_taken_too(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    await administration.deactivate_user("crm-42", TESTER)
    code = code_of(secret, {"user": {"id": "crm-43", "email": "ada@example.com"}})
    assert await answer_to(instance, code) == SignInErrorCode.EMAIL_TAKEN
    assert await count("users") == 1


# ---------------------------------------------------------------- deactivated, seats


async def test_deactivated_user_is_refused_whichever_way_the_code_names_it(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    await administration.deactivate_user("crm-42", TESTER)
    before = {table: found for table, found in (await everything()).items() if table != "audit_events"}
    for claims in (
        {"id": "crm-42"},
        {"email": "ada@example.com"},
        {"user": {"id": "crm-42", "email": "new@example.com"}},
    ):
        assert await answer_to(instance, code_of(secret, claims)) == SignInErrorCode.USER_DEACTIVATED
    assert {table: found for table, found in (await everything()).items() if table != "audit_events"} == before


async def test_full_instance_refuses_newcomer_and_creates_nothing(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, CRM_42))
    await _raw("UPDATE seats SET seat_limit = 1")
    before = {table: found for table, found in (await everything()).items() if table != "audit_events"}
    refused = await refusal_of(instance, code_of(secret, {"user": {"id": "crm-43", "email": "x@example.com"}}))

    assert refused.code == SignInErrorCode.SEAT_LIMIT_REACHED
    assert {table: found for table, found in (await everything()).items() if table != "audit_events"} == before
    assert (await sign_in(instance, code_of(secret, CRM_42))).session.user.id == "crm-42"


async def test_full_instance_still_links_for_a_link_takes_no_seat(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    invited = await member("grace@example.com")
    await _raw("UPDATE seats SET seat_limit = 0")
    result = await sign_in(instance, code_of(secret, {"user": {"id": "crm-7", "email": "grace@example.com"}}))
    assert result.session.user.serial == invited.serial


# ---------------------------------------------------------------- order of the checks


async def test_checks_answer_in_the_contract_s_order(instance: Instance) -> None:
    """Each code fails at one check and at all that come after it."""
    secret = await enable(instance)
    await _raw("UPDATE seats SET seat_limit = 0")
    await set_policy(require_expiry=True, issuer="crm")
    past = int(time.time()) - 3600
    taken = await _make_taken_email()
    answers = [
        ("no code at all", SignInErrorCode.MALFORMED_CODE),
        (code_of("x" * 43, {"user": 5, "exp": past}), SignInErrorCode.INVALID_SIGNATURE),
        (code_of(secret, {"user": 5, "exp": past}), SignInErrorCode.CODE_EXPIRED),
        (code_of(secret, {"user": 5, "exp": past + 7200}), SignInErrorCode.INVALID_CLAIMS),
        (code_of(secret, {"id": "nobody", "exp": past + 7200}), SignInErrorCode.INVALID_CLAIMS),
        (code_of(secret, {"id": "nobody", "exp": past + 7200, "iss": "crm"}), SignInErrorCode.UNKNOWN_USER),
        (
            code_of(secret, {"user": {"id": "new", "email": taken}, "exp": past + 7200, "iss": "crm"}),
            SignInErrorCode.EMAIL_TAKEN,
        ),
        (
            code_of(secret, {"user": {"id": "new"}, "exp": past + 7200, "iss": "crm"}),
            SignInErrorCode.SEAT_LIMIT_REACHED,
        ),
    ]
    for code, expected in answers:
        assert await answer_to(instance, code) == expected
    await secrets.disable(TESTER)
    for code, _ in answers:
        assert await answer_to(instance, code) == SignInErrorCode.EXTERNAL_AUTH_DISABLED


async def test_expired_comes_before_not_yet_valid_and_times_before_claims(instance: Instance) -> None:
    secret = await enable(instance)
    seconds = int(time.time())
    both = {"user": {}, "exp": seconds - 120, "nbf": seconds + 120}
    assert await answer_to(instance, code_of(secret, both)) == SignInErrorCode.CODE_EXPIRED
    assert (
        await answer_to(instance, code_of(secret, {"user": {}, "nbf": seconds + 120}))
        == SignInErrorCode.CODE_NOT_YET_VALID
    )


# ---------------------------------------------------------------- asking for less


@pytest.mark.parametrize("lifetime", [0, -1, -(2**31)])
async def test_lifetime_below_one_second_is_bad_input_and_does_nothing(instance: Instance, lifetime: int) -> None:
    secret = await enable(instance)
    before = await everything()
    with pytest.raises(BadUserInput):
        await sign_in(instance, code_of(secret, CRM_42), lifetime=lifetime)
    assert await everything() == before


async def test_email_session_of_the_same_person_is_never_continued(instance: Instance) -> None:
    secret = await enable(instance)
    invited = await member("grace@example.com")
    mine = await open_for(invited)
    result = await sign_in(instance, code_of(secret, {"id": invited.id}), session_token=mine.token)
    assert not result.continued
    assert result.token != mine.token
    assert result.session.method is SignInMethod.EXTERNAL_JWT
    assert await find_session(mine.token)


async def _raw(statement: str) -> None:
    await write(Statement(statement))


async def _make_taken_email() -> str:
    await _raw("UPDATE seats SET seat_limit = NULL")
    invited = await member("taken@example.com")
    await _raw("UPDATE seats SET seat_limit = 0")
    assert invited.email
    return invited.email
