"""Parses user IDs and emails. User IDs are compared exactly, emails in one normal form (contract §1).

Every error is a `ValueError` whose text is a public reason ("is empty", "is a float") to be put behind the name of the
claim or field; only `parse_email` names the field itself. No reason repeats the value, which its reader may not be
allowed to see.
"""

import re
import unicodedata
from functools import cache, lru_cache
from types import ModuleType
from typing import Final

import idna

from service.accounts.implausible_ids import find_signing_bug, has_invisible_characters
from service.errors import BadUserInput
from service.text import find_unsafe_characters, name_type

SERVICE_ID_PREFIX: Final = "usr_"
MAX_ID_CHARACTERS: Final = 255
MAX_EMAIL_CHARACTERS: Final = 254  # RFC 3696, erratum 1690: in bytes of UTF-8, so in characters too

_TOO_LONG_AN_ID = f"is longer than {MAX_ID_CHARACTERS} characters"
_TOO_LONG_AN_EMAIL = f"is longer than {MAX_EMAIL_CHARACTERS} characters"
_NOT_WELL_FORMED = "is not a well-formed email address"

_SMALLEST_INTEGER_ID = -(10 ** (MAX_ID_CHARACTERS - 1))  # exclusive: the minus sign is a character too
_LARGEST_INTEGER_ID = 10**MAX_ID_CHARACTERS  # exclusive

# Normalising may shorten a text (a letter and its accents become one character), but not from more than this to
# `MAX_EMAIL_CHARACTERS`. The bound keeps the work and the keys of the cache small.
_MAX_UNNORMALISED_EMAIL = 4 * MAX_EMAIL_CHARACTERS
_EMAILS_REMEMBERED = 4096

# Within this length every part of an address is within its limit, so only the pattern has to be checked.
_PLAIN_EMAIL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+\.)+[a-z]{2,}")
_MAX_PLAIN_EMAIL = 64

# RFC 1035 §2.3.4. Checked before the library is called, because its work is quadratic in the length of a label.
_MAX_LABEL_CHARACTERS = 63
_LABEL_SEPARATORS = re.compile("[.\u3002\uff0e\uff61]")  # every character that IDNA reads as a period (RFC 3490 §3.1)


def is_service_made(user_id: str) -> bool:
    """Whether this service generated the ID (`usr_…`). Other IDs come from the customer's system."""
    return user_id.startswith(SERVICE_ID_PREFIX)


def parse_user_id(value: object) -> str:
    """Return the ID that a claim or an argument holds: a string unchanged, an integer as its decimal digits.

    1 to 255 characters (code points). Nothing is trimmed or normalised. Raises `ValueError` with the reason.
    """
    user_id = _digits(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(user_id, str):
        raise ValueError(f"is {name_type(value)}, and must be a string or an integer")
    if not user_id:
        raise ValueError("is empty")
    if user_id.isspace():
        raise ValueError("is only white space")
    if len(user_id) > MAX_ID_CHARACTERS:
        raise ValueError(_TOO_LONG_AN_ID)
    if problem := find_unsafe_characters(user_id):
        raise ValueError(problem)
    if problem := find_signing_bug(user_id):
        raise ValueError(problem)
    return user_id


def _digits(number: int) -> str:
    # Compared first, because `str` raises for integers of more than 4,300 digits.
    if not _SMALLEST_INTEGER_ID < number < _LARGEST_INTEGER_ID:
        raise ValueError(_TOO_LONG_AN_ID)
    return str(number)


def normalise_email(value: object) -> str:
    """Return the form in which an email is stored and compared. Normalising it again changes nothing.

    Trimmed, Unicode NFC, lower case, the domain in IDNA A-form (RFC 5890) and with a period. At most 254 characters.
    Raises `ValueError` with the reason, and no other exception, for every other value.
    """
    if not isinstance(value, str):
        raise ValueError(f"is {name_type(value)}, and must be a string")
    if is_plain_email(value):
        return value
    text = value.strip()
    if not text:
        raise ValueError("is empty")
    if len(text) > _MAX_UNNORMALISED_EMAIL:
        raise ValueError(_TOO_LONG_AN_EMAIL)
    return _normalise_trimmed_email(text)


def parse_email(text: str, field: str = "email") -> str:
    """The address of an argument in its normal form. Raises `BadUserInput`, which names the field."""
    try:
        return normalise_email(text)
    except ValueError as problem:
        raise BadUserInput(f"`{field}` {problem}.") from None


def with_unicode_domain(email: str) -> str:
    """Return an address in normal form with its domain as people write it: `ada@münchen.test` for `ada@xn--mnchen-3ya.test`."""
    local_part, _, domain = email.rpartition("@")
    if "xn--" not in domain:
        return email
    try:
        return f"{local_part}@{idna.decode(domain)}"
    except idna.IDNAError:  # accepted when it was stored, not by this version of the tables
        return email


def is_plain_email(text: str) -> bool:
    """Whether the text has the usual form of an address. Then it is normalised already.

    Skipping the library for it halves the cost of checking a code.
    """
    return len(text) <= _MAX_PLAIN_EMAIL and _PLAIN_EMAIL.fullmatch(text) is not None


@lru_cache(maxsize=_EMAILS_REMEMBERED)
def _normalise_trimmed_email(text: str) -> str:
    if problem := find_unsafe_characters(text):
        raise ValueError(problem)
    # `lower` can produce a text that is not in NFC, so NFC is applied before and after it.
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    if len(text) > MAX_EMAIL_CHARACTERS:
        raise ValueError(_TOO_LONG_AN_EMAIL)
    local_part, domain = _split_well_formed(text)
    # The library refuses or maps them in a domain; in a local part they would make two addresses that look alike.
    if has_invisible_characters(local_part):
        raise ValueError("has invisible characters")
    if "." not in domain:
        raise ValueError("has a domain without a period")
    return f"{local_part}@{domain}"


def _split_well_formed(text: str) -> tuple[str, str]:
    """Return the local part, and the domain in A-form.

    The library's message is not passed on: it quotes the address.
    """
    if any(len(label) > _MAX_LABEL_CHARACTERS for label in _LABEL_SEPARATORS.split(text.rpartition("@")[2])):
        raise ValueError(_NOT_WELL_FORMED)
    try:
        parts = _library().validate_email(text, check_deliverability=False, globally_deliverable=False, strict=True)
    except ValueError:
        raise ValueError(_NOT_WELL_FORMED) from None
    return parts.local_part, parts.ascii_domain.lower()


@cache
def _library() -> ModuleType:
    """Return `email_validator`. Imported for the first address that is not plain, because it takes 0.02 seconds."""
    import email_validator  # noqa: PLC0415

    # `validate_email` refuses these names (.local, .test, .localhost, .invalid …) whatever its arguments. Emptying the
    # list is the documented way to accept them. Companies use such names internally, and this service looks nothing up
    # in DNS.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator
