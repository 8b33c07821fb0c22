"""Each hostile code is refused with the error code of contract §1, and nothing ever raises anything else."""

import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.accounts.subjects import Subject, UserClaim
from service.errors import SignInRefused
from service.external_auth.codes import CHECKS, SigningSecret, UnverifiedCode, run_checks
from service.external_auth.policy import Policy
from service.refusal_texts import SignInErrorCode
from tests.hostile.codes import HOSTILE, SEEDS, HostileCode
from tests.hostile.forging import HEADER, base64url, forge, sign_segments

SECRET = "kZ3v9y0Qq8mX1t7bR5wL2cN4hJ6pF-sD_gA0eUiOzYw"
SECRETS = [SigningSecret("sec_hostile", SECRET.encode(), live=True)]


def email_problem(subject: Subject) -> str | None:
    """The checks let a malformed `user.email` pass, because it keeps no known user out; it keeps a new user out."""
    return subject.email_problem if isinstance(subject, UserClaim) else None


def checked(code: str, moment: float) -> None:
    """Run the checks as the exchange of a new user does; raises `SignInRefused`."""
    claims = run_checks(UnverifiedCode(code, SECRETS, Policy(), moment))
    if reason := email_problem(claims.subject):
        raise SignInRefused(SignInErrorCode.INVALID_CLAIMS, reason=reason)


@pytest.mark.parametrize("hostile", [*HOSTILE, *SEEDS], ids=str)
def test_code_gets_exactly_the_answer_it_deserves(hostile: HostileCode) -> None:
    code = hostile.make(SECRET)

    if hostile.expected is None:
        checked(code, time.time())
        return
    with pytest.raises(SignInRefused) as refused:
        checked(code, time.time())
    assert refused.value.code == hostile.expected
    assert refused.value.reason


@pytest.mark.parametrize("hostile", [*HOSTILE, *SEEDS], ids=str)
def test_going_on_past_failures_finds_the_same_first_one_and_raises_nothing_else(hostile: HostileCode) -> None:
    unverified = UnverifiedCode(hostile.make(SECRET), SECRETS, Policy(), time.time())
    refusals = []
    for check in CHECKS:
        if check.can_run(unverified):
            try:
                check.run(unverified)
            except SignInRefused as refused:
                refusals.append(refused.code)
        else:
            assert refusals, f"{check.name} cannot run although all before it passed"

    if not refusals and email_problem(unverified.subject):
        refusals.append(SignInErrorCode.INVALID_CLAIMS)
    assert (refusals[0] if refusals else None) == hostile.expected


def test_table_is_large_and_each_name_stands_once() -> None:
    assert len(HOSTILE) >= 120
    assert [name for name, count in Counter(hostile.name for hostile in HOSTILE).items() if count > 1] == []


def _outcome(code: str) -> str:
    try:
        checked(code, 0.0)
    except SignInRefused as refused:
        return refused.code
    return "accepted"


@given(st.text())
@example("\ud800.\ud800.\ud800")
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    assert _outcome(text) == "MALFORMED_CODE"


@given(st.text(), st.text(), st.text())
def test_no_three_segments_raise_anything_but_a_refusal(header: str, payload: str, signature: str) -> None:
    assert _outcome(f"{header}.{payload}.{signature}") in {"MALFORMED_CODE", "INVALID_SIGNATURE"}


@given(st.binary())
@example(b"")
def test_no_signed_payload_raises_anything_but_a_refusal(payload: bytes) -> None:
    assert _outcome(sign_segments(SECRET, base64url(b'{"alg":"HS256"}'), base64url(payload))) == "MALFORMED_CODE"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters()), values),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["user", "id", "email", "exp", "nbf", "iat", "jti", "iss", "aud"]), _JSON))
def test_no_signed_claims_raise_anything_but_a_refusal(claims: dict[str, object]) -> None:
    assert _outcome(forge(SECRET, claims))


@given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "jku", "x5c"]), _JSON))
def test_no_signed_header_raises_anything_but_a_refusal(header: dict[str, object]) -> None:
    assert _outcome(forge(SECRET, {"id": "x"}, {**HEADER, **header}))
