"""What a payload may say: who is meant, the times, and what the policy asks for (contract §1, RFC 7519 §4.1).

Plain functions from a decoded payload to typed values, called by the checks of `codes.py` and by nothing else. They
raise `SignInRefused` with a reason for the integrator, which names the claim and what is wanted, and never its value.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from service.accounts.identifiers import normalise_email, parse_user_id
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.errors import SignInErrorCode, SignInRefused
from service.external_auth.policy import Policy
from service.text import JsonObject, JsonValue, has_lone_surrogates, name_type

MAX_METADATA_LEVELS: Final = 8
MAX_JTI_CHARACTERS: Final = 255
MAX_EXPIRY_AHEAD: Final = 100 * 365.25 * 86_400  # seconds: 100 years (contract §1)
MILLISECONDS_FROM: Final = 1e11  # seconds of the year 5138, milliseconds of 1973: nobody means the former
MICROSECONDS_FROM: Final = 1e14  # milliseconds of the year 5138, microseconds of 1973
_LONG: Final = 10**9  # seconds; longer spans are given as "more than"


class Times(NamedTuple):
    """`exp`, `nbf` and `iat` in seconds since 1970, all finite; None where the code has none."""

    exp: float | None
    nbf: float | None
    iat: float | None


def read_subject(payload: JsonObject) -> Subject:
    """Whom the code signs in. `user` wins over `id`, `id` over `email`; what did not win is not looked at."""
    if (user := payload.get("user")) is not None:
        return _read_user(user)
    if (user_id := payload.get("id")) is not None:
        return IdClaim(_read_id("id", user_id))
    if (email := _given_email(payload)) is not None:
        return EmailClaim(_read_email("email", email))
    raise _invalid("the code names nobody: one of user, id and email is required")


def _read_user(user: JsonValue) -> UserClaim:
    if not isinstance(user, dict):
        raise _invalid(f"user is {name_type(user)}, and must be an object")
    if (user_id := user.get("id")) is None:
        raise _invalid("user.id is missing")
    email, email_problem = _read_users_email(user)
    metadata = {name: value for name, value in user.items() if name not in ("id", "email")}
    return UserClaim(
        id=_read_id("user.id", user_id),
        email=email,
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


def _read_email(name: str, value: JsonValue) -> str:
    try:
        return normalise_email(value)
    except ValueError as problem:
        raise _invalid(f"{name} {problem}") from None


def _checked_metadata(metadata: JsonObject) -> JsonObject:
    """Level by level rather than by recursion; the metadata object is level 1."""
    containers: list[JsonValue] = [metadata]
    for _ in range(MAX_METADATA_LEVELS):
        values = [value for container in containers for value in _contents(container)]
        for value in values:
            _check_value(value)
        containers = [value for value in values if isinstance(value, (dict, list))]
        if not containers:
            return metadata
    raise _invalid(f"the metadata in user is nested more than {MAX_METADATA_LEVELS} levels deep")


def _contents(container: JsonValue) -> Iterable[JsonValue]:
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return container if isinstance(container, list) else ()


def _check_value(value: JsonValue) -> None:
    """What JSON can spell and this service could never give back: no JSON writes infinity, no UTF-8 half a character."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid("the metadata in user has a number that is too large")
    if isinstance(value, str) and has_lone_surrogates(value):
        raise _invalid("the metadata in user has a lone surrogate, which is half a character")


def read_claimed_subject(payload: JsonObject) -> IdClaim | EmailClaim | None:
    """Whom a code speaks of, whatever else is wrong with it: for the audit log, and to sign nobody in by."""
    user = payload.get("user")
    named = payload if user is None else user if isinstance(user, dict) else {}
    with suppress(ValueError):
        return IdClaim(parse_user_id(named.get("id")))
    with suppress(ValueError):
        return EmailClaim(normalise_email(named.get("email")))
    return None


def read_times(payload: JsonObject) -> Times:
    """The three times as numbers, whatever moment it is. Left out is fine; null, text and infinity are not."""
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
    """Both ends of a code's life, each with its grace; the very end of it is past (RFC 7519 §4.1.4: "on or after")."""
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
    """What the policy requires and the code lacks (contract §1, last rules)."""
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
        raise _invalid(f"exp and iat are both required: the policy here bounds a code's life to {bound} seconds")
    if (lifetime := times.exp - times.iat) > bound:
        raise _invalid(f"exp is {_span(lifetime)} after iat, and the policy here allows {bound}")


def _check_single_use(payload: JsonObject, times: Times) -> None:
    if times.exp is None:
        raise _invalid("exp is missing: the policy here accepts each code once, and only codes that expire")
    if payload.get("jti") is None:
        raise _invalid("jti is missing: the policy here accepts each code once, and tells them apart by it")
    if read_jti(payload) is None:
        raise _invalid(f"jti must be a string of 1 to {MAX_JTI_CHARACTERS} characters")


def read_jti(payload: JsonObject) -> str | None:
    """The code's own id, where it is one that can be kept (contract §1); None where it is not."""
    jti = payload.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS or has_lone_surrogates(jti):
        return None
    return jti


def _read_audiences(aud: JsonValue) -> list[JsonValue]:
    """No audience at all where `aud` is neither a string nor an array of strings: not half of a broken list."""
    audiences: list[JsonValue] = aud if isinstance(aud, list) else [aud]
    return audiences if all(isinstance(audience, str) for audience in audiences) else []


def _invalid(reason: str) -> SignInRefused:
    return SignInRefused(SignInErrorCode.INVALID_CLAIMS, reason=reason)
