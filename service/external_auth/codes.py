"""Verifies an externalAuthCode: takes unverified text and returns a `VerifiedClaims` value.

A code is a compact JWS (RFC 7515, read by `jws.py`) whose payload is a JWT claims set (RFC 7519, read by `claims.py`).
It is signed with HS256. The service chooses the algorithm, never the code (RFC 8725 §3.1).

`CHECKS` lists every check of a code, in the order of contract §1. `run_checks` stops at the first check that fails. An
inspection runs the same list and continues after a failure, so an exchange and an inspection cannot disagree.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import jwt

from service.accounts.code_cutoffs import find_cutoff_problem
from service.accounts.subjects import EmailClaim, IdClaim, Subject
from service.errors import SignInRefused
from service.external_auth import jws
from service.external_auth.claims import (
    Times,
    check_policy,
    check_times,
    read_claimed_subject,
    read_jti,
    read_subject,
    read_times,
)
from service.external_auth.policy import Policy
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject

ALGORITHM: Final = "HS256"

_KEY_BYTES_AT_LEAST = 32  # RFC 7518 §3.2
_SIGNATURE_BYTES = 32
_SIGNATURE_CHARACTERS = 43  # of them in base64url without padding
_PYJWS = jwt.PyJWS(algorithms=[ALGORITHM])
_HS256 = _PYJWS.get_algorithm_by_name(ALGORITHM)
_KNOWN_HEADERS = jws.KnownHeaders()


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A signing secret, live or not. `key` is the UTF-8 text of the secret as it was shown, None once it is destroyed."""

    id: str
    key: bytes | None = field(repr=False)
    live: bool

    def __post_init__(self) -> None:
        # Anyone could sign with an empty key. Only a bug can cause one, so this raises ValueError and not a refusal.
        if self.key is not None and len(self.key) < _KEY_BYTES_AT_LEAST:
            raise ValueError(f"a signing key has at least {_KEY_BYTES_AT_LEAST} bytes")


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """The claims of a code that passed every check."""

    subject: Subject
    secret_id: str
    expires_at: float | None
    """`exp`, in seconds since 1970. Any finite number, so it may be beyond what a `datetime` can hold."""
    jti: str | None
    """Not None if the policy requires single use."""
    issued_at: float | None = None
    """`iat`, in seconds since 1970."""


@dataclass(slots=True, eq=False, repr=False)  # a repr would show the code, which no log may hold
class UnverifiedCode:
    """A code that the checks are running on. Do not trust its values before every check has passed.

    Each check sets the attributes that it reads from the code. Reading an attribute that is not set yet raises
    `AttributeError`.
    """

    text: str
    secrets: Sequence[SigningSecret]
    """All secrets, newest first, including those that are no longer live."""
    policy: Policy
    now: float
    """Seconds since 1970."""
    codes_valid_from: datetime | None = None
    """A code that was issued before is refused."""

    segments: list[str] = field(init=False)
    header: JsonObject = field(init=False)
    payload_bytes: bytes = field(init=False)
    signer: SigningSecret = field(init=False)
    payload: JsonObject = field(init=False)
    times: Times = field(init=False)
    subject: Subject = field(init=False)

    @property
    def is_genuine(self) -> bool:
        """Whether the signature is valid. If it is, a later failure was caused by a holder of the secret."""
        return hasattr(self, "signer")


class Check(NamedTuple):
    """One check of a code. `run` raises `SignInRefused` if the code fails it."""

    name: str
    run: Callable[[UnverifiedCode], None]
    needs: tuple[str, ...] = ()
    """The attributes of `UnverifiedCode` that this check reads and an earlier check sets."""

    def can_run(self, unverified: UnverifiedCode) -> bool:
        """Whether the attributes that this check needs are set. They are if every earlier check has passed."""
        return all(hasattr(unverified, name) for name in self.needs)


def run_checks(unverified: UnverifiedCode) -> VerifiedClaims:
    """Return the claims of a code that passes every check. Raises `SignInRefused` at the first check that fails.

    After a refusal, the caller reads from the `UnverifiedCode` which checks passed.
    """
    for check in CHECKS:
        check.run(unverified)
    return VerifiedClaims(
        unverified.subject,
        unverified.signer.id,
        unverified.times.exp,
        read_jti(unverified.payload),
        unverified.times.iat,
    )


def _check_form(unverified: UnverifiedCode) -> None:
    unverified.segments = jws.split_code(unverified.text)
    header, payload, signature = unverified.segments
    if (known := _KNOWN_HEADERS.get(header)) is not None:
        unverified.payload_bytes = jws.decode_segment("payload", payload)
        unverified.header = known
    else:
        header_bytes = jws.decode_segment("header", header)
        unverified.payload_bytes = jws.decode_segment("payload", payload)
        unverified.header = jws.parse_object("header", header_bytes)
        jws.check_header(unverified.header)
        _KNOWN_HEADERS.add(header, unverified.header)
    jws.check_signature_alphabet(signature)


