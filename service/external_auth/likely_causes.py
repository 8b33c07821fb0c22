"""Finds the mistake that probably made a code fail, and says what to change. For the integrator."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import datetime

from service.accounts.implausible_ids import has_invisible_characters
from service.clock import to_the_second
from service.external_auth.claims import MICROSECONDS_FROM, MILLISECONDS_FROM
from service.external_auth.codes import ALGORITHM, SigningSecret, UnverifiedCode, find_signer, has_whole_signature
from service.external_auth.jws import decode_base64url
from service.external_auth.models import JwtSecret
from service.external_auth.secrets import DESTROYED_AFTER, JwtSecretStatus, is_destroyed, status_of
from service.text import JsonObject

_SIGNATURE_CHARACTERS = 43  # 32 bytes in base64url without padding
_HEX_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")  # 32 bytes, or the 64 characters of any SHA-256 in hex
_ALGORITHMS_BY_LENGTH = {20: "1", 48: "384", 64: "512"}  # bytes that the HMAC makes (RFC 7518 §3.2; SHA-1: RFC 2104)
_HALF_HOUR = 1_800  # seconds; time zones differ from UTC by whole multiples of it, nearly all of them
_MAX_ZONE_OFFSET = 14 * 3_600  # seconds: UTC+14:00
_QUOTATION_MARKS = tuple("\"'`")
_NAMES_OF_OTHERS = ("sub", "userId", "user_id", "uid", "external_id", "externalId", "name")


def find_any_signer(unverified: UnverifiedCode) -> SigningSecret | None:
    """Return the secret that made the signature, even a retired or revoked one, else None."""
    return find_signer(unverified, unverified.secrets) if hasattr(unverified, "header") else None


def explain_form(text: str) -> str | None:
    """Say what was probably pasted with the code, or instead of it. None if nothing is suspicious."""
    if "externalAuthCode" in text or "://" in text:
        return "Likely cause: this is the whole link (URL). Use only the value of externalAuthCode in it."
    if "&" in text or "?" in text or "#" in text:
        return (
            "Likely cause: a part of the link (URL) was copied with the code. Remove everything from the &, ? or # on."
        )
    if "%" in text:
        return "Likely cause: the code is percent-encoded (URL-encoded), such as %2E for a period. Decode it once."
    if has_invisible_characters(text):
        return (
            "Likely cause: the code contains an invisible character, such as a byte order mark, a zero-width space or a soft"
            " hyphen. Read the file without the byte order mark, or copy the code again."
        )
    if text.startswith("Bearer "):
        return "Likely cause: this is the whole header. Use only the text after Bearer."
    if any(character.isspace() for character in text):
        return "Likely cause: the copied code contains a space or a line end. Remove it."
    if text[:1] in _QUOTATION_MARKS or text[-1:] in _QUOTATION_MARKS:
        return "Likely cause: the quotation marks around the code were copied too. Remove them."
    return None


def explain_signature(unverified: UnverifiedCode, rows: dict[str, JwtSecret], at: datetime) -> str:
    """Say what probably went wrong when the code was signed. `rows` maps the IDs of all secrets to their rows."""
    algorithm = unverified.header.get("alg")
    if algorithm != ALGORITHM:
        return (
            f"Likely cause: the signing program uses another algorithm than {ALGORITHM}. Set it to {ALGORITHM}, with the text of the"
            " JWT secret as the key."
        )
    signer = find_any_signer(unverified)
    if signer is not None:
        return _explain_known_signer(rows[signer.id], unverified, at)
    if wrong := _explain_signature_length(unverified.segments[2]):
        return wrong
    if not has_whole_signature(unverified):
        return (
            "Likely cause: the code was cut off when it, or a URL with it, was copied. Compare its length with what the"
            " signing program made."
        )
    for secret, mistake in _mistaken_keys(unverified):
        if find_signer(unverified, [secret]):
            return f"Likely cause: the code was signed with the secret {describe_secret(rows[secret.id])} {mistake}."
    named = rows.get(str(unverified.header.get("kid")))
    if named is not None and is_destroyed(named):
        return _explain_destroyed(named)
    return (
        "Likely cause: the code was signed with a secret that this service never had: the secret of another environment, or one that was"
        " cut off when it was copied. Compare its first 4 characters with those of the secrets here."
    ) + _mention_destroyed(rows)


def _explain_signature_length(segment: str) -> str | None:
    """Say which mistake made a signature of this length. None if no known mistake does, so the code may be cut off."""
    if _HEX_SIGNATURE.fullmatch(segment):
        return (
            "Likely cause: the signature is written as hex digits. Encode its raw bytes in base64url (PHP: hash_hmac with"
            " true as the last argument; Node.js: digest() without hex)."
        )
    if (algorithm := _ALGORITHMS_BY_LENGTH.get(len(decode_base64url(segment) or b""))) is not None:
        return (
            f"Likely cause: the signature was made with HMAC-SHA-{algorithm}, and the header says {ALGORITHM}."
            " Sign with HMAC-SHA-256."
        )
    if len(segment) > _SIGNATURE_CHARACTERS:
        return "Likely cause: something was added to the end of the code when it was copied. Take it away."
    return None


def _explain_destroyed(row: JwtSecret) -> str:
    ended = row.revoked_at or row.retires_at
    return (
        f"The kid names the secret {describe_secret(row)}, which is gone: it ended at {to_the_second(ended) if ended else ''},"
        f" and its text was destroyed {DESTROYED_AFTER.days} days later. So this service cannot say whether the code was"
        " signed with it. Give the signing program the current secret."
    )


def _mention_destroyed(rows: dict[str, JwtSecret]) -> str:
    if not any(map(is_destroyed, rows.values())):
        return ""
    return f" Or with one that is gone: texts are destroyed {DESTROYED_AFTER.days} days after their end."


def describe_secret(row: JwtSecret) -> str:
    """Return the name, the ID and the hint of a secret, by which an admin recognises it."""
    return f"{row.name}, {row.id} ({row.hint}…)" if row.name else f"{row.id} ({row.hint}…)"


def _explain_known_signer(row: JwtSecret, unverified: UnverifiedCode, at: datetime) -> str:
    name = describe_secret(row)
    match status_of(row, at):
        case JwtSecretStatus.REVOKED if row.revoked_at:
            return (
                f"The code was signed with the secret {name}, which was revoked at {to_the_second(row.revoked_at)}."
                " Give the signing program the current one."
            )
        case JwtSecretStatus.RETIRED if row.retires_at:
            return (
                f"The code was signed with the secret {name}, which retired at {to_the_second(row.retires_at)}. Give"
                " the signing program the current one."
            )
        case _:
            return (
                f"The code was signed with the secret {name}, but its kid is {unverified.header.get('kid')!r}. Set"
                " kid to the ID of the secret that signs."
            )


_Mistake = tuple[str, Callable[[bytes], bytes]]
_MISTAKES: tuple[_Mistake, ...] = (
    (
        "after decoding it from base64. Use its text as it is, without decoding",
        lambda key: base64.urlsafe_b64decode(key + b"=" * (-len(key) % 4)),
    ),
    ("after encoding it to base64. Use its text as it is", base64.b64encode),
    (
        "with a line end after it, as a file or `echo` adds one. Strip the white space around the secret",
        lambda key: key + b"\n",
    ),
    (
        "with a line end after it, as a file adds one. Strip the white space around the secret",
        lambda key: key + b"\r\n",
    ),
    ("with a space after it. Strip the white space around the secret", lambda key: key + b" "),
    (
        "with quotation marks around it, as from a .env file. Remove the quotation marks",
        lambda key: b'"' + key + b'"',
    ),
    (
        "with quotation marks around it, as from a .env file. Remove the quotation marks",
        lambda key: b"'" + key + b"'",
    ),
)


def _mistaken_keys(unverified: UnverifiedCode) -> Iterator[tuple[SigningSecret, str]]:
    for secret in unverified.secrets:
        for words, mistake in _MISTAKES if secret.key else ():
            try:
                yield SigningSecret(secret.id, mistake(secret.key or b""), secret.live), words
            except (ValueError, binascii.Error):
                continue  # the mistake is impossible with this secret: its text is not base64, or the key is too short


def explain_times(unverified: UnverifiedCode) -> str | None:
    """Say which clock or unit is probably wrong. None if nothing is suspicious."""
    if (wrong := _explain_units(unverified.payload)) is not None:
        return wrong
    if not hasattr(unverified, "times"):
        return None
    times, now = unverified.times, unverified.now
    ahead = max((start - now for start in (times.nbf, times.iat) if start is not None), default=0.0)
    if ahead > unverified.policy.clock_skew_seconds:
        return _explain_clock_ahead(ahead)
    if times.exp is not None and times.exp < now:
        return _explain_expired(times.exp, times.iat)
    return None


def _explain_units(payload: JsonObject) -> str | None:
    for name in ("exp", "nbf", "iat"):
        value = payload.get(name)
        if isinstance(value, str):
            return f"Likely cause: {name} is written as text. Write the number without quotation marks."
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if value > MICROSECONDS_FROM:
            return f"{name} looks like microseconds or a finer unit. Divide it, so that it is in seconds."
        if value > MILLISECONDS_FROM:
            return f"{name} looks like milliseconds (JavaScript's Date.now()). Divide it by 1000."
    return None


def _explain_clock_ahead(seconds: float) -> str:
    if _is_time_zone(seconds):
        return (
            "Likely cause: local time was used as UTC, because the difference is that of a time zone. Use the seconds"
            " since 1970 in UTC, as time(), Date.now() / 1000 or Instant.now() give them."
        )
    return f"Likely cause: the signing machine's clock is ahead by {seconds:.0f} s. Set it by NTP."


def _explain_expired(exp: float, iat: float | None) -> str:
    if iat is not None and exp < iat:
        return (
            "Likely cause: exp is before iat, because it holds a duration. It must be a moment in seconds since 1970."
        )
    if exp < 10**9:
        return "Likely cause: exp is a duration. It must be a moment: now plus the duration, in seconds since 1970."
    return (
        "Likely cause: the code was stored and used later, or the signing machine's clock is behind. Sign a new code for"
        " every page load."
    )


def _is_time_zone(seconds: float) -> bool:
    """Whether a difference is within two minutes of a multiple of half an hour, up to 14 hours."""
    from_multiple = abs(seconds - round(seconds / _HALF_HOUR) * _HALF_HOUR)
    return from_multiple <= 120 and _HALF_HOUR - 120 <= seconds <= _MAX_ZONE_OFFSET + 120


def explain_claims(unverified: UnverifiedCode) -> str | None:
    """Say which claim probably holds the user instead. None if nothing is suspicious."""
    payload = unverified.payload
    user = payload.get("user")
    if isinstance(user, str):
        return 'Likely cause: user was converted to JSON text before signing. Put the object itself there: "user": {"id": …}.'
    place = user if isinstance(user, dict) else payload
    if misspelt := _find_other_case(place, user is None):
        return f"Likely cause: the member is called {misspelt}. Names are case-sensitive: write it in lower case."
    if place.get("id") is None:
        found = [name for name in _NAMES_OF_OTHERS if place.get(name) is not None]
        where = "user.id" if isinstance(user, dict) else "user.id, id or email"
        if found:
            return f"Likely cause: the user's ID is in {found[0]}, which is not read here. Put the ID into {where}."
    return None


def _find_other_case(place: JsonObject, is_payload: bool) -> str | None:
    """Return the first member whose name differs only in case (`ID`, `Email`), if the correct member is absent."""
    wanted = ("user", "id", "email") if is_payload else ("id", "email")
    return next(
        (
            repr(name)
            for name in place
            for right in wanted
            if name != right and name.lower() == right and right not in place
        ),
        None,
    )
