"""The inspection says what an exchange would do, names the likely cause, and changes nothing."""

import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa

from service.accounts import administration
from service.accounts.models import UserRole
from service.accounts.seats import set_seat_limit
from service.errors import SignInRefused
from service.external_auth import secrets
from service.external_auth.inspection import Inspection, inspect
from service.external_auth.policy import EmailLinking
from service.external_auth.secrets import JwtSecretStatus, status_of
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client
from tests.actions import TESTER, admin, code_of, enable, everything, member, set_policy, sign_in
from tests.hostile.codes import HOSTILE, SEEDS

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOON_SECONDS = int(NOON.timestamp())
_NETWORKS = count(1)  # each exchange comes from another one: a network may fail 60 times a minute
CHECKS = ["enabled", "form", "signature", "payload", "times", "claims", "policy", "user", "seat"]


async def both(instance: Instance, code: str) -> tuple[Inspection, SignInRefused | None]:
    """An inspection, and an exchange right after it."""
    found = await inspect(code, instance.external_auth)
    try:
        result = await sign_in(instance, code, client=Client(f"2001:db8:{next(_NETWORKS):x}::1", None))
    except SignInRefused as refused:
        return found, refused
    assert found.accepted
    assert found.creates_user is result.new_user
    assert (found.user.serial if found.user else None) == (None if result.new_user else result.session.user.serial)
    return found, None


async def agree(instance: Instance, code: str) -> Inspection:
    """The two say the same: accepted or not, and if not, with the same code and the same words."""
    with time_machine.travel(datetime.now(UTC), tick=False):  # the messages count seconds
        found, refused = await both(instance, code)
    told = found.refusal and (found.refusal.code, found.refusal.message)
    assert told == (refused and (refused.code, refused.message))
    assert found.accepted is (refused is None)
    assert [check.name for check in found.checks if check.name != "single use"] == CHECKS
    assert all(check.detail for check in found.checks)
    assert all(check.passed for check in found.checks) is found.accepted
    return found


async def inspect_all(instance: Instance, codes: list[str]) -> None:
    """Not one of these inspections changes a row."""
    before = await everything()
    for code in codes:
        await inspect(code, instance.external_auth)
    assert await everything() == before


def failed(found: Inspection) -> dict[str, str]:
    """The failed checks and what they say."""
    return {check.name: check.detail for check in found.checks if not check.passed}


# ---------------------------------------------------------------- never another answer than the exchange's


async def test_inspection_and_exchange_agree_on_every_hostile_code(instance: Instance) -> None:
    secret = await enable(instance)
    await inspect_all(instance, [hostile.make(secret) for hostile in [*HOSTILE, *SEEDS]])
    for hostile in [*HOSTILE, *SEEDS]:
        found = await agree(instance, hostile.make(secret))
        if hostile in HOSTILE:
            assert (found.refusal.code if found.refusal else None) == hostile.expected, hostile.name