def _check_signature(unverified: UnverifiedCode) -> None:
    """Find the secret that signed the code. `kid` only selects among the stored secrets.

    `jwk`, `jku`, `x5u` and `x5c` are not read, because with them the sender would choose the key.
    """
    if unverified.header.get("alg") != ALGORITHM:
        raise _bad_signature(f"alg must be {ALGORITHM}: no other algorithm is accepted")
    named = [secret for secret in unverified.secrets if secret.id == unverified.header.get("kid")]
    if any(not secret.live for secret in named):
        raise _bad_signature("kid names a secret that is no longer accepted")
    signer = find_signer(unverified, named or [secret for secret in unverified.secrets if secret.live])
    if signer is None:
        segment = unverified.segments[2]
        fault = _describe_signature_fault(segment, kid_is_known=bool(named))
        raise _bad_signature(fault, incomplete=len(segment) < _SIGNATURE_CHARACTERS)
    unverified.signer = signer


def find_signer(unverified: UnverifiedCode, secrets: Sequence[SigningSecret]) -> SigningSecret | None:
    """Return the first of these secrets, live or not, that made the signature, else None.

    Requires `unverified.header`.
    """
    header, payload, signature = unverified.segments
    signature_bytes = jws.decode_base64url(signature)
    if signature_bytes is None or len(signature_bytes) != _SIGNATURE_BYTES:
        return None
    signing_input = f"{header}.{payload}".encode()
    return next((secret for secret in secrets if _verifies(secret.key, signing_input, signature_bytes)), None)


def _verifies(key: bytes | None, signing_input: bytes, signature: bytes) -> bool:
    return key is not None and _HS256.verify(signing_input, key, signature)


def has_whole_signature(unverified: UnverifiedCode) -> bool:
    """Whether the third segment has the length of an HS256 signature, 32 bytes."""
    return len(jws.decode_base64url(unverified.segments[2]) or b"") == _SIGNATURE_BYTES


def _describe_signature_fault(segment: str, *, kid_is_known: bool) -> str:
    decoded = jws.decode_base64url(segment)
    if not decoded:
        return f"the signature {jws.describe_base64url_fault(segment)}"
    if len(decoded) != _SIGNATURE_BYTES:
        cut_off = ": was the code cut off?" if len(decoded) < _SIGNATURE_BYTES else f", and has {len(decoded)}"
        return f"the signature must be {_SIGNATURE_BYTES} bytes long{cut_off}"
    if kid_is_known:
        return "the signature was not made with the secret that kid names"
    return "the signature was not made with any secret in use here"


def _bad_signature(reason: str, *, incomplete: bool = False) -> SignInRefused:
    return SignInRefused(SignInErrorCode.INVALID_SIGNATURE, reason=reason, incomplete=incomplete)


def _check_payload(unverified: UnverifiedCode) -> None:
    unverified.payload = jws.parse_object("payload", unverified.payload_bytes, too_deep=SignInErrorCode.INVALID_CLAIMS)


def _check_times(unverified: UnverifiedCode) -> None:
    unverified.times = read_times(unverified.payload)
    check_times(unverified.times, unverified.now, unverified.policy.clock_skew_seconds)
    if problem := find_cutoff_problem(unverified.times.iat, unverified.codes_valid_from, "all codes"):
        raise SignInRefused(SignInErrorCode.CODE_EXPIRED, cause=problem)


def _check_claims(unverified: UnverifiedCode) -> None:
    unverified.subject = read_subject(unverified.payload, unverified.policy)


def _check_policy(unverified: UnverifiedCode) -> None:
    check_policy(unverified.payload, unverified.times, unverified.policy)


CHECKS: Final[tuple[Check, ...]] = (
    Check("form", _check_form),
    Check("signature", _check_signature, needs=("header",)),
    Check("payload", _check_payload, needs=("payload_bytes",)),
    Check("times", _check_times, needs=("payload",)),
    Check("claims", _check_claims, needs=("payload",)),
    Check("policy", _check_policy, needs=("payload", "times")),
)


def claimed_subject_of(unverified: UnverifiedCode) -> IdClaim | EmailClaim | None:
    """Return the subject that a refused code claims, or None if the payload was not reached or claims none."""
    return read_claimed_subject(unverified.payload) if hasattr(unverified, "payload") else None


def read_jti_of(unverified: UnverifiedCode) -> str | None:
    """Return the `jti` of a code, or None if the payload was not reached or holds none that can be stored."""
    return read_jti(unverified.payload) if hasattr(unverified, "payload") else None


def sign(claims: JsonObject, key_text: str, kid: str) -> str:
    """Return a code with these claims, as any JWT library makes it from the secret's text.

    The claims are not checked.
    """
    return _PYJWS.encode(json.dumps(claims).encode(), key_text, ALGORITHM, {"kid": kid})
