"""What an integrator reads about a code whose form is wrong: which part, and what it must be."""

import pytest

from service.errors import SignInRefused
from service.external_auth.codes import SigningSecret
from service.external_auth.jws import MAX_CODE_BYTES, decode_base64url
from service.external_auth.policy import Policy
from service.refusal_texts import SignInErrorCode
from tests.external_auth.checking import verify
from tests.hostile.forging import base64url, forge, sign_segments, user

KEY = "kZ3v9y0Qq8mX1t7bR5wL2cN4hJ6pF-sD_gA0eUiOzYw"
GOOD = forge(KEY, user("form"))
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


def reason_of(code: str) -> str | None:
    with pytest.raises(SignInRefused) as refused:
        verify(code, [SigningSecret("sec_0", KEY.encode(), live=True)], Policy(), 0.0)
    assert refused.value.code == SignInErrorCode.MALFORMED_CODE
    return refused.value.reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "the code is empty"),
        (" \n", "the code is empty"),
        (GOOD + "\n", "the code has white space around it"),
        ("\u00a0" + GOOD, "the code has white space around it"),
        ("x" * (MAX_CODE_BYTES + 1), "the code is longer than 8192 bytes"),
        ("\u00e9" * (MAX_CODE_BYTES // 2 + 1), "the code is longer than 8192 bytes"),
        ("x" * MAX_CODE_BYTES, "the code must have 3 segments separated by periods, and has 1"),
        (f"{HEADER}.{PAYLOAD}", "the code must have 3 segments separated by periods, and has 2"),
        (GOOD + "..", "the code must have 3 segments separated by periods, and has 5"),
        (f".{PAYLOAD}.{SIGNATURE}", "the header is empty"),
        (f"{HEADER}..{SIGNATURE}", "the payload is empty"),
        (f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", "the header is base64url with padding (=), and must be without"),
        (GOOD + "=", "the signature is base64url with padding (=), and must be without"),
        (
            f"{HEADER}.a+b/.{SIGNATURE}",
            "the payload is in the standard base64 alphabet, and must be in the URL-safe one",
        ),
        (
            f"{HEADER}.{PAYLOAD}.a/b",
            "the signature is in the standard base64 alphabet, and must be in the URL-safe one",
        ),
        (f"{HEADER}.a b.{SIGNATURE}", "the payload has characters that are not base64url"),
        (f"{HEADER}.\u00e9\ud800.{SIGNATURE}", "the payload has characters that are not base64url"),
        (f"{HEADER}.AB.{SIGNATURE}", "the payload is not canonical base64url: was it cut off or changed?"),
        (f"{HEADER}.AAAAA.{SIGNATURE}", "the payload is not canonical base64url: was it cut off or changed?"),
    ],
)
def test_segments_that_are_wrong_are_refused_with_the_reason(code: str, reason: str) -> None:
    assert reason_of(code) == reason


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"HS256", "the header is not JSON"),
        (b"null", "the header is null, and must be an object"),
        (b'["HS256"]', "the header is an array, and must be an object"),
        (b"\xff", "the header is not UTF-8"),
        (b'{"alg":"HS256","alg":"none"}', "the header has a member twice"),
        (b'{"alg":"HS256","x":-Infinity}', "the header has NaN or Infinity, which are not JSON"),
        (b"9" * 5000, "the header is a float, and must be an object"),
        (b"[" * 101 + b"]" * 101, "the header is nested more than 100 levels deep"),
        (b"[" * 5000, "the header is nested more than 100 levels deep"),
        (b"{}", "the header must have an alg that is a string"),
        (b'{"alg":null}', "the header must have an alg that is a string"),
        (b'{"alg":"HS256","crit":[]}', "the header has crit, and no critical extension is supported here"),
        (b'{"alg":"HS256","b64":false}', "the header has a b64 that is not true, and the payload must be base64url"),
    ],
)
def test_headers_that_are_wrong_are_refused_with_the_reason(header: bytes, reason: str) -> None:
    assert reason_of(forge(KEY, user("form"), header)) == reason


def test_payload_is_held_to_the_same_json() -> None:
    for payload, reason in [
        (b'{"user":{"id":1,"id":2}}', "the payload has a member twice"),
        (b'"x"', "the payload is a string, and must be an object"),
        (b"9" * 5000, "the payload is a float, and must be an object"),
    ]:
        assert reason_of(sign_segments(KEY, HEADER, base64url(payload))) == reason


@pytest.mark.parametrize(
    ("segment", "decoded"),
    [
        ("", b""),
        ("AA", b"\0"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("AB", None),
        ("AA==", None),
        ("A", None),
        ("+/+/", None),
        ("A A", None),
        ("AAA\n", None),
        ("\u0661\u0661", None),
    ],
)
def test_each_text_decodes_to_bytes_that_encode_to_it_or_not_at_all(segment: str, decoded: bytes | None) -> None:
    assert decode_base64url(segment) == decoded
