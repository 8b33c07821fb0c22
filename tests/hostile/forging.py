"""Builds codes that no JWT library makes: any header, payload or bytes, with a real HMAC."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from service.refusal_texts import SignInErrorCode

Part: TypeAlias = Mapping[str, object] | bytes
"""A header or a payload: an object to be written as JSON, or the very bytes."""

HEADER: Mapping[str, object] = {"alg": "HS256", "typ": "JWT"}

MALFORMED = SignInErrorCode.MALFORMED_CODE
BAD_SIGNATURE = SignInErrorCode.INVALID_SIGNATURE
EXPIRED = SignInErrorCode.CODE_EXPIRED
NOT_YET = SignInErrorCode.CODE_NOT_YET_VALID
BAD_CLAIMS = SignInErrorCode.INVALID_CLAIMS


@dataclass(frozen=True)
class HostileCode:
    """`make(secret)` forges the code for a service whose only secret, in use, is this text.

    `expected` is what it is refused with under the default policy; None: it is odd but legal, names a new user (each
    another one), and signs that user in.
    """

    name: str
    make: Callable[[str], str]
    expected: SignInErrorCode | None

    def __str__(self) -> str:
        return self.name


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def encode(part: Part) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def hmac_sha256(key: str | bytes, signing_input: str) -> bytes:
    return hmac.digest(key.encode() if isinstance(key, str) else key, signing_input.encode(), hashlib.sha256)


def sign_segments(key: str | bytes, header: str, payload: str) -> str:
    """Two segments as they stand, however wrong, and a signature that holds for them."""
    return f"{header}.{payload}.{base64url(hmac_sha256(key, f'{header}.{payload}'))}"


def forge(key: str | bytes, payload: Part, header: Part = HEADER) -> str:
    return sign_segments(key, base64url(encode(header)), base64url(encode(payload)))


def with_header(name: str, header: Part, expected: SignInErrorCode | None) -> HostileCode:
    """A good code of a user of its own, signed with the right key, but for this header."""
    return HostileCode(name, lambda secret: forge(secret, user(name), header), expected)


def with_payload(name: str, payload: Part, expected: SignInErrorCode | None) -> HostileCode:
    """A code that is signed well, with this payload."""
    return HostileCode(name, lambda secret: forge(secret, payload), expected)


def with_times(
    name: str, times: Callable[[float], Mapping[str, object]], expected: SignInErrorCode | None
) -> HostileCode:
    """A good code of a user of its own, with times that depend on the moment at which it is made."""
    return HostileCode(name, lambda secret: forge(secret, {**user(name), **times(time.time())}), expected)


def each(
    make: Callable[[str, Part, SignInErrorCode | None], HostileCode],
    expected: SignInErrorCode | None,
    parts: Iterable[tuple[str, Part]],
) -> list[HostileCode]:
    return [make(name, part, expected) for name, part in parts]


def user(name: str) -> dict[str, object]:
    """Claims of a user that no other code names."""
    return {"user": {"id": f"hostile: {name}"}}
