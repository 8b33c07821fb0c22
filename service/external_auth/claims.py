"""Reads the claims of a decoded payload: the subject, the times, what the policy requires (contract §1, RFC 7519 §4.1).

Plain functions from a decoded payload to typed values. Only the checks in `codes.py` call them. They raise
`SignInRefused` with a reason for the integrator. A reason names the claim and what is required, never the claim's
value.
"""

import math
from contextlib import suppress
from typing import Final, NamedTuple

from service.accounts.groups import parse_group_names
from service.accounts.identifiers import normalise_email, parse_user_id
from service.accounts.metadata import check_metadata
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.errors import SignInRefused
from service.external_auth.policy import USER_MEMBERS, Policy
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject, JsonValue, has_lone_surrogates, name_type

MAX_JTI_CHARACTERS: Final = 255
MAX_EXPIRY_AHEAD: Final = 100 * 365.25 * 86_400  # seconds: 100 years (contract §1)
MILLISECONDS_FROM: Final = 1e11  # as seconds this is the year 5138, as milliseconds 1973: a signer means milliseconds
MICROSECONDS_FROM: Final = 1e14  # as milliseconds this is the year 5138, as microseconds 1973
# What identity providers send as `email_verified` beside true and false (contract §1).
_BOOLEANS: Final[dict[str | int, bool]] = {"true": True, "1": True, 1: True, "false": False, "0": False, 0: False}
_LONG: Final = 10**9  # seconds; a longer span is written as "more than"


class Times(NamedTuple):
    """`exp`, `nbf` and `iat` in seconds since 1970, all finite; None where the code has none."""

    exp: float | None
    nbf: float | None
    iat: float | None


def read_subject(payload: JsonObject, policy: Policy) -> Subject:
    """Return the subject that the code signs in. Raises `SignInRefused` if no subject can be read.

    `user` takes precedence over `id`, and `id` over `email`. Claims of lower precedence are ignored, even invalid ones.
    """
    if (user := payload.get("user")) is not None:
        return _read_user(user, policy)
    if (user_id := payload.get("id")) is not None:
        return IdClaim(_read_id("id", user_id))
    if (email := _given_email(payload)) is not None:
        return EmailClaim(_read_email("email", email))
    raise _invalid("the code names no user: one of user, id and email is required")


def _read_user(user: JsonValue, policy: Policy) -> UserClaim:
    if not isinstance(user, dict):
        raise _invalid(f"user is {name_type(user)}, and must be an object")
    if (user_id := user.get("id")) is None:
        raise _invalid("user.id is missing")
    email, email_problem = _read_users_email(user)
    email_verified = _read_email_verified(user)
    others = (*USER_MEMBERS, policy.groups_member)
    metadata = {name: value for name, value in user.items() if name not in others}
    return UserClaim(
        id=_read_id("user.id", user_id),
        email=email,
        groups=_read_groups(user, policy.groups_member),
        email_verified=policy.trust_emails if email_verified is None else email_verified,
        email_denied=email_verified is False,
        email_problem=email_problem,
        metadata=_checked_metadata(metadata) if metadata else None,
    )


def _read_id(name: str, value: JsonValue) -> str:
    try:
        return parse_user_id(value)
    except ValueError as problem:
        raise _invalid(f"{name} {problem}") from None


def _given_email(place: JsonObject) -> JsonValue:
    """The member `email`; None if it is absent, null, empty or blank, which all mean that there is no email."""
    email = place.get("email")
    return None if isinstance(email, str) and not email.strip() else email


def _read_users_email(user: JsonObject) -> tuple[str | None, str | None]:
    """The email, or the reason why it cannot be taken. A known user is signed in without it, so nothing is raised."""
    email = _given_email(user)
    if email is None:
        return None, None
    try:
        return normalise_email(email), None
    except ValueError as problem:
        return None, f"user.email {problem}"


def _read_email_verified(user: JsonObject) -> bool | None:
    """Whether the code says that the email is verified. None if it does not say. Raises `SignInRefused`."""
    value = user.get("email_verified")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, int)) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise _invalid('user.email_verified must be true, false, "true", "false", 1, 0, "1", "0" or null')


def _read_groups(user: JsonObject, member: str | None) -> tuple[str, ...] | None:
    """The groups, or None if the code says nothing of them: an absent or null member is not an empty array."""
    value = user.get(member) if member is not None else None
    if value is None:
        return None
    try:
        return parse_group_names(value)
    except ValueError as problem:
        raise _invalid(f"the groups in user.{member} are not valid: the member {problem}") from None


def _read_email(name: str, value: JsonValue) -> str:
    try:
        return normalise_email(value)
    except ValueError as problem:
        raise _invalid(f"{name} {problem}") from None


