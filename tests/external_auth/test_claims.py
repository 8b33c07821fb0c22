"""Which user a code names and when it is valid, as in the table of contract §1."""

import json
import secrets

import jwt
import pytest
import time_machine

from service.accounts.subjects import EmailClaim, IdClaim, UserClaim
from service.errors import SignInRefused
from service.external_auth.codes import SigningSecret, VerifiedClaims
from service.external_auth.policy import Policy
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject, JsonValue
from tests.external_auth.checking import verify

KEY = secrets.token_urlsafe(32)
KNOWN = [SigningSecret("sec_0", KEY.encode(), live=True)]
DEFAULT = Policy()
NOW = 1_800_000_000.0
WHO: JsonObject = {"user": {"id": "crm-42"}}


def code_of(claims: JsonObject) -> str:
    # PyJWT's claim-aware writer will not write every time; the bare one does.
    return jwt.PyJWS().encode(json.dumps(claims).encode(), KEY, "HS256")


def claims_of(code: str, policy: Policy = DEFAULT) -> VerifiedClaims:
    return verify(code, KNOWN, policy, NOW)


def refusal_of(code: str, policy: Policy = DEFAULT) -> tuple[str, str]:
    with pytest.raises(SignInRefused) as refused:
        verify(code, KNOWN, policy, NOW)
    return refused.value.code, refused.value.reason or ""


def test_user_claim_carries_id_email_and_everything_else_as_metadata() -> None:
    code = code_of({"user": {"id": "crm-42", "email": " Ada@Example.COM ", "name": "Ada", "teams": [1, {"x": None}]}})
    assert claims_of(code) == VerifiedClaims(
        subject=UserClaim("crm-42", "ada@example.com", {"name": "Ada", "teams": [1, {"x": None}]}),
        secret_id="sec_0",
        expires_at=None,
        jti=None,
    )


@pytest.mark.parametrize("user", [{"id": "crm-42"}, {"id": "crm-42", "email": None}])
def test_user_claim_without_email_or_metadata_carries_none(user: JsonObject) -> None:
    assert claims_of(code_of({"user": user})).subject == UserClaim("crm-42", None, None)


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ({"id": 1234}, IdClaim("1234")),
        ({"id": "usr_01"}, IdClaim("usr_01")),
        ({"email": "Ada@Example.com"}, EmailClaim("ada@example.com")),
        ({"user": {"id": 7}}, UserClaim("7", None, None)),
        ({"user": {"id": "a", "none": None}}, UserClaim("a", None, {"none": None})),
        ({"user": {"id": "a"}, "id": "b", "email": "c@d.e"}, UserClaim("a", None, None)),
        ({"id": "b", "email": "c@d.e"}, IdClaim("b")),
        ({"user": None, "id": "b"}, IdClaim("b")),
        ({"user": None, "id": None, "email": "c@d.e"}, EmailClaim("c@d.e")),
        ({"user": {"id": "a"}, "id": 1.5, "email": False}, UserClaim("a", None, None)),
        ({"id": "b", "email": "not an email"}, IdClaim("b")),
    ],
)
def test_user_wins_over_id_and_id_over_email(claims: JsonObject, subject: object) -> None:
    assert claims_of(code_of(claims)).subject == subject


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "the code names no user: one of user, id and email is required"),
        ({"user": "crm-42", "id": "b"}, "user is a string, and must be an object"),
        ({"user": {"email": "a@b.c"}}, "user.id is missing"),
        ({"user": {"id": None}, "id": "b"}, "user.id is missing"),
        ({"user": {"id": 1.5}}, "user.id is a float, and must be a string or an integer"),
        ({"id": ""}, "id is empty"),
        ({"id": True}, "id is a boolean, and must be a string or an integer"),
        ({"email": ""}, "the code names no user: one of user, id and email is required"),
        ({"email": "ada"}, "email is not a well-formed email address"),
        ({"email": ["a@b.c"]}, "email is an array, and must be a string"),
        ({"user": {"id": "a", "x": "\ud800"}}, "the metadata in user has a lone surrogate, which is half a character"),
        ({"user": {"id": "a", "m": [[[[[[[[1]]]]]]]]}}, "the metadata in user is nested more than 8 levels deep"),
    ],
)
def test_claims_that_cannot_be_are_refused_with_the_reason(claims: JsonObject, reason: str) -> None:
    code, found = refusal_of(code_of(claims))
    assert code == SignInErrorCode.INVALID_CLAIMS
    assert found.startswith(reason)


