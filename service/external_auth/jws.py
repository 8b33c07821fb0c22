"""Reads the form of a compact JWS before a key is used: strict base64url, strict JSON, the required header parameters.

Stricter than the libraries, so that two readers of one code cannot read it differently (RFC 7515 §2 and §5.2, RFC 8725
§2.6 and §3.10). Every fault is MALFORMED_CODE, with a reason that names the part and never shows its content. No input
raises any other exception.
"""

import base64
import json
import re
import sys
from typing import Final, NoReturn

from service.errors import SignInRefused
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject, JsonValue, name_type

MAX_CODE_BYTES: Final = 8192
MAX_JSON_LEVELS: Final = 100
"""Far below what Python's stack holds, so the result does not depend on the depth of the caller's stack."""
MAX_DIGITS: Final = sys.int_info.default_max_str_digits  # 4,300: `int` raises for longer texts

_SEGMENTS = 3
_BASE64URL_TEXT = re.compile(r"[A-Za-z0-9_-]*")
_HEADERS_REMEMBERED = 64
_LONGEST_REMEMBERED = 512


def split_code(text: str) -> list[str]:
    """Return the three segments of a code (header, payload, signature), not decoded. At most 8192 bytes of UTF-8."""
    if len(text) > MAX_CODE_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        raise _malformed(f"the code is longer than {MAX_CODE_BYTES} bytes")
    trimmed = text.strip()
    if not trimmed:
        raise _malformed("the code is empty")
    if trimmed != text:
        raise _malformed("the code has white space around it")
    segments = text.split(".")
    if len(segments) != _SEGMENTS:
        raise _malformed(f"the code must have {_SEGMENTS} segments separated by periods, and has {len(segments)}")
    return segments


def decode_segment(part: str, segment: str) -> bytes:
    """Return the bytes of the header or payload segment, at least one byte."""
    decoded = decode_base64url(segment)
    if not decoded:
        raise _malformed(f"the {part} {describe_base64url_fault(segment)}")
    return decoded


def decode_base64url(segment: str) -> bytes | None:
    """Decode canonical base64url without padding (RFC 7515 §2). Returns None for any other text, b"" for the empty one.

    Python's decoder ignores invalid characters and surplus bits. So the result must encode to the same text again.
    """
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return None
    return decoded if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() == segment else None


def describe_base64url_fault(segment: str) -> str:
    """Say why `decode_base64url` rejects this segment, or that the segment is empty."""
    if not segment:
        return "is empty"
    if "=" in segment:
        return "is base64url with padding (=), and must be without"
    if "+" in segment or "/" in segment:
        return "is in the standard base64 alphabet, and must be in the URL-safe one"
    if not _BASE64URL_TEXT.fullmatch(segment):
        return "has characters that are not base64url"
    return "is not canonical base64url: was it cut off or changed?"


class KnownHeaders:
    """The headers that were read and passed `check_header`, by their segments. Every code of a signer has the same one."""

    def __init__(self) -> None:
        self._known: dict[str, JsonObject] = {}

    def get(self, segment: str) -> JsonObject | None:
        """Return the header, which must not be changed. None if it was not read before."""
        return self._known.get(segment)

    def add(self, segment: str, header: JsonObject) -> None:
        """Remember the header. Anyone can send new ones, so there is room for a few only, and the oldest is forgotten."""
        if len(segment) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _HEADERS_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[segment] = header


def check_header(header: JsonObject) -> None:
    """The parameters that decide how a code is read. Which `alg` is accepted is a matter of the signature."""
    if not isinstance(header.get("alg"), str):
        raise _malformed("the header must have an alg that is a string")
    if "crit" in header:  # RFC 7515 §4.1.11
        raise _malformed("the header has crit, and no critical extension is supported here")
    if header.get("b64", True) is not True:  # RFC 7797 §3
        raise _malformed("the header has a b64 that is not true, and the payload must be base64url")


def check_signature_alphabet(segment: str) -> None:
    """Check the alphabet of the third segment. Its length and last bits belong to the signature check."""
    if not _BASE64URL_TEXT.fullmatch(segment):
        raise _malformed(f"the signature {describe_base64url_fault(segment)}")


def parse_object(part: str, raw: bytes, too_deep: SignInErrorCode = SignInErrorCode.MALFORMED_CODE) -> JsonObject:
    """Return the JSON object of a segment: UTF-8, no duplicate member at any level, no NaN, at most 100 levels.

    Raises `SignInRefused`: with the code `too_deep` for more levels, else with MALFORMED_CODE.
    """
    try:
        value = _parse(raw)
    except UnicodeDecodeError:
        raise _malformed(f"the {part} is not UTF-8") from None
    except RecursionError:
        raise SignInRefused(too_deep, reason=f"the {part} is nested more than {MAX_JSON_LEVELS} levels deep") from None
    except _NotStrictJson as problem:
        raise _malformed(f"the {part} {problem}") from None
    except json.JSONDecodeError:
        raise _malformed(f"the {part} is not JSON") from None
    if not isinstance(value, dict):
        raise _malformed(f"the {part} is {name_type(value)}, and must be an object")
    return value


def _parse(raw: bytes) -> JsonValue:
    value: JsonValue = _STRICT_JSON.decode(raw.decode())
    # Fewer brackets than levels cannot nest too deep. This spares nearly every payload the walk.
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_LEVELS and _is_deeper(value, MAX_JSON_LEVELS):
        raise RecursionError
    return value


class _NotStrictJson(ValueError):
    """The text uses something that Python's json module accepts and RFC 8259 does not, or a duplicate member."""


def _unique_members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotStrictJson("has a member twice")  # RFC 7515 §4 and RFC 7519 §4 allow this refusal
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise _NotStrictJson("has NaN or Infinity, which are not JSON")


def _parse_int(digits: str) -> int | float:
    """Parse an integer. One of more than `MAX_DIGITS` digits becomes infinity, which every claim check refuses."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


_STRICT_JSON = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_refuse_constant, parse_int=_parse_int
)


def _is_deeper(value: JsonValue, levels: int) -> bool:
    containers = [value]
    for _ in range(levels):
        containers = [child for container in containers for child in _containers_in(container)]
    return bool(containers)


def _containers_in(container: JsonValue) -> list[JsonValue]:
    children = container.values() if isinstance(container, dict) else container if isinstance(container, list) else ()
    return [child for child in children if isinstance(child, (dict, list))]


def _malformed(reason: str) -> SignInRefused:
    return SignInRefused(SignInErrorCode.MALFORMED_CODE, reason=reason)
