"""The guide's table of usual mistakes: each is made here, and is refused as the table says, with its cause named."""

import base64
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.readme.conftest import Doorcode
from tests.readme.document import table

NOW = int(time.time())
USER = {"user": {"id": "crm-42"}}
INSPECT = """
    query ($code: String!) {
      inspectExternalAuthCode(externalAuthCode: $code) { errorCode checks { passed detail } }
    }
"""


def signed(
    claims: dict[str, Any], key: Callable[[str], str | bytes] = str, algorithm: str = "HS256"
) -> Callable[[str], str]:
    return lambda secret: jwt.encode({"exp": NOW + 86_400, **claims}, key(secret), algorithm)


# In the order of the table: a code with the mistake, made from the secret, and a word of the cause that is named.
MISTAKES = [
    (signed(USER, lambda secret: base64.urlsafe_b64decode(f"{secret}=")), "decoding it from base64"),
    (signed(USER, lambda secret: f"{secret}\n"), "line end"),
    (signed(USER, lambda secret: secret * 2, "HS512"), "another algorithm"),
    (signed(USER, lambda secret: secret[::-1]), "never had"),
    (signed({**USER, "iat": NOW * 1000}), "milliseconds"),
    (signed({**USER, "exp": 300}), "duration"),
    (signed({**USER, "exp": NOW - 61}), "used later"),
    (signed({**USER, "exp": NOW - 86_400}), "used later"),
    (signed({**USER, "iat": str(NOW)}), "as text"),
    (signed({"sub": "crm-42"}), "is in sub"),
    (signed({"user": {"id": "undefined"}}), "undefined"),
    (signed({"id": "unknown-user"}), "No user has this ID"),
    (lambda secret: f'"{signed(USER)(secret)}"', "base64url"),
]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    ("row", "made", "cause"),
    [(row, *mistake) for row, mistake in zip(table("Why was my code refused?", "You get"), MISTAKES, strict=True)],
    ids=[row[1] for row in table("Why was my code refused?", "You get")],
)
def test_mistake_is_refused_and_named(
    row: list[str], made: Callable[[str], str], cause: str, doorcode: Doorcode
) -> None:
    found = doorcode.ask(INSPECT, {"code": made(doorcode.secret)})["inspectExternalAuthCode"]
    failed = [check["detail"] for check in found["checks"] if not check["passed"]]

    assert found["errorCode"] == row[0].partition(",")[0]
    assert cause in failed[0]