@pytest.mark.parametrize("empty", [None, "", " ", "\t\u00a0"])
def test_empty_email_counts_as_absent(empty: str | None) -> None:
    assert claims_of(code_of({"user": {"id": "a", "email": empty}})).subject == UserClaim("a", None, None)


@pytest.mark.parametrize(
    ("email", "reason"),
    [("ada@localhost", "has a domain without a period"), (42, "is an integer, and must be a string")],
)
def test_malformed_email_is_kept_as_a_reason_beside_the_user(email: JsonValue, reason: str) -> None:
    subject = claims_of(code_of({"user": {"id": "a", "email": email}})).subject
    assert subject == UserClaim("a", None, None, email_problem=f"user.email {reason}")


def test_metadata_may_have_eight_levels() -> None:
    metadata: JsonObject = {"m": [[[[[[[1]]]]]]]}
    assert claims_of(code_of({"user": {"id": "a", **metadata}})).subject == UserClaim("a", None, metadata)


def test_no_reason_repeats_what_the_code_says() -> None:
    told: list[JsonObject] = [
        {"id": 1.2345},
        {"email": "xyzzy"},
        {"user": "xyzzy"},
        {"exp": "xyzzy"},
        {"user": {"id": "xyzzy\0"}},
    ]
    for claims in told:
        with pytest.raises(SignInRefused) as refused:
            claims_of(code_of(claims))
        assert "xyzzy" not in str(refused.value)
        assert "1.2345" not in str(refused.value)


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"exp": NOW + 1}, None),
        ({"exp": NOW - 59.5}, None),
        ({"exp": NOW - 60}, ("CODE_EXPIRED", "exp was 60 seconds ago")),
        ({"exp": 0}, ("CODE_EXPIRED", "exp was more than 1000000000 seconds ago")),
        ({"nbf": NOW + 60}, None),
        ({"nbf": NOW + 61}, ("CODE_NOT_YET_VALID", "nbf is 61 seconds ahead of the clock here")),
        ({"iat": NOW + 60}, None),
        ({"iat": NOW + 61}, ("CODE_NOT_YET_VALID", "iat is 61 seconds ahead of the clock here")),
        (
            {"iat": NOW * 1000},
            (
                "CODE_NOT_YET_VALID",
                "iat is more than 1000000000 seconds ahead of the clock here: is it in milliseconds?",
            ),
        ),
        ({"exp": NOW - 61, "nbf": NOW + 61}, ("CODE_EXPIRED", "exp was 61 seconds ago")),
        (
            {"exp": NOW - 61, "nbf": "x"},
            ("INVALID_CLAIMS", "nbf is a string, and must be a number of seconds since 1970"),
        ),
        ({"exp": None}, ("INVALID_CLAIMS", "exp is null, and must be a number of seconds since 1970")),
        ({"exp": 10**400}, ("INVALID_CLAIMS", "exp is too large a number, and must be a number of seconds since 1970")),
    ],
)
def test_times_have_the_grace_that_the_policy_gives(claims: JsonObject, refusal: tuple[str, str] | None) -> None:
    code = code_of({**WHO, **claims})
    if refusal is None:
        assert claims_of(code).expires_at == claims.get("exp")
    else:
        assert refusal_of(code) == refusal


@pytest.mark.parametrize("skew", [0, 300])
def test_grace_is_the_policy_s(skew: int) -> None:
    policy = DEFAULT.model_copy(update={"clock_skew_seconds": skew})
    in_time = code_of({**WHO, "exp": NOW - skew + 1, "iat": NOW + skew})
    assert claims_of(in_time, policy).expires_at == NOW - skew + 1
    assert refusal_of(code_of({**WHO, "exp": NOW - skew}), policy)[0] == "CODE_EXPIRED"
    assert refusal_of(code_of({**WHO, "nbf": NOW + skew + 1}), policy)[0] == "CODE_NOT_YET_VALID"


def test_clock_is_the_caller_s_and_no_library_s() -> None:
    with time_machine.travel(NOW + 10_000):
        assert claims_of(code_of({**WHO, "exp": NOW + 1})).expires_at == NOW + 1
