"""Which secret a code is verified with, how far a refused one comes, and how one is signed.

What codes may say is in `test_claims.py` and `test_code_policy.py`, hostile ones are in `tests/hostile/`.
"""

import time
from dataclasses import FrozenInstanceError

import jwt
import pytest
from pydantic import ValidationError

from service.accounts.subjects import IdClaim, UserClaim
from service.errors import SignInRefused
from service.external_auth.codes import (
    CHECKS,
    SigningSecret,
    UnverifiedCode,
    claimed_subject_of,
    find_signer,
    run_checks,
    sign,
)
from service.external_auth.policy import EmailLinking, Policy
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject
from tests.external_auth.checking import verify

KEYS = [f"{number}Z3v9y0Qq8mX1t7bR5wL2cN4hJ6pF-sD_gA0eUiOzYw" for number in range(3)]
CURRENT, RETIRING, REVOKED = (
    SigningSecret(f"sec_{number}", key.encode(), live=number < 2) for number, key in enumerate(KEYS)
)
ALL = [CURRENT, RETIRING, REVOKED]
DEFAULT = Policy()
NOW = 1_800_000_000.0
WHO: JsonObject = {"user": {"id": "crm-42"}}


def code_of(claims: JsonObject, key: str = KEYS[0], **header: object) -> str:
    """As an integrator's program makes it: with a JWT library, from the secret's text."""
    return jwt.encode(dict(claims), key, algorithm="HS256", headers=header)


def refusal_of(code: str, policy: Policy = DEFAULT, known: list[SigningSecret] | None = None) -> tuple[str, str]:
    with pytest.raises(SignInRefused) as refused:
        verify(code, ALL if known is None else known, policy, NOW)
    return refused.value.code, refused.value.reason or ""


def test_unknown_or_absent_kid_tries_every_live_secret() -> None:
    for secret, key in zip((CURRENT, RETIRING), KEYS, strict=False):
        assert verify(code_of(WHO, key), ALL, DEFAULT, NOW).secret_id == secret.id
        assert verify(code_of(WHO, key, kid="unknown"), ALL, DEFAULT, NOW).secret_id == secret.id
        assert verify(code_of(WHO, key, kid=secret.id), ALL, DEFAULT, NOW).secret_id == secret.id


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (code_of(WHO, KEYS[2]), "the signature was not made with any secret in use here"),
        (code_of(WHO, KEYS[2], kid="sec_2"), "kid names a secret that is no longer accepted"),
        (code_of(WHO, KEYS[0], kid="sec_2"), "kid names a secret that is no longer accepted"),
        (code_of(WHO, KEYS[0], kid="sec_1"), "the signature was not made with the secret that kid names"),
        (code_of(WHO, KEYS[0])[:-3], "the signature must be 32 bytes long: was the code cut off?"),
        (code_of(WHO, KEYS[0]).rpartition(".")[0] + ".", "the signature is empty"),
        (
            code_of(WHO, KEYS[0]).rpartition(".")[0] + ".A",
            "the signature is not canonical base64url: was it cut off or ",
        ),
        (jwt.encode(WHO, KEYS[0] * 2, "HS512"), "alg must be HS256: no other algorithm is accepted"),
    ],
)
def test_bad_signature_is_refused_with_the_reason(code: str, reason: str) -> None:
    found_code, found = refusal_of(code)
    assert found_code == SignInErrorCode.INVALID_SIGNATURE
    assert found.startswith(reason)


def test_no_secret_at_all_accepts_nothing() -> None:
    assert refusal_of(code_of(WHO), known=[])[0] == "INVALID_SIGNATURE"
    assert refusal_of(code_of(WHO, KEYS[2]), known=[REVOKED])[0] == "INVALID_SIGNATURE"


def test_payload_of_a_stranger_is_not_even_decoded() -> None:
    unverified = UnverifiedCode(code_of({"exp": "x"}, "a stranger's key of enough bytes to sign"), ALL, DEFAULT, NOW)
    with pytest.raises(SignInRefused):
        run_checks(unverified)
    assert not unverified.is_genuine
    assert not hasattr(unverified, "payload")
    assert claimed_subject_of(unverified) is None