def _checked_metadata(metadata: JsonObject) -> JsonObject:
    try:
        check_metadata(metadata)
    except ValueError as problem:
        raise _invalid(f"the metadata in user {problem}") from None
    return metadata


def read_claimed_subject(payload: JsonObject) -> IdClaim | EmailClaim | None:
    """Return the subject that a code claims, or None. For the audit log of refused codes only; never sign in by it."""
    user = payload.get("user")
    named = payload if user is None else user if isinstance(user, dict) else {}
    with suppress(ValueError):
        return IdClaim(parse_user_id(named.get("id")))
    with suppress(ValueError):
        return EmailClaim(normalise_email(named.get("email")))
    return None


def read_times(payload: JsonObject) -> Times:
    """Return `exp`, `nbf` and `iat` as numbers, without comparing them to the clock.

    Raises `SignInRefused` for a value that is not a finite number. A missing claim is None; an explicit null is
    refused.
    """
    return Times(*(_read_seconds(payload, name) for name in Times._fields))


def _read_seconds(payload: JsonObject, name: str) -> float | None:
    if name not in payload:
        return None
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _invalid(f"{name} is {name_type(value)}, and must be a number of seconds since 1970")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise _invalid(f"{name} is too large a number, and must be a number of seconds since 1970")
    return seconds


def check_times(times: Times, now: float, clock_skew_seconds: int) -> None:
    """Raise `SignInRefused` if the code has expired or is not valid yet. Both ends allow the clock skew.

    A code expires at `exp` itself: RFC 7519 §4.1.4 says "on or after".
    """
    if times.exp is not None and times.exp > now + MAX_EXPIRY_AHEAD:
        raise _invalid(
            "exp is more than 100 years ahead: it is in milliseconds or microseconds, and must be in seconds"
        )
    if times.exp is not None and now >= times.exp + clock_skew_seconds:
        raise SignInRefused(SignInErrorCode.CODE_EXPIRED, reason=f"exp was {_span(now - times.exp)} ago")
    for name, start in (("nbf", times.nbf), ("iat", times.iat)):
        if start is not None and start > now + clock_skew_seconds:
            hint = ": is it in milliseconds?" if start > MILLISECONDS_FROM else ""
            reason = f"{name} is {_span(start - now)} ahead of the clock here{hint}"
            raise SignInRefused(SignInErrorCode.CODE_NOT_YET_VALID, reason=reason)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds <= _LONG else f"more than {_LONG} seconds"


def check_policy(payload: JsonObject, times: Times, policy: Policy) -> None:
    """Raise `SignInRefused` if the code lacks what the policy requires (contract §1, last rules)."""
    if policy.require_expiry and times.exp is None:
        raise _invalid("exp is missing: the policy here requires codes that expire")
    if policy.max_lifetime_seconds is not None:
        _check_lifetime(times, policy.max_lifetime_seconds)
    if policy.single_use:
        _check_single_use(payload, times)
    if policy.issuer is not None and payload.get("iss") != policy.issuer:
        raise _invalid("iss must be the issuer that the policy here names")
    if policy.audience is not None and policy.audience not in _read_audiences(payload.get("aud")):
        raise _invalid("aud must be the audience that the policy here names, or an array of strings with it")


def _check_lifetime(times: Times, bound: int) -> None:
    if times.exp is None or times.iat is None:
        raise _invalid(f"exp and iat are both required: the policy here limits a code's lifetime to {bound} seconds")
    if (lifetime := times.exp - times.iat) > bound:
        raise _invalid(f"exp is {_span(lifetime)} after iat, and the policy here allows {bound}")


def _check_single_use(payload: JsonObject, times: Times) -> None:
    if times.exp is None:
        raise _invalid("exp is missing: the policy here accepts each code once and requires codes that expire")
    if payload.get("jti") is None:
        raise _invalid("jti is missing: the policy here accepts each code once and identifies codes by jti")
    if read_jti(payload) is None:
        raise _invalid(f"jti must be a string of 1 to {MAX_JTI_CHARACTERS} characters")


def read_jti(payload: JsonObject) -> str | None:
    """Return the code's `jti`, or None if it is missing or cannot be stored (contract §1)."""
    jti = payload.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS or has_lone_surrogates(jti):
        return None
    return jti


def _read_audiences(aud: JsonValue) -> list[JsonValue]:
    """Return the audiences. An empty list if `aud` is neither a string nor an array that holds only strings."""
    audiences: list[JsonValue] = aud if isinstance(aud, list) else [aud]
    return audiences if all(isinstance(audience, str) for audience in audiences) else []


def _invalid(reason: str) -> SignInRefused:
    return SignInRefused(SignInErrorCode.INVALID_CLAIMS, reason=reason)
