"""The form of a compact JWS, before any key is involved: strict base64url, strict JSON, a header without surprises.

Stricter than the libraries, so that no two readers of one code can read it differently (RFC 7515 §2 and §5.2, RFC 8725
§2.6 and §3.10). Whatever is wrong is MALFORMED_CODE with a reason that names the part and never shows what is in it;
no text and no bytes raise anything else.
"""

import base64
import json
import re
import sys
from typing import Final, NoReturn

from service.errors import SignInErrorCode, SignInRefused
from service.text import JsonObject, JsonValue, name_type

MAX_CODE_BYTES: Final = 8192
MAX_JSON_LEVELS: Final = 100
MAX_DIGITS: Final = sys.int_info.default_max_str_digits  # 4,300: Python reads no longer integer
"""Far more than anyone nests, far less than Python's stack holds: so the answer never depends on who calls."""

_SEGMENTS = 3
_BASE64URL_TEXT = re.compile(r"[A-Za-z0-9_-]*")


def split_code(text: str) -> list[str]:
    """The segments of a code (header, payload, signature), none of them decoded. At most 8192 bytes of UTF-8."""
    if len(text) > MAX_CODE_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        raise _malformed(f"the code is longer than {MAX_CODE_BYTES} bytes")
    trimmed = text.strip()
    if not trimmed:
        raise _malformed("the code is empty")
    if trimmed != text:
        raise _malformed("the code has white space around it")
    segments = text.split(".")
    if len(segments) != _SEGMENTS:
        raise _malformed(f"the code must have {_SEGMENTS} segments with periods between, and has {len(segments)}")
    return segments


def decode_segment(part: str, segment: str) -> bytes:
    """The bytes of the header or the payload segment; there is at least one."""
    decoded = decode_base64url(segment)
    if not decoded:
        raise _malformed(f"the {part} {describe_base64url_fault(segment)}")
    return decoded


def decode_base64url(segment: str) -> bytes | None:
    """Canonical base64url without padding (RFC 7515 §2), else None. The empty text is canonical too.

    Python's decoder overlooks much, so what it made must encode to the very same text again.
    """
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return None
    return decoded if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() == segment else None


def describe_base64url_fault(segment: str) -> str:
    """Why `decode_base64url` would not take this segment, or that it is empty."""
    if not segment:
        return "is empty"
    if "=" in segment:
        return "is base64url with padding (=), and must be without"
    if "+" in segment or "/" in segment:
        return "is in the standard base64 alphabet, and must be in the URL-safe one"
    if not _BASE64URL_TEXT.fullmatch(segment):
        return "has characters that are not base64url"
    return "is not canonical base64url: was it cut off or changed?"


def check_header(header: JsonObject) -> None:
    """The parameters that decide how a code is read. Which `alg` is accepted is a matter of the signature."""
    if not isinstance(header.get("alg"), str):
        raise _malformed("the header must have an alg that is a string")
    if "crit" in header:  # RFC 7515 §4.1.11
        raise _malformed("the header has crit, and no critical extension is understood here")
    if header.get("b64", True) is not True:  # RFC 7797 §3
        raise _malformed("the header has a b64 that is not true, and the payload must be base64url")


def check_signature_alphabet(segment: str) -> None:
    """The least that is asked of the third segment. Its length and last bits are a matter of the signature."""
    if not _BASE64URL_TEXT.fullmatch(segment):
        raise _malformed(f"the signature {describe_base64url_fault(segment)}")


def parse_object(part: str, raw: bytes, too_deep: SignInErrorCode = SignInErrorCode.MALFORMED_CODE) -> JsonObject:
    """The JSON object that a segment holds: UTF-8, no member twice at any level, no NaN, no more than 100 levels.

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
    # So few brackets cannot be too many levels: nearly every payload is spared the walk.
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_LEVELS and _is_deeper(value, MAX_JSON_LEVELS):
        raise RecursionError
    return value


class _NotStrictJson(ValueError):
    """What the json module would let through; the text says what it is."""


def _unique_members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotStrictJson("has a member twice")  # RFC 7515 §4 and RFC 7519 §4 allow to refuse it
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise _NotStrictJson("has NaN or Infinity, which are not JSON")


def _parse_int(digits: str) -> int | float:
    """What is longer than that is infinity, which no claim may be either."""
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
