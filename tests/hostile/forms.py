"""Codes whose form is wrong: segments, base64url, size, JSON."""

import base64
import gzip
import zlib

import jwt

from tests.hostile.forging import (
    BAD_CLAIMS,
    BAD_SIGNATURE,
    HEADER,
    MALFORMED,
    HostileCode,
    base64url,
    encode,
    forge,
    hmac_sha256,
    sign_segments,
    user,
    with_header,
    with_payload,
)

_GOOD = user("form")
_H, _P = base64url(encode(HEADER)), base64url(encode(_GOOD))


def _good(secret: str) -> str:
    return forge(secret, _GOOD)


def _padded(secret: str) -> str:
    header, payload = (base64.urlsafe_b64encode(encode(part)).decode() for part in ({**HEADER, "x": "."}, user("pad")))
    return sign_segments(secret, header, payload)


def _padded_signature(secret: str) -> str:
    return _good(secret) + "="


def _standard_alphabet(secret: str) -> str:
    payload = base64.b64encode(encode(user("?>") | {"x": "???>>>"})).decode().rstrip("=")
    return sign_segments(secret, _H, payload)


def _standard_alphabet_signature(secret: str) -> str:
    for number in range(1000):
        payload = base64url(encode(user(f"standard alphabet {number}")))
        signature = base64.b64encode(hmac_sha256(secret, f"{_H}.{payload}")).decode().rstrip("=")
        if "+" in signature or "/" in signature:
            return f"{_H}.{payload}.{signature}"
    raise AssertionError("a thousand signatures without + or /")