async def test_inspection_and_exchange_agree_on_every_hostile_code_under_a_strict_policy(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(
        require_expiry=True,
        max_lifetime_seconds=600,
        single_use=True,
        issuer="crm",
        audience="chat",
        clock_skew_seconds=0,
    )
    for hostile in HOSTILE:
        await agree(instance, hostile.make(secret))


State = Callable[[Instance], Awaitable[object]]


async def _nothing(_: Instance) -> None: ...


async def _disabled(_: Instance) -> None:
    await secrets.disable(TESTER)


async def _full(_: Instance) -> None:
    await set_seat_limit(0, TESTER)


async def _every_user_deactivated(_: Instance) -> None:
    for user_id in ("ada", "linked"):
        await administration.deactivate_user(user_id, TESTER)


async def _linking(_: Instance) -> None:
    await set_policy(email_linking=EmailLinking.LINK)


async def _linking_and_full(instance: Instance) -> None:
    await _linking(instance)
    await _full(instance)


async def _ada_is_admin(_: Instance) -> None:
    await administration.set_role("ada", UserRole.ADMIN, TESTER)


async def _rotated(instance: Instance) -> None:
    await secrets.rotate(instance.cipher, TESTER)


async def _retired(instance: Instance) -> None:
    await secrets.rotate(instance.cipher, TESTER, grace_period=0)


async def _revoked(_: Instance) -> None:
    await secrets.revoke((await secrets.list_secrets())[0].id, TESTER)


async def _single_use(_: Instance) -> None:
    await set_policy(single_use=True)


async def _strict(_: Instance) -> None:
    await set_policy(require_expiry=True, max_lifetime_seconds=600, issuer="crm", audience="chat")


STATES: list[State] = [
    _nothing,
    _disabled,
    _full,
    _every_user_deactivated,
    _linking,
    _linking_and_full,
    _ada_is_admin,
    _rotated,
    _retired,
    _revoked,
    _single_use,
    _strict,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__.strip("_"))
async def test_inspection_and_exchange_agree_in_every_state(instance: Instance, state: State) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    await sign_in(instance, code_of(secret, {"user": {"id": "linked", "email": "linked@example.com"}}))
    await administration.update_user("linked", TESTER, external_id="crm-7")
    invited = await member("invited@example.com")
    boss = await admin("boss@example.com")
    await state(instance)

    soon = {"exp": int(time.time()) + 300, "iat": int(time.time()), "iss": "crm", "aud": "chat"}
    payloads: list[dict[str, object]] = [
        {"id": "ada"},
        {"id": "crm-7"},
        {"id": "linked"},
        {"id": "nobody"},
        {"id": boss.id},
        {"email": "Ada@example.com"},
        {"email": "nobody@example.com"},
        {"user": {"id": "ada"}},
        {"user": {"id": "ada", "email": "new@example.com", "plan": "gold"}},
        {"user": {"id": "ada", "email": "linked@example.com"}},
        {"user": {"id": "crm-7", "x": 1}},
        {"user": {"id": "usr_unknown"}},
        {"user": {"id": invited.id}},
        {"user": {"id": "one", "email": "boss@example.com"}},
        {"user": {"id": "two", "email": "linked@example.com"}},
        {"user": {"id": "three", "email": "invited@example.com"}},
        {"user": {"id": "four"}},
        {"user": {"id": "five", "email": "five@example.com"}},
    ]
    codes = [code_of(secret, payload) for payload in payloads]
    good = [code_of(secret, {**payload, **soon, "jti": str(number)}) for number, payload in enumerate(payloads)]
    await inspect_all(instance, codes + good)
    for code in codes + good + good:
        await agree(instance, code)


async def test_inspection_of_a_used_code_says_so_and_of_an_unused_one_uses_nothing_up(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(single_use=True)
    code = code_of(secret, {"user": {"id": "ada"}, "exp": int(time.time()) + 300, "jti": "1"})
    for _ in range(3):
        assert (await inspect(code, instance.external_auth)).accepted
    await sign_in(instance, code)
    found = await agree(instance, code)
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.CODE_ALREADY_USED
    assert set(failed(found)) == {"single use"}


# ---------------------------------------------------------------- what it found


async def test_newcomer_is_told_with_the_seat_it_takes(instance: Instance) -> None:
    secret = await enable(instance)
    await set_seat_limit(5, TESTER)
    await member("grace@example.com")
    found = await inspect(code_of(secret, {"user": {"id": "ada", "plan": "gold"}}), instance.external_auth)
    assert (found.accepted, found.creates_user, found.user, found.refusal) == (True, True, None, None)
    details = {check.name: check.detail for check in found.checks}
    assert "'ada'" in details["user"]
    assert "2 of 5" in details["seat"]
    assert found.header == {"alg": "HS256", "typ": "JWT"}
    assert found.claims == {"user": {"id": "ada", "plan": "gold"}}
    assert found.secret
    assert found.secret.hint == secret[:4]


async def test_known_user_is_named(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada"}}))
    found = await inspect(code_of(secret, {"id": "ada"}), instance.external_auth)
    assert found.user
    assert (found.accepted, found.creates_user, found.user.id) == (True, False, "ada")


async def test_every_check_is_made_although_an_earlier_one_failed(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(issuer="crm")
    await secrets.disable(TESTER)
    found = await inspect(code_of(secret, {"id": "nobody", "exp": 5}), instance.external_auth)
    assert set(failed(found)) == {"enabled", "times", "policy", "user", "seat"}
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.EXTERNAL_AUTH_DISABLED


# ---------------------------------------------------------------- the likely cause, in plain words


async def test_retired_or_revoked_secret_is_named(instance: Instance) -> None:
    retired_text = await enable(instance)
    retired = (await secrets.list_secrets())[0].id
    revoked = await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    await secrets.rotate(instance.cipher, TESTER)
    await secrets.revoke(revoked.row.id, TESTER)
    for text, secret_id, word, status in (
        (retired_text, retired, "retired", JwtSecretStatus.RETIRED),
        (revoked.text, revoked.row.id, "revoked", JwtSecretStatus.REVOKED),
    ):
        found = await agree(instance, code_of(text, {"user": {"id": "ada"}}))
        assert word in failed(found)["signature"]
        assert secret_id in failed(found)["signature"]
        assert text[:4] in failed(found)["signature"]
        assert text not in repr(found)
        assert found.secret
        assert (found.secret.id, status_of(found.secret, datetime.now(UTC))) == (secret_id, status)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda text: base64.urlsafe_b64decode(text + "="), "decoding it from base64"),
        (lambda text: base64.b64encode(text.encode()), "encoding it to base64"),
        (lambda text: text.encode() + b"\n", "line end"),
        (lambda text: text.encode() + b"\r\n", "line end"),
        (lambda text: text.encode() + b" ", "space"),
        (lambda text: f'"{text}"'.encode(), "quotation marks"),
        (lambda text: f"'{text}'".encode(), "quotation marks"),
    ],
    ids=["base64-decoded", "base64-encoded", "newline", "carriage return", "space", "double quotes", "single quotes"],
)
async def test_mistaken_key_is_recognised(instance: Instance, mistake: Callable[[str], bytes], words: str) -> None:
    secret = await enable(instance)
    code = jwt.encode({"user": {"id": "ada"}}, mistake(secret), "HS256")
    found = await agree(instance, code)
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.INVALID_SIGNATURE
    assert words in failed(found)["signature"]
    assert (await secrets.list_secrets())[0].id in failed(found)["signature"]
    assert found.secret is None


async def test_secret_of_another_place_is_told(instance: Instance) -> None:
    await enable(instance)
    found = await agree(instance, code_of("x" * 43, {"user": {"id": "ada"}}))
    assert "another environment" in failed(found)["signature"]


async def test_kid_of_another_secret_is_told(instance: Instance) -> None:
    old = await enable(instance)
    old_id = (await secrets.list_secrets())[0].id
    made = await secrets.rotate(instance.cipher, TESTER)
    found = await agree(instance, code_of(old, {"user": {"id": "ada"}}, kid=made.row.id))
    assert old_id in failed(found)["signature"]
    assert "kid" in failed(found)["signature"]


async def test_asymmetric_algorithm_is_told(instance: Instance) -> None:
    await enable(instance)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    found = await agree(instance, jwt.encode({"user": {"id": "ada"}}, key, "RS256"))
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.INVALID_SIGNATURE
    assert "HS256" in failed(found)["signature"]
    assert found.header
    assert found.header["alg"] == "RS256"


async def test_cut_off_code_is_told(instance: Instance) -> None:
    secret = await enable(instance)
    found = await agree(instance, code_of(secret, {"user": {"id": "ada"}})[:-3])
    assert "cut off" in failed(found)["signature"]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": NOON_SECONDS * 1000}, "milliseconds"),
        ({"nbf": NOON_SECONDS * 1000}, "milliseconds"),
        ({"iat": NOON_SECONDS * 1000}, "milliseconds"),
        ({"exp": str(NOON_SECONDS + 300)}, "text"),
        ({"iat": NOON_SECONDS + 95}, "ahead by 95 s"),
        ({"nbf": NOON_SECONDS + 4500}, "ahead by 4500 s"),
        ({"iat": NOON_SECONDS + 7200}, "time zone"),
        ({"nbf": NOON_SECONDS + 19_801}, "time zone"),
        ({"exp": NOON_SECONDS * 1_000_000}, "microseconds"),
        ({"exp": 604_800}, "duration"),
        ({"exp": NOON_SECONDS - 3600, "iat": NOON_SECONDS - 7200}, "Sign a new code"),
    ],
    ids=[
        "exp ms",
        "nbf ms",
        "iat ms",
        "exp text",
        "clock ahead",
        "nbf ahead",
        "UTC+2",
        "UTC+5:30",
        "exp µs",
        "duration",
        "kept",
    ],
)
async def test_wrong_times_are_explained(instance: Instance, claims: dict[str, object], words: str) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        found = await agree(instance, code_of(secret, {"user": {"id": "ada"}, **claims}))
    times = next(check for check in found.checks if check.name == "times")
    assert words in times.detail
    assert not times.passed


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"user": {"userId": "ada"}}, "userId"),
        ({"user": {"sub": "ada", "email": "ada@example.com"}}, "sub"),
        ({"user": {"email": "ada@example.com"}}, "user.id is missing"),
        ({"sub": "ada"}, "sub"),
        ({"user": json.dumps({"id": "ada"})}, "converted to JSON text"),
        ({}, "names no user"),
        ({"user": {"id": "undefined"}}, "word for a missing value"),
    ],
    ids=repr,
)
async def test_missing_person_is_explained(instance: Instance, claims: dict[str, object], words: str) -> None:
    secret = await enable(instance)
    found = await agree(instance, code_of(secret, claims))
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.INVALID_CLAIMS
    assert words in failed(found)["claims"]


