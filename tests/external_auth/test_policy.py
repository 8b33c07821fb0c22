"""What the policy asks of codes, at the exchange (contract §1, schema `JwtPolicy`): single use, ends, issuer, audience."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.accounts.seats import set_seat_limit
from service.audit.models import AuditEvent
from service.database.purging import SAFETY_MARGIN
from service.errors import BadUserInput
from service.external_auth import secrets
from service.external_auth.models import ExternalAuth
from service.external_auth.policy import EmailLinking
from service.external_auth.used_codes import purge_used_codes
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import find_session
from tests.actions import TESTER, answer_to, code_of, count, enable, everything, member, rows, set_policy, sign_in

ADA = {"user": {"id": "ada"}}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOON_SECONDS = int(NOON.timestamp())


def in_an_hour() -> int:
    return int(time.time()) + 3600


# ---------------------------------------------------------------- single use


async def test_code_works_as_often_as_it_is_used_unless_the_policy_says_once(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    assert [await answer_to(instance, code) for _ in range(3)] == [None, None, None]
    assert await count("used_codes") == 0


async def test_single_use_code_works_once(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    assert [await answer_to(instance, code) for _ in range(3)] == [
        None,
        SignInErrorCode.CODE_ALREADY_USED,
        SignInErrorCode.CODE_ALREADY_USED,
    ]
    assert await count("used_codes") == await count("sessions") == 1


async def test_known_user_s_code_is_used_up_too(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await set_policy(single_use=True)
    for claims in (ADA, {"id": "ada"}):
        code = code_of(secret, {**claims, "exp": in_an_hour(), "jti": repr(claims)})
        assert await answer_to(instance, code) is None
        assert await answer_to(instance, code) == SignInErrorCode.CODE_ALREADY_USED


async def test_another_code_with_a_used_jti_is_used_already(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    assert await answer_to(instance, code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})) is None
    other = code_of(secret, {"user": {"id": "bob"}, "exp": in_an_hour() + 1, "jti": "1"})
    assert await answer_to(instance, other) == SignInErrorCode.CODE_ALREADY_USED
    assert await count("users") == 1


async def test_jti_is_unique_for_its_secret_alone(instance: Instance) -> None:
    old = await enable(instance)
    await set_policy(single_use=True)
    new = (await secrets.rotate(instance.cipher, TESTER)).text
    for secret in (old, new):
        assert await answer_to(instance, code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})) is None


async def test_single_use_code_that_is_used_many_times_at_once_works_once(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    answers = await asyncio.gather(*(answer_to(instance, code) for _ in range(24)))
    assert sorted(answers, key=str) == [SignInErrorCode.CODE_ALREADY_USED] * 23 + [None]
    assert await count("sessions") == await count("users") == await count("used_codes") == 1


async def test_refused_code_is_not_used_up(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    await sign_in(instance, code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "0"}))
    invited = await member("grace@example.com")
    await administration.deactivate_user("ada", TESTER)

    refused = {
        SignInErrorCode.USER_DEACTIVATED: code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"}),
        SignInErrorCode.UNKNOWN_USER: code_of(secret, {"id": "bob", "exp": in_an_hour(), "jti": "2"}),
        SignInErrorCode.EMAIL_TAKEN: code_of(
            secret, {"user": {"id": "eve", "email": "grace@example.com"}, "exp": in_an_hour(), "jti": "3"}
        ),
        SignInErrorCode.CODE_NOT_YET_VALID: code_of(
            secret, {"id": "bob", "nbf": in_an_hour(), "exp": in_an_hour(), "jti": "4"}
        ),
    }
    for expected, code in refused.items():
        assert await answer_to(instance, code) == expected
        assert await answer_to(instance, code) == expected
    assert await count("used_codes") == 1

    await administration.reactivate_user("ada", TESTER)
    assert await answer_to(instance, refused[SignInErrorCode.USER_DEACTIVATED]) is None
    await administration.update_user(invited.id, TESTER, email="other@example.com")
    assert await answer_to(instance, refused[SignInErrorCode.EMAIL_TAKEN]) is None


async def test_code_refused_for_want_of_a_seat_works_once_there_is_one(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    await set_seat_limit(0, TESTER)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    assert await answer_to(instance, code) == SignInErrorCode.SEAT_LIMIT_REACHED
    assert await count("used_codes") == await count("users") == 0
    await set_seat_limit(1, TESTER)
    assert await answer_to(instance, code) is None


async def test_used_comes_before_what_is_wrong_with_the_user(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    await sign_in(instance, code)
    await administration.deactivate_user("ada", TESTER)
    assert await answer_to(instance, code) == SignInErrorCode.CODE_ALREADY_USED


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": "1"},
        {"exp": 1},
        {"exp": 1, "jti": None},
        {"exp": 1, "jti": ""},
        {"exp": 1, "jti": 7},
        {"exp": 1, "jti": "x" * 256},
        {"exp": 1, "jti": "a\ud800b"},
        {"exp": 1, "jti": ["1"]},
    ],
    ids=lambda value: repr(value).replace("\\", "."),  # pytest cannot select a test whose id has a backslash
)
async def test_single_use_needs_exp_and_a_jti(instance: Instance, claims: dict[str, object]) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    ends = {"exp": in_an_hour()} if "exp" in claims else {}
    assert await answer_to(instance, code_of(secret, {**ADA, **claims, **ends})) == SignInErrorCode.INVALID_CLAIMS
    assert await count("users") == await count("used_codes") == 0


async def test_longest_jti_works(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "\U0001f600" * 255})
    assert await answer_to(instance, code) is None
    assert await answer_to(instance, code) == SignInErrorCode.CODE_ALREADY_USED


async def test_used_code_is_remembered_until_no_policy_would_take_it(instance: Instance) -> None:
    """Also where the grace is made longer after the code was used."""
    secret = await enable(instance)
    await set_policy(single_use=True, clock_skew_seconds=0)
    code = code_of(secret, {**ADA, "exp": NOON_SECONDS, "jti": "1"})
    with time_machine.travel(NOON - timedelta(seconds=10), tick=False) as clock:
        assert await answer_to(instance, code) is None
        clock.move_to(NOON + timedelta(seconds=200))
        await purge_used_codes(1, 100)
        await set_policy(clock_skew_seconds=300)
        assert await answer_to(instance, code) == SignInErrorCode.CODE_ALREADY_USED
        clock.move_to(NOON + timedelta(seconds=301))
        assert await answer_to(instance, code) == SignInErrorCode.CODE_EXPIRED
        await purge_used_codes(1, 100)
        assert await count("used_codes") == 1, "it stays for a day, for a clock that jumped ahead"
        clock.shift(SAFETY_MARGIN)
        await purge_used_codes(1, 100)
        assert await count("used_codes") == 0


async def test_used_codes_are_purged_in_batches(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(5):
            await sign_in(instance, code_of(secret, {**ADA, "exp": NOON_SECONDS + 1, "jti": str(number)}))
        await sign_in(instance, code_of(secret, {**ADA, "exp": NOON_SECONDS + 86_400, "jti": "later"}))
        clock.shift(SAFETY_MARGIN + timedelta(hours=1))
        assert [await purge_used_codes(1, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await count("used_codes") == 1


async def test_code_that_ends_in_99_years_is_remembered_until_then(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": in_an_hour() + 99 * 31_557_600, "jti": "1"})
    assert [await answer_to(instance, code) for _ in range(2)] == [None, SignInErrorCode.CODE_ALREADY_USED]


# ---------------------------------------------------------------- what is required


@pytest.mark.parametrize(
    ("policy", "good", "bad"),
    [
        ({"require_expiry": True}, {"exp": 60}, {}),
        ({"max_lifetime_seconds": 100}, {"iat": 0, "exp": 100}, {"iat": 0, "exp": 101}),
        ({"max_lifetime_seconds": 100}, {"iat": -50, "exp": 50}, {"exp": 50}),
        ({"max_lifetime_seconds": 100}, {"iat": 0, "exp": 1}, {"iat": 0}),
        ({"issuer": "crm"}, {"iss": "crm"}, {"iss": "CRM"}),
        ({"issuer": "crm"}, {"iss": "crm"}, {"iss": ["crm"]}),
        ({"issuer": "crm"}, {"iss": "crm"}, {}),
        ({"audience": "chat"}, {"aud": "chat"}, {"aud": "chats"}),
        ({"audience": "chat"}, {"aud": ["x", "chat"]}, {"aud": ["x"]}),
        ({"audience": "chat"}, {"aud": ["chat"]}, {}),
        ({"audience": "chat"}, {"aud": ["chat"]}, {"aud": ["chat", 1]}),
        ({"audience": "chat"}, {"aud": "chat"}, {"aud": {"chat": 1}}),
    ],
)
async def test_what_the_policy_requires_and_the_code_lacks_is_invalid_claims(
    instance: Instance, policy: dict[str, object], good: dict[str, object], bad: dict[str, object]
) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        for claims in (good, bad):
            assert await answer_to(instance, code_of(secret, {**ADA, **_moments(claims)})) is None
        before = await count("sessions")
        await set_policy(**policy)
        assert await answer_to(instance, code_of(secret, {**ADA, **_moments(good)})) is None
        assert await answer_to(instance, code_of(secret, {**ADA, **_moments(bad)})) == SignInErrorCode.INVALID_CLAIMS
        assert await count("sessions") == before + 1


async def test_grace_for_times_is_the_policy_s(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        for grace in (0, 60, 300):
            await set_policy(clock_skew_seconds=grace)
            for claims, expected in (
                ({"exp": NOON_SECONDS - grace}, SignInErrorCode.CODE_EXPIRED),
                ({"exp": NOON_SECONDS - grace + 1}, None),
                ({"nbf": NOON_SECONDS + grace}, None),
                ({"nbf": NOON_SECONDS + grace + 1}, SignInErrorCode.CODE_NOT_YET_VALID),
                ({"iat": NOON_SECONDS + grace}, None),
                ({"iat": NOON_SECONDS + grace + 1}, SignInErrorCode.CODE_NOT_YET_VALID),
            ):
                assert await answer_to(instance, code_of(secret, {**ADA, **claims})) == expected


# ---------------------------------------------------------------- how long a session lives


async def test_session_lives_as_long_as_the_operator_says(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        result = await sign_in(instance, code_of(secret, ADA))
        assert result.session.expires_at == NOON + timedelta(seconds=604_800)
        clock.shift(604_799)
        assert await find_session(result.token)
        clock.shift(1)
        assert await find_session(result.token) is None


async def test_shorter_session_can_be_asked_for_and_no_longer_one(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        for asked, lives in ((1, 1), (3600, 3600), (604_800, 604_800), (604_801, 604_800), (2**31 - 1, 604_800)):
            result = await sign_in(instance, code_of(secret, ADA), lifetime=asked)
            assert result.session.expires_at == NOON + timedelta(seconds=lives)


async def test_session_ends_with_the_code_where_the_policy_says_so(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        code = code_of(secret, {**ADA, "exp": NOON_SECONDS + 900})
        assert (await sign_in(instance, code)).session.expires_at == NOON + timedelta(days=7)
        await set_policy(session_ends_with_code=True)
        result = await sign_in(instance, code)
        assert result.session.expires_at == NOON + timedelta(seconds=900)
        shorter = await sign_in(instance, code, lifetime=60)
        assert shorter.session.expires_at == NOON + timedelta(seconds=60)
        clock.shift(900)
        assert await find_session(result.token) is None


async def test_code_that_outlives_the_session_or_never_ends_makes_it_no_longer(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(session_ends_with_code=True)
    with time_machine.travel(NOON, tick=False):
        for ends in ({"exp": NOON_SECONDS + 10**7}, {"exp": NOON_SECONDS + 3 * 10**9}, {}):
            result = await sign_in(instance, code_of(secret, {**ADA, **ends}))
            assert result.session.expires_at == NOON + timedelta(days=7)


async def test_code_let_in_by_the_grace_opens_a_session_that_ends_with_the_grace(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(session_ends_with_code=True)
    with time_machine.travel(NOON, tick=False):
        result = await sign_in(instance, code_of(secret, {**ADA, "exp": NOON_SECONDS - 10}))
        assert result.session.expires_at == NOON + timedelta(seconds=50)
        assert await find_session(result.token)


# ---------------------------------------------------------------- changing it


async def test_change_holds_for_the_next_code_and_leaves_the_rest_as_it_was(instance: Instance) -> None:
    await set_policy(issuer="crm", clock_skew_seconds=5)
    await set_policy(email_linking=EmailLinking.LINK, issuer=None)
    auth = await ExternalAuth.get(id=1)
    assert (auth.issuer, auth.clock_skew_seconds, auth.email_linking, auth.require_expiry) == (
        None,
        5,
        EmailLinking.LINK,
        False,
    )
    events = await AuditEvent.filter(action="jwt.policy_updated").order_by("id")
    assert [json.loads(event.detail) for event in events] == [
        {
            "clockSkewSeconds": 5,
            "issuer": "crm",
            "changes": {"clockSkewSeconds": {"from": 60, "to": 5}, "issuer": {"from": None, "to": "crm"}},
        },
        {
            "issuer": None,
            "emailLinking": "LINK",
            "changes": {"issuer": {"from": "crm", "to": None}, "emailLinking": {"from": "REFUSE", "to": "LINK"}},
        },
    ]


async def test_policy_at_its_limits_is_accepted(instance: Instance) -> None:
    for policy in (
        {"clock_skew_seconds": 0, "max_lifetime_seconds": 1, "issuer": "x", "audience": "x"},
        {
            "clock_skew_seconds": 300,
            "max_lifetime_seconds": 10 * 365 * 86_400,
            "issuer": "x" * 255,
            "audience": "x" * 255,
        },
        {"max_lifetime_seconds": None, "issuer": None, "audience": None},
    ):
        await set_policy(**policy)
        auth = await ExternalAuth.get(id=1)
        assert {name: getattr(auth, name) for name in policy} == policy


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock_skew_seconds": -1},
        {"clock_skew_seconds": 301},
        {"clock_skew_seconds": None},
        {"max_lifetime_seconds": 0},
        {"max_lifetime_seconds": -1},
        {"require_expiry": None},
        {"single_use": None},
        {"session_ends_with_code": None},
        {"email_linking": None},
        {"issuer": ""},
        {"issuer": "x" * 256},
        {"issuer": "a\0b"},
        {"audience": ""},
        {"audience": "a\nb"},
        {"audience": "\ud800"},
        {"issuer": "fine", "clock_skew_seconds": 1000},
    ],
    ids=lambda value: repr(value).replace("\\", "."),  # pytest cannot select a test whose id has a backslash
)
async def test_policy_that_cannot_be_is_bad_input_and_changes_nothing(
    instance: Instance, wrong: dict[str, object]
) -> None:
    before = await everything()
    with pytest.raises(BadUserInput):
        await set_policy(**wrong)
    assert await everything() == before


async def test_code_used_while_codes_worked_often_is_not_remembered(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {**ADA, "exp": in_an_hour(), "jti": "1"})
    await sign_in(instance, code)
    await set_policy(single_use=True)
    assert [await answer_to(instance, code) for _ in range(2)] == [None, SignInErrorCode.CODE_ALREADY_USED]
    assert len({row["id"] for row in await rows("used_codes")}) == 1


def _moments(claims: dict[str, object]) -> dict[str, object]:
    """Times that are written relative to noon."""
    return {
        name: NOON_SECONDS + value if isinstance(value, int) and name in ("exp", "iat") else value
        for name, value in claims.items()
    }