def _loose_last_bits(segment: str) -> str:
    """The same bytes for a lax decoder, another text: the bits after the last byte are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4, "this segment has no bits to spare"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def _loose_header(secret: str) -> str:
    return sign_segments(secret, _loose_last_bits(base64url(encode({**HEADER, "x": "12"}))), _P)


def _loose_payload(secret: str) -> str:
    return sign_segments(secret, _H, _loose_last_bits(base64url(b'{"id":"loose bits"}')))


def _loose_signature(secret: str) -> str:
    header, payload, signature = _good(secret).split(".")
    return f"{header}.{payload}.{_loose_last_bits(signature)}"


def of_size(secret: str, size: int) -> str:
    """A good code of exactly so many bytes: JSON may have spaces behind it, in the header as well as in the payload."""
    room = size - len(forge(secret, user(f"size {size}")))
    for header_spaces in range(8):
        for payload_spaces in range(room * 3 // 4 - 16, room * 3 // 4 + 1):
            header, payload = (
                encode(HEADER) + b" " * header_spaces,
                encode(user(f"size {size}")) + b" " * payload_spaces,
            )
            if len(code := forge(secret, payload, header)) == size:
                return code
    raise AssertionError(f"no code has {size} bytes")


def _nested(levels: int) -> bytes:
    return b'{"user":{"id":"nested"},"x":' + b"[" * levels + b"]" * levels + b"}"


def _segments(name: str, text: str) -> HostileCode:
    return HostileCode(name, lambda _: text, MALFORMED)


SHAPES = [
    _segments("empty text", ""),
    _segments("one space", " "),
    _segments("one segment", "eyJhbGciOiJIUzI1NiJ9"),
    _segments("two segments", f"{_H}.{_P}"),
    _segments("three empty segments", ".."),
    _segments("only periods", "." * 8192),
    _segments("not base64 at all", "!!!.???.***"),
    _segments("lone surrogate", "\ud800"),
    _segments("NUL", "\0"),
    _segments("full-width periods", f"{_H}\uff0e{_P}\uff0e{_P}"),
    _segments("the URL instead of the code", "https://app.example.com/?externalAuthCode=eyJhbGciOiJIUzI1NiJ9"),
    _segments("the payload as plain JSON", '{"user": {"id": "crm-42"}}'),
    HostileCode("four segments", lambda secret: _good(secret) + ".x", MALFORMED),
    HostileCode("five segments (JWE)", lambda secret: _good(secret) + ".x.y", MALFORMED),
    HostileCode("period at the end", lambda secret: _good(secret) + ".", MALFORMED),
    HostileCode("empty header", lambda secret: sign_segments(secret, "", _P), MALFORMED),
    HostileCode("empty payload", lambda secret: sign_segments(secret, _H, ""), MALFORMED),
    HostileCode("space before", lambda secret: " " + _good(secret), MALFORMED),
    HostileCode("newline behind", lambda secret: _good(secret) + "\n", MALFORMED),
    HostileCode("no-break space behind", lambda secret: _good(secret) + "\u00a0", MALFORMED),
    HostileCode("newline inside", lambda secret: sign_segments(secret, _H, _P[:8] + "\n" + _P[8:]), MALFORMED),
    HostileCode("byte order mark before", lambda secret: "\ufeff" + _good(secret), MALFORMED),
    HostileCode("Bearer before", lambda secret: "Bearer " + _good(secret), MALFORMED),
    HostileCode("quotes around", lambda secret: f'"{_good(secret)}"', MALFORMED),
    HostileCode("percent-encoded padding", lambda secret: _good(secret) + "%3D", MALFORMED),
    HostileCode("padding", _padded, MALFORMED),
    HostileCode("padding of the signature", _padded_signature, MALFORMED),
    HostileCode("standard base64 alphabet", _standard_alphabet, MALFORMED),
    HostileCode("standard base64 alphabet in the signature", _standard_alphabet_signature, MALFORMED),
    HostileCode("non-canonical header", _loose_header, MALFORMED),
    HostileCode("non-canonical payload", _loose_payload, MALFORMED),
    HostileCode("non-canonical signature", _loose_signature, BAD_SIGNATURE),
    HostileCode("payload one character short", lambda secret: sign_segments(secret, _H, "AAAAA"), MALFORMED),
    HostileCode("8192 bytes", lambda secret: of_size(secret, 8192), None),
    HostileCode("8193 bytes", lambda secret: of_size(secret, 8193), MALFORMED),
    HostileCode("8193 bytes in 8192 characters", lambda secret: of_size(secret, 8192)[:-1] + "é", MALFORMED),
    HostileCode("a megabyte", lambda secret: forge(secret, {**_GOOD, "x": "x" * 1_000_000}), MALFORMED),
]

HEADER_JSON = [
    with_header("header is no JSON", b"HS256", MALFORMED),
    with_header("header is an array", b'["HS256"]', MALFORMED),
    with_header("header is a string", b'"HS256"', MALFORMED),
    with_header("header is null", b"null", MALFORMED),
    with_header("header in single quotes", b"{'alg': 'HS256'}", MALFORMED),
    with_header("header with alg twice", b'{"alg":"none","alg":"HS256"}', MALFORMED),
    with_header("header with alg twice, once escaped", b'{"\\u0061lg":"none","alg":"HS256"}', MALFORMED),
    with_header("header with a member twice inside", b'{"alg":"HS256","x":{"a":1,"a":2}}', MALFORMED),
    with_header("header with a byte order mark", b'\xef\xbb\xbf{"alg":"HS256"}', MALFORMED),
    with_header("header in UTF-16", '{"alg":"HS256"}'.encode("utf-16"), MALFORMED),
    with_header("header with invalid UTF-8", b'{"alg":"HS256","x":"\xff"}', MALFORMED),
    with_header("header with NaN", b'{"alg":"HS256","x":NaN}', MALFORMED),
    with_header("header nested to 5000 levels", b'{"alg":"HS256","x":' + b"[" * 2500 + b"]" * 2500 + b"}", MALFORMED),
    with_header("header with an integer of 5000 digits", b'{"alg":"HS256","x":' + b"9" * 5000 + b"}", None),
]

PAYLOAD_JSON = [
    with_payload("payload is no JSON", b"user", MALFORMED),
    with_payload("payload is an array", b'[{"id":"x"}]', MALFORMED),
    with_payload("payload is a string", b'"crm-42"', MALFORMED),
    with_payload("payload is a number", b"1234", MALFORMED),
    with_payload("payload is null", b"null", MALFORMED),
    with_payload("payload is cut off", b'{"id":"x"', MALFORMED),
    with_payload("payload with something behind", b'{"id":"x"}{"id":"y"}', MALFORMED),
    with_payload("payload with a comment", b'{"id":"x"/* admin */}', MALFORMED),
    with_payload("payload with a comma too many", b'{"id":"x",}', MALFORMED),
    with_payload("payload with id twice", b'{"id":"x","id":"y"}', MALFORMED),
    with_payload("payload with id twice, once escaped", b'{"id":"x","\\u0069d":"y"}', MALFORMED),
    with_payload("payload with user.id twice", b'{"user":{"id":"x","id":"y"}}', MALFORMED),
    with_payload("payload with a metadata member twice", b'{"user":{"id":"x","m":[{"a":1,"a":1}]}}', MALFORMED),
    with_payload("payload with a byte order mark", b'\xef\xbb\xbf{"id":"x"}', MALFORMED),
    with_payload("payload in UTF-16", '{"id":"x"}'.encode("utf-16"), MALFORMED),
    with_payload("payload in UTF-16 without a mark", '{"id":"x"}'.encode("utf-16-le"), MALFORMED),
    with_payload("payload in UTF-32", '{"id":"x"}'.encode("utf-32"), MALFORMED),
    with_payload("payload in Latin-1", '{"id":"é"}'.encode("latin-1"), MALFORMED),
    with_payload("payload with a surrogate in UTF-8", b'{"id":"\xed\xa0\x80"}', MALFORMED),
    with_payload("payload with an overlong slash", b'{"id":"\xc0\xaf"}', MALFORMED),
    with_payload("payload with a raw control character", b'{"id":"a\nb"}', MALFORMED),
    with_payload("payload compressed (zip)", zlib.compress(b'{"id":"x"}'), MALFORMED),
    with_payload("payload compressed (gzip)", gzip.compress(b'{"id":"x"}'), MALFORMED),
    with_payload("payload with NaN that is not read", b'{"user":{"id":"x"},"x":NaN}', MALFORMED),
    with_payload("payload with -Infinity that is not read", b'{"user":{"id":"x"},"x":-Infinity}', MALFORMED),
    with_payload("payload with 5000 digits that are not read", b'{"user":{"id":"x"},"x":' + b"9" * 5000 + b"}", None),
    with_payload("payload nested to 101 levels", _nested(100), BAD_CLAIMS),
    with_payload("payload nested to 3000 levels", _nested(2999), BAD_CLAIMS),
    with_payload("payload of open brackets alone", b"[" * 6000, BAD_CLAIMS),
    with_payload("payload of open objects alone", b'{"a":' * 1200, BAD_CLAIMS),
    with_payload("payload is a code itself", jwt.encode({"id": "x"}, "k" * 32).encode(), MALFORMED),
    with_payload("payload nested to 100 levels in an unread member", _nested(99), None),
    with_payload("payload with white space around", b' \n{"user": {"id": "white space around"}}\r\n\t', None),
    with_payload("payload with an infinity that is not read", b'{"user":{"id":"unread infinity"},"x":1e400}', None),
    with_payload("payload with unknown members", {**user("unknown"), "role": "ADMIN", "admin": True, "sub": 1}, None),
]