async def test_user_who_has_the_email_is_named(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, {"user": {"id": "ada", "email": "ada@example.com"}}))
    found = await agree(instance, code_of(secret, {"user": {"id": "bob", "email": "ada@example.com"}}))
    assert found.refusal
    assert found.refusal.code == SignInErrorCode.EMAIL_TAKEN
    assert "'ada'" in failed(found)["user"]


async def test_time_that_no_calendar_has_is_no_trouble(instance: Instance) -> None:
    secret = await enable(instance)
    for exp in (1e300, 10**30, 253_402_300_800, 1e15, -1e300, -(10**30), -62_135_596_801, 0):
        assert not (await agree(instance, code_of(secret, {"user": {"id": "ada"}, "exp": exp}))).accepted


async def test_grace_after_the_end_is_told(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        code = code_of(secret, {"user": {"id": "ada"}, "exp": NOON_SECONDS})
        clock.shift(timedelta(seconds=30))
        found = await agree(instance, code)
        assert "30 s ago" in next(check.detail for check in found.checks if check.name == "times")


@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        ("https://auth.example.com/?externalAuthCode={code}&returnTo=/x", "this is the whole link"),
        ("https://links.example/?url=https%3A%2F%2Fa.example%2F%3FexternalAuthCode%3D{code}&data=05", "the whole link"),
        ("{code}&returnTo=/x", "a part of the link (URL)"),
        ("{code}#top", "a part of the link (URL)"),
        ("\ufeff{code}", "an invisible character"),
        ("{first}\u00ad{rest}", "an invisible character"),
        ("{first}\u200b{rest}", "an invisible character"),
        ("{first}%2E{rest}", "percent-encoded"),
        ("Bearer {code}", "this is the whole header"),
        ("{first}\n{rest}", "the copied code contains a space or a line end"),
        ('"{code}"', "the quotation marks around the code were copied too"),
    ],
)
async def test_what_was_pasted_with_the_code_is_named(instance: Instance, pasted: str, cause: str) -> None:
    code = code_of(await enable(instance), {"user": {"id": "ada"}})
    found = await agree(instance, pasted.format(code=code, first=code[:30], rest=code[30:]))
    assert cause in failed(found)["form"]


