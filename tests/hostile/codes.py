"""Every hostile or unusual code, as data: for tests of the verification, and for tests of each way to sign in."""

from tests.hostile import forms, payloads, signatures
from tests.hostile.forging import HostileCode, with_payload

__all__ = ["HOSTILE", "SEEDS", "HostileCode"]

HOSTILE: list[HostileCode] = [
    *forms.SHAPES,
    *forms.HEADER_JSON,
    *forms.PAYLOAD_JSON,
    *signatures.ALGORITHMS,
    *signatures.KEYS,
    *signatures.SIGNATURES,
    *signatures.PARAMETERS,
    *payloads.TIMES,
    *payloads.IDS,
    *payloads.EMAILS,
    *payloads.METADATA,
]

# The three kinds of payload. They pass every check. The first two sign in existing users only.
SEEDS: list[HostileCode] = [
    with_payload("email alone", {"email": "ada@example.com"}, None),
    with_payload("id alone", {"id": 1234}, None),
    with_payload(
        "user with other members", {"user": {"id": "crm-42", "email": "a@b.c", "other": [1, {"x": None}]}}, None
    ),
]
