"""Why a code fails, in the words of the mistake that was probably made: for the integrator, who has one minute."""

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import datetime

from service.clock import to_the_second
from service.external_auth.claims import MILLISECONDS_FROM
from service.external_auth.codes import ALGORITHM, SigningSecret, UnverifiedCode, find_signer, has_whole_signature
from service.external_auth.models import JwtSecret
from service.external_auth.secrets import JwtSecretStatus, status_of

_QUOTATION_MARKS = tuple("\"'`")
_NAMES_OF_OTHERS = ("sub", "userId", "user_id", "uid", "external_id", "externalId", "name")


def find_any_signer(unverified: UnverifiedCode) -> SigningSecret | None:
    """The secret whose signature it is, retired and revoked ones included."""
    return find_signer(unverified, unverified.secrets) if hasattr(unverified, "header") else None


def explain_form(text: str) -> str | None:
    """What was probably pasted with the code, or instead of it."""
    if "externalAuthCode=" in text:
        return "Likely cause: this is the whole link. The code is what stands behind externalAuthCode= in it."
    if text.startswith("Bearer "):
        return "Likely cause: this is the whole header. The code is what stands behind Bearer in it."
    if any(character.isspace() for character in text):
        return "Likely cause: a space or a line end got into it when it was copied. Take it out."
    if text[:1] in _QUOTATION_MARKS or text[-1:] in _QUOTATION_MARKS:
        return "Likely cause: the quotation marks around it were copied too. Take them off."
    return None


def explain_signature(unverified: UnverifiedCode, rows: dict[str, JwtSecret], at: datetime) -> str:
    """What went wrong when signing."""
    algorithm = unverified.header.get("alg")
    if algorithm != ALGORITHM:
        return (
            f"Likely cause: the signing program is set to another algorithm than {ALGORITHM}. Set it to {ALGORITHM}, with the text of the"
            " JWT secret as the key."
        )
    signer = find_any_signer(unverified)
    if signer is not None:
        return _explain_known_signer(rows[signer.id], unverified, at)
    if not has_whole_signature(unverified):
        return "Likely cause: it was cut off when it was copied, or a URL was. Compare its length with what the signing program made."
    for secret, mistake in _mistaken_keys(unverified):
        if find_signer(unverified, [secret]):
            return f"Likely cause: it was signed with the secret {describe_secret(rows[secret.id])} {mistake}."
    return (
        "Likely cause: it was signed with a secret that this service never had. Is it the secret of another environment, or was it"
        " cut off when it was copied? Compare its first 4 characters with those of the secrets here."
    )


def describe_secret(row: JwtSecret) -> str:
    """A secret as an administrator can tell it from others."""
    return f"{row.id} ({row.hint}…)"


def _explain_known_signer(row: JwtSecret, unverified: UnverifiedCode, at: datetime) -> str:
    name = describe_secret(row)
    match status_of(row, at):
        case JwtSecretStatus.REVOKED if row.revoked_at:
            return f"It was signed with the secret {name}, which was revoked at {to_the_second(row.revoked_at)}. Give the signing program the current one."
        case JwtSecretStatus.RETIRED if row.retires_at:
            return f"It was signed with the secret {name}, which retired at {to_the_second(row.retires_at)}. Give the signing program the current one."
        case _:
            return f"It was signed with the secret {name}, but its kid names {unverified.header.get('kid')!r}. Let kid name the secret that signs."


_Mistake = tuple[str, Callable[[bytes], bytes]]
_MISTAKES: tuple[_Mistake, ...] = (
    (
        "after decoding it from base64. Use its text as it is, without decoding",
        lambda key: base64.urlsafe_b64decode(key + b"=" * (-len(key) % 4)),
    ),
    ("after encoding it to base64. Use its text as it is", base64.b64encode),
    (
        "with a line end behind it, as a file or `echo` adds one. Strip the white space around the secret",
        lambda key: key + b"\n",
    ),
    (
        "with a line end behind it, as a file adds one. Strip the white space around the secret",
        lambda key: key + b"\r\n",
    ),
    ("with a space behind it. Strip the white space around the secret", lambda key: key + b" "),
    (
        "with quotation marks around it, as from a .env file. Take the quotation marks off",
        lambda key: b'"' + key + b'"',
    ),
    (
        "with quotation marks around it, as from a .env file. Take the quotation marks off",
        lambda key: b"'" + key + b"'",
    ),
)


def _mistaken_keys(unverified: UnverifiedCode) -> Iterator[tuple[SigningSecret, str]]:
    for secret in unverified.secrets:
        for words, mistake in _MISTAKES:
            try:
                yield SigningSecret(secret.id, mistake(secret.key), secret.live), words
            except (ValueError, binascii.Error):
                continue  # this secret cannot be mistaken in this way


def explain_times(unverified: UnverifiedCode) -> str | None:
    """Clocks and units. None where nothing is suspicious."""
    for name in ("exp", "nbf", "iat"):
        value = unverified.payload.get(name)
        if isinstance(value, str):
            return f"Likely cause: {name} is written as text. Write a number of seconds since 1970, without quotation marks."
        if isinstance(value, int | float) and not isinstance(value, bool) and value > MILLISECONDS_FROM:
            return f"{name} looks like milliseconds (JavaScript's Date.now()). Divide it by 1000."
    if not hasattr(unverified, "times"):
        return None
    times, now = unverified.times, unverified.now
    ahead = max((start - now for start in (times.nbf, times.iat) if start is not None), default=0.0)
    if ahead > unverified.policy.clock_skew_seconds:
        return f"Likely cause: the signing machine's clock is ahead by {ahead:.0f} s. Set it by NTP."
    if times.exp is not None and times.exp < now:
        if times.iat is not None and times.exp < times.iat:
            return "Likely cause: exp lies before iat. Was a duration written into exp rather than a moment?"
        if times.exp < 10**9:
            return "Likely cause: exp is a duration. It must be a moment: now plus the duration, in seconds since 1970."
        return "Likely cause: the code was kept and used later, or the signing machine's clock is behind. Sign a new one for every page load."
    return None


def explain_claims(unverified: UnverifiedCode) -> str | None:
    """Where the person was put instead. None where nothing is suspicious."""
    payload = unverified.payload
    user = payload.get("user")
    if isinstance(user, str):
        return 'Likely cause: user was turned into text (JSON within JSON). Make it an object: "user": {"id": …}.'
    place = user if isinstance(user, dict) else payload
    if place.get("id") is None:
        found = [name for name in _NAMES_OF_OTHERS if place.get(name) is not None]
        where = "user.id" if isinstance(user, dict) else "user.id, id or email"
        if found:
            return f"Likely cause: the person stands in {found[0]}, which is not read here. Put the id into {where}."
    return None
