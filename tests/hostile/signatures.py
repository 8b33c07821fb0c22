"""Codes with a foreign signature, with none, or with our key by an algorithm that is not accepted."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.refusal_texts import SignInErrorCode
from tests.hostile.forging import (
    BAD_SIGNATURE,
    HEADER,
    MALFORMED,
    HostileCode,
    base64url,
    encode,
    forge,
    hmac_sha256,
    user,
    with_header,
)

_STRANGERS_KEY = "a-key-that-no-service-ever-made-0123456789"
_CLAIMS = user("signature")


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _public_pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _alg(name: str, alg: object, expected: SignInErrorCode) -> HostileCode:
    return with_header(f"alg {name}", {**HEADER, "alg": alg}, expected)


def _unsigned(alg: str) -> HostileCode:
    text = f"{base64url(encode({'alg': alg}))}.{base64url(encode(_CLAIMS))}."
    return HostileCode(f"alg {alg} and no signature", lambda _: text, BAD_SIGNATURE)


def _hmac_sha(bits: int) -> Callable[[str], str]:
    def make(secret: str) -> str:
        signing_input = f"{base64url(encode({'alg': f'HS{bits}'}))}.{base64url(encode(_CLAIMS))}"
        return f"{signing_input}.{base64url(hmac.digest(secret.encode(), signing_input.encode(), f'sha{bits}'))}"

    return make


ALGORITHMS = [
    *(_unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "HS256")),
    *(_alg(f"{alg} over a good HS256 signature", alg, BAD_SIGNATURE) for alg in ("none", "None", "RS256", "ES256")),
    *(
        _alg(repr(alg), alg, BAD_SIGNATURE)
        for alg in ("hs256", "Hs256", "HS256 ", "HS256\0", "HMAC", "", "PS256", "EdDSA")
    ),
    *(_alg(repr(alg), alg, MALFORMED) for alg in (256, 0, None, True, ["HS256"], {"name": "HS256"})),
    with_header("alg absent", {"typ": "JWT"}, MALFORMED),
    with_header("Alg in another case", {"Alg": "HS256"}, MALFORMED),
    with_header("header empty", {}, MALFORMED),
    HostileCode("HS384 with our key", _hmac_sha(384), BAD_SIGNATURE),
    HostileCode("HS512 with our key", _hmac_sha(512), BAD_SIGNATURE),
    HostileCode("RS256 with a real key", lambda _: jwt.encode(_CLAIMS, _rsa_key(), "RS256"), BAD_SIGNATURE),
    HostileCode("ES256 with a real key", lambda _: jwt.encode(_CLAIMS, _ec_key(), "ES256"), BAD_SIGNATURE),
]


def _keyed(name: str, key: Callable[[str], str | bytes]) -> HostileCode:
    return HostileCode(name, lambda secret: forge(key(secret), _CLAIMS), BAD_SIGNATURE)


KEYS = [
    _keyed("key empty", lambda _: ""),
    _keyed("key of a stranger", lambda _: _STRANGERS_KEY),
    _keyed("key of NUL bytes", lambda _: bytes(32)),
    _keyed("key is the secret base64url-decoded", lambda secret: base64.urlsafe_b64decode(secret + "=")),
    _keyed("key is the secret with a newline", lambda secret: secret + "\n"),
    _keyed("key is the secret with padding", lambda secret: secret + "="),
    _keyed("key is the secret in quotes", lambda secret: f'"{secret}"'),
    _keyed("key is the secret in upper case", str.upper),
    _keyed("key is the secret without its last character", lambda secret: secret[:-1]),
    _keyed("key is the secret base64-encoded", lambda secret: base64.b64encode(secret.encode())),
    _keyed("key is the SHA-256 of the secret", lambda secret: hashlib.sha256(secret.encode()).digest()),
    _keyed("key is the secret in UTF-16", lambda secret: secret.encode("utf-16-le")),
    _keyed("key is an RSA public key", lambda _: _public_pem(_rsa_key().public_key())),
    _keyed("key is an EC public key", lambda _: _public_pem(_ec_key().public_key())),
    _keyed("key is the word null", lambda _: "null"),
    _keyed("key is the word undefined", lambda _: "undefined"),
]


def _flip_first_bit(secret: str) -> str:
    header, payload, signature = forge(secret, _CLAIMS).split(".")
    return f"{header}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def _other_payload(secret: str) -> str:
    header, _, signature = forge(secret, _CLAIMS).split(".")
    return f"{header}.{base64url(encode(user('admin')))}.{signature}"


def _other_header(secret: str) -> str:
    _, payload, signature = forge(secret, _CLAIMS).split(".")
    return f"{base64url(encode({**HEADER, 'x': 1}))}.{payload}.{signature}"


def _signature(name: str, make: Callable[[bytes], bytes]) -> HostileCode:
    def forge_with(secret: str) -> str:
        signing_input = forge(secret, _CLAIMS).rpartition(".")[0]
        return f"{signing_input}.{base64url(make(hmac_sha256(secret, signing_input)))}"

    return HostileCode(f"signature {name}", forge_with, BAD_SIGNATURE)


SIGNATURES = [
    HostileCode("signature with one bit changed", _flip_first_bit, BAD_SIGNATURE),
    HostileCode("signature of another payload", _other_payload, BAD_SIGNATURE),
    HostileCode("signature of another header", _other_header, BAD_SIGNATURE),
    HostileCode("signature cut off by a character", lambda secret: forge(secret, _CLAIMS)[:-1], BAD_SIGNATURE),
    HostileCode("signature of one character", lambda secret: forge(secret, _CLAIMS)[:-42], BAD_SIGNATURE),
    _signature("empty", lambda _: b""),
    _signature("of one byte", lambda _: b"\0"),
    _signature("of NUL bytes", lambda _: bytes(32)),
    _signature("without its last byte", lambda signature: signature[:-1]),
    _signature("with a byte more", lambda signature: signature + b"\0"),
    _signature("twice", lambda signature: signature * 2),
    _signature("in hexadecimal", lambda signature: signature.hex().encode()),
    _signature("reversed", lambda signature: signature[::-1]),
    _signature("of 4 KiB", lambda _: bytes(4096)),
]


def _stranger(name: str, header: dict[str, object]) -> HostileCode:
    """Signed with a key that the header itself offers, or says where to fetch."""
    return HostileCode(name, lambda _: forge(_STRANGERS_KEY, _CLAIMS, {**HEADER, **header}), BAD_SIGNATURE)


_OFFERED_KEYS: dict[str, object] = {
    "jwk": {"kty": "oct", "k": base64url(_STRANGERS_KEY.encode())},
    "jku": "https://evil.example/jwks.json",
    "x5u": "https://evil.example/chain.pem",
    "x5c": ["MIIB"],
    "x5t": "AAAA",
}

PARAMETERS = [
    *(_stranger(f"{name} of a stranger", {name: offer}) for name, offer in _OFFERED_KEYS.items()),
    *(
        _stranger(f"kid {kid[:20]!r} of a stranger", {"kid": kid})
        for kid in ("", "unknown", "../../dev/null", "' OR 1=1 --", "x" * 4000, "\0", "\ud800", "file:///etc/hostname")
    ),
    *(
        with_header(f"kid {kid!r}, which counts as absent", {**HEADER, "kid": kid}, None)
        for kid in (None, 1, 1.5, True, [], ["x"], {}, {"$ne": None})
    ),
    *(
        with_header(f"crit {crit!r}", {**HEADER, "crit": crit, "exp": 1}, MALFORMED)
        for crit in ([], ["exp"], ["b64"], ["unknown"], None, "exp", 1)
    ),
    *(with_header(f"b64 {b64!r}", {**HEADER, "b64": b64}, MALFORMED) for b64 in (False, None, 0, "false")),
    with_header("b64 false and critical", {**HEADER, "b64": False, "crit": ["b64"]}, MALFORMED),
    with_header("b64 true", {**HEADER, "b64": True}, None),
    with_header("unknown kid over our signature", {**HEADER, "kid": "unknown"}, None),
    with_header("keys that are not read over our signature", {**HEADER, **_OFFERED_KEYS}, None),
    with_header("typ that is not read", {"alg": "HS256", "typ": ["at+jwt"], "cty": None, "zip": "DEF"}, None),
]
