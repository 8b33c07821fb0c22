"""What a policy requires of a code: each requirement met, and each one missed, with the reason."""

import json
import secrets

import jwt
import pytest

from service.errors import SignInRefused
from service.external_auth.codes import SigningSecret
from service.external_auth.policy import Policy
from service.text import JsonObject
from tests.external_auth.checking import verify

KEY = secrets.token_urlsafe(32)
KNOWN = [SigningSecret("sec_0", KEY.encode(), live=True)]
NOW = 1_800_000_000
EXPIRING = Policy(require_expiry=True)
BOUNDED = Policy(max_lifetime_seconds=300)
SINGLE_USE = Policy(single_use=True)
ISSUED = Policy(issuer="crm")
ADDRESSED = Policy(audience="doorcode")
STRICTEST = Policy(require_expiry=True, max_lifetime_seconds=300, single_use=True, issuer="crm", audience="doorcode")
ALL_CLAIMS: JsonObject = {"iat": NOW, "exp": NOW + 300, "jti": "j", "iss": "crm", "aud": "doorcode"}


def code_of(claims: JsonObject) -> str:
    # The bare writer: the claim-aware one refuses an `iss` that is no string.
    payload = json.dumps({"user": {"id": "crm-42"}, **claims})
    return jwt.PyJWS().encode(payload.encode(), KEY, "HS256")


@pytest.mark.parametrize(
    ("policy", "claims"),
    [
        (EXPIRING, {"exp": NOW + 1}),
        (EXPIRING, {"exp": NOW - 59}),
        (BOUNDED, {"iat": NOW, "exp": NOW + 300}),
        (BOUNDED, {"iat": NOW + 30, "exp": NOW + 10}),
        (SINGLE_USE, {"exp": NOW + 1, "jti": "j"}),
        (SINGLE_USE, {"exp": NOW + 1, "jti": "\U0001f600" * 255}),
        (SINGLE_USE, {"exp": NOW + 1, "jti": " "}),
        (SINGLE_USE, {"exp": NOW + 1, "jti": "a\0b\n"}),
        (ISSUED, {"iss": "crm"}),
        (ADDRESSED, {"aud": "doorcode"}),
        (ADDRESSED, {"aud": ["other", "doorcode"]}),
        (STRICTEST, ALL_CLAIMS),
        (Policy(), {"iss": 1, "aud": {}, "jti": []}),
    ],
)
def test_code_that_meets_the_policy_is_accepted(policy: Policy, claims: JsonObject) -> None:
    assert verify(code_of(claims), KNOWN, policy, NOW).expires_at == claims.get("exp")


@pytest.mark.parametrize(
    ("policy", "claims", "reason"),
    [
        (EXPIRING, {}, "exp is missing: the policy here requires codes that expire"),
        (
            BOUNDED,
            {"exp": NOW + 1},
            "exp and iat are both required: the policy here limits a code's lifetime to 300 seconds",
        ),
        (
            BOUNDED,
            {"iat": NOW},
            "exp and iat are both required: the policy here limits a code's lifetime to 300 seconds",
        ),
        (BOUNDED, {"iat": NOW, "exp": NOW + 301}, "exp is 301 seconds after iat, and the policy here allows 300"),
        (BOUNDED, {"iat": -1e308, "exp": NOW + 1}, "exp is more than 1000000000 seconds after iat, and "),
        (
            SINGLE_USE,
            {"jti": "j"},
            "exp is missing: the policy here accepts each code once and requires codes that expire",
        ),
        (SINGLE_USE, {"exp": NOW + 1}, "jti is missing: the policy here accepts each code once"),
        (SINGLE_USE, {"exp": NOW + 1, "jti": None}, "jti is missing: the policy here accepts each code once"),
        *(
            (SINGLE_USE, {"exp": NOW + 1, "jti": jti}, "jti must be a string of 1 to 255 characters")
            for jti in ("", "x" * 256, 1, True, ["j"], "\ud800")
        ),
        *((ISSUED, {"iss": iss}, "iss must be the issuer") for iss in ("CRM", "", None, 1, ["crm"], {"crm": 1})),
        (ISSUED, {}, "iss must be the issuer that the policy here names"),
        *(
            (ADDRESSED, {"aud": aud}, "aud must be the audience")
            for aud in ("Doorcode", "", None, 1, [], ["other"], ["doorcode", 1], [["doorcode"]], {"doorcode": 1})
        ),
        (ADDRESSED, {}, "aud must be the audience that the policy here names, or an array of strings with it"),
        *((STRICTEST, {k: v for k, v in ALL_CLAIMS.items() if k != name}, "") for name in ALL_CLAIMS),
    ],
)
def test_code_that_misses_the_policy_is_refused_with_the_reason(
    policy: Policy, claims: JsonObject, reason: str
) -> None:
    with pytest.raises(SignInRefused) as refused:
        verify(code_of(claims), KNOWN, policy, NOW)
    assert refused.value.code == "INVALID_CLAIMS"
    assert (refused.value.reason or "").startswith(reason)


REFUSED_BEFORE_THE_POLICY: list[tuple[JsonObject, str]] = [
    ({"exp": NOW - 60}, "CODE_EXPIRED"),
    ({"user": {}}, "INVALID_CLAIMS"),
]


def test_times_and_claims_answer_before_the_policy() -> None:
    for claims, code in REFUSED_BEFORE_THE_POLICY:
        with pytest.raises(SignInRefused) as refused:
            verify(code_of(claims), KNOWN, STRICTEST, NOW)
        assert refused.value.code == code
        assert "policy" not in str(refused.value)


@pytest.mark.parametrize(("jti", "kept"), [("j", "j"), (None, None), (1, None), ("", None), ("x" * 256, None)])
def test_jti_that_cannot_be_kept_is_none_where_nobody_asks_for_it(jti: str | int | None, kept: str | None) -> None:
    assert verify(code_of({"jti": jti}), KNOWN, Policy(), NOW).jti == kept