@pytest.mark.parametrize(
    ("digest", "in_hex", "cause"),
    [
        ("sha256", True, "hex digits"),
        ("sha512", False, "HMAC-SHA-512"),
        ("sha384", False, "HMAC-SHA-384"),
        ("sha1", False, "HMAC-SHA-1"),
    ],
)
async def test_signature_of_another_length_is_explained(
    instance: Instance, digest: str, in_hex: bool, cause: str
) -> None:
    secret = await enable(instance)
    head, _, _ = code_of(secret, {"user": {"id": "ada"}}).rpartition(".")
    made = hmac.new(secret.encode(), head.encode(), digest)
    signature = made.hexdigest() if in_hex else base64.urlsafe_b64encode(made.digest()).rstrip(b"=").decode()
    found = failed(await agree(instance, f"{head}.{signature}"))["signature"]
    assert cause in found
    assert "cut off" not in found or digest == "sha1"


@pytest.mark.parametrize("claims", [{"user": {"ID": "1"}}, {"User": {"id": "1"}}, {"Id": "1"}, {"EMAIL": "a@b.c"}])
async def test_name_in_the_wrong_case_is_explained(instance: Instance, claims: dict[str, object]) -> None:
    found = failed(await agree(instance, code_of(await enable(instance), claims)))["claims"]
    assert "case-sensitive" in found


async def test_malformed_email_of_a_known_user_is_told(instance: Instance) -> None:
    secret = await enable(instance)
    code = code_of(secret, {"user": {"id": "ada", "email": "no address"}})
    assert "user.email is not a well-formed" in failed(await agree(instance, code))["user"]
    await sign_in(instance, code_of(secret, {"user": {"id": "ada"}}))
    found = await agree(instance, code)
    assert found.accepted
    assert "not well-formed" in next(check.detail for check in found.checks if check.name == "user")