def test_refused_code_that_is_genuine_still_tells_whom_it_names() -> None:
    unverified = UnverifiedCode(code_of({**WHO, "exp": 1}), ALL, DEFAULT, NOW)
    with pytest.raises(SignInRefused):
        run_checks(unverified)
    assert unverified.is_genuine
    assert claimed_subject_of(unverified) == IdClaim("crm-42")


def test_signing_key_is_never_short_and_never_shown() -> None:
    for key in (b"", b"x" * 31):
        with pytest.raises(ValueError, match="at least 32 bytes"):
            SigningSecret("sec_9", key, live=True)
    assert KEYS[0] not in repr(CURRENT)
    unverified = UnverifiedCode(code_of(WHO), ALL, DEFAULT, NOW)
    assert unverified.text not in repr(unverified)


def test_checks_stand_in_the_contract_s_order() -> None:
    assert [check.name for check in CHECKS] == ["form", "signature", "payload", "times", "claims", "policy"]


def run_all(unverified: UnverifiedCode) -> dict[str, str | None]:
    outcome: dict[str, str | None] = {}
    for check in CHECKS:
        if check.can_run(unverified):
            try:
                check.run(unverified)
                outcome[check.name] = None
            except SignInRefused as refused:
                outcome[check.name] = refused.code
    return outcome


def test_every_check_can_go_on_after_the_signature_failed() -> None:
    unverified = UnverifiedCode(code_of({**WHO, "exp": 1, "nbf": 2}, KEYS[2]), ALL, Policy(issuer="crm"), NOW)
    assert run_all(unverified) == {
        "form": None,
        "signature": "INVALID_SIGNATURE",
        "payload": None,
        "times": "CODE_EXPIRED",
        "claims": None,
        "policy": "INVALID_CLAIMS",
    }
    assert find_signer(unverified, ALL) == REVOKED
    assert unverified.subject == UserClaim("crm-42", None, None)
    assert unverified.header == {"alg": "HS256", "typ": "JWT"}


def test_checks_whose_needs_are_missing_cannot_run() -> None:
    assert run_all(UnverifiedCode("no code", ALL, DEFAULT, NOW)) == {"form": "MALFORMED_CODE"}
    assert run_all(UnverifiedCode(code_of(WHO, crit=["x"]), ALL, DEFAULT, NOW)) == {
        "form": "MALFORMED_CODE",
        "signature": None,
        "payload": None,
        "times": None,
        "claims": None,
        "policy": None,
    }
    assert "policy" not in run_all(UnverifiedCode(sign({**WHO, "exp": "soon"}, KEYS[0], "sec_0"), ALL, DEFAULT, NOW))


def test_signed_code_is_verified_and_names_its_secret() -> None:
    code = sign({"user": {"id": "crm-42", "email": "a@b.c"}, "exp": time.time() + 60}, KEYS[1], "sec_1")
    assert jwt.get_unverified_header(code) == {"alg": "HS256", "typ": "JWT", "kid": "sec_1"}
    assert jwt.decode(code, KEYS[1], algorithms=["HS256"])["user"] == {"id": "crm-42", "email": "a@b.c"}
    assert verify(code, ALL, DEFAULT, time.time()).secret_id == "sec_1"


def test_verified_claims_and_policies_cannot_be_changed() -> None:
    claims = verify(code_of(WHO), ALL, DEFAULT, NOW)
    with pytest.raises(FrozenInstanceError):
        claims.secret_id = "x"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT.single_use = True  # type: ignore[misc]


def test_default_policy_is_the_documents() -> None:
    assert Policy() == Policy(
        require_expiry=False,
        max_lifetime_seconds=None,
        single_use=False,
        session_ends_with_code=False,
        clock_skew_seconds=60,
        issuer=None,
        audience=None,
        email_linking=EmailLinking.REFUSE,
    )
