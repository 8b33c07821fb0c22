"""The guide's sign-in function does, on every error code, what the guide's tables say; and it works against a real server."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest

from service.refusal_texts import SignInErrorCode
from tests.readme.conftest import Doorcode, NodeDirectory
from tests.readme.document import ADDRESS, programs, table

REMEDIES = {code: remedy for code, remedy, _ in table("What to do on every error code", "code")}
BUTTONS = {
    "fresh": "Try again",
    "later": "Try again",
    "wait": "Try again",
    "other": "Sign in another way",
    "retype": "Send a new code",
    "stop": None,
}

EXCHANGE = "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) { __typename } }"

# Answers what the test sets, one after the other; "down" means no answer. Waiting takes no time here.
WITH_ANSWERS = """
import { REMEDIES, screenFor, signIn } from "./sign-in.mjs";
globalThis.setTimeout = (wake) => wake();
const outcomes = [];
for (const answers of JSON.parse(process.argv[2])) {
  let asked = 0, sent = 0;
  globalThis.fetch = async () => {
    const answer = answers[Math.min(sent++, answers.length - 1)];
    if (answer === "down") throw new TypeError("fetch failed");
    return new Response(JSON.stringify(answer.body), { status: answer.status ?? 200 });
  };
  const outcome = await signIn(async () => `code-${++asked}`).catch((error) => ({ thrown: { ...error, message: error.message } }));
  outcomes.push({ ...outcome, asked, sent });
}
console.log(JSON.stringify({ outcomes, remedies: REMEDIES }));
"""

# Signs in with one code after the other, as getCode would bring them.
WITH_CODES = """
import { signIn } from "./sign-in.mjs";
const codes = JSON.parse(process.argv[2]);
let asked = 0;
const outcome = await signIn(async () => codes[Math.min(asked++, codes.length - 1)], process.argv[3]);
console.log(JSON.stringify({ ...outcome, asked }));
"""

# The page's own backend is a relative address, which means nothing outside a browser.
WITH_BACKEND = """
const real = globalThis.fetch;
globalThis.fetch = async (url, options) =>
  url === "/api/doorcode-code" ? new Response(process.argv[2]) : real(url, options);
await import("./page.mjs");
"""


@pytest.fixture(scope="module")
def modules(node: NodeDirectory, doorcode: Doorcode) -> NodeDirectory:
    """Node.js with the guide's two modules in it, for the server under test."""
    for name in ("sign-in.mjs", "page.mjs"):
        text = programs()[name].text
        (node.path / name).write_text(text.replace(ADDRESS, doorcode.url.removeprefix("http://")))
    return node


def refusal(code: str) -> dict[str, Any]:
    error = {"__typename": "SignInError", "code": code, "message": "Why", "reference": "REF", "retryAfterSeconds": 7}
    return {"body": {"data": {"exchangeExternalAuthCode": error}}}


def grant(token: str = "dcs_x") -> dict[str, Any]:
    return {"body": {"data": {"exchangeExternalAuthCode": {"__typename": "SessionGrant", "token": token}}}}


def outcomes_of(modules: NodeDirectory, *answers: Sequence[object]) -> list[Any]:
    found = json.loads(modules.run("with-answers.mjs", WITH_ANSWERS, json.dumps(answers)))
    return list(found["outcomes"])


def screen(button: str | None, wait_seconds: int = 0) -> dict[str, object]:
    return {"message": "Why", "reference": "REF", "button": button, "waitSeconds": wait_seconds}


def test_it_knows_every_code_with_the_remedy_of_the_table(modules: NodeDirectory) -> None:
    found = json.loads(modules.run("with-answers.mjs", WITH_ANSWERS, "[]"))

    assert found["remedies"] == REMEDIES
    assert sorted(REMEDIES) == sorted(code.value for code in SignInErrorCode)


def test_every_refusal_leads_to_what_the_table_says(modules: NodeDirectory) -> None:
    automatic = {row[0] for row in table("What to do on every error code", "Do") if row[2] == "once, automatically"}
    outcomes = outcomes_of(modules, *[[refusal(code)] for code in REMEDIES])

    assert automatic == {"fresh"}
    assert dict(zip(REMEDIES, outcomes, strict=True)) == {
        code: {
            "screen": screen(BUTTONS[remedy], 7 if remedy == "wait" else 0),
            "asked": 2 if remedy in automatic else 1,
            "sent": 2 if remedy in automatic else 1,
        }
        for code, remedy in REMEDIES.items()
    }


def test_a_fresh_code_that_is_let_in_is_all_that_the_page_sees(modules: NodeDirectory) -> None:
    [outcome] = outcomes_of(modules, [refusal("CODE_EXPIRED"), grant()])

    assert outcome["grant"]["token"] == "dcs_x"
    assert outcome["asked"] == 2


def test_a_code_of_a_newer_server_is_shown(modules: NodeDirectory) -> None:
    assert outcomes_of(modules, [refusal("SOMETHING_NEW")]) == [{"screen": screen(None), "asked": 1, "sent": 1}]


def test_trouble_is_tried_again_and_errors_are_thrown(modules: NodeDirectory) -> None:
    error = {"message": "Oops", "extensions": {"code": "INTERNAL_SERVER_ERROR", "reference": "REF"}}
    recovered, gave_up, thrown = outcomes_of(
        modules,
        ["down", {"status": 503, "body": "later"}, grant()],
        ["down"],
        [{"body": {"data": None, "errors": [error]}}],
    )

    assert (recovered["grant"]["token"], recovered["sent"], recovered["asked"]) == ("dcs_x", 3, 1)
    assert (gave_up["thrown"]["message"], gave_up["sent"]) == ("The sign-in service does not answer.", 3)
    assert thrown["thrown"] == {"message": "Oops", "code": "INTERNAL_SERVER_ERROR", "reference": "REF"}
    assert thrown["sent"] == 1


def code_of(doorcode: Doorcode, user_id: str, email: str | None = None, **claims: object) -> str:
    user = {"id": user_id, **({"email": email} if email else {})}
    payload = {"user": user, "exp": int(time.time()) + 300, **claims}
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, doorcode.secret)


def sign_in(modules: NodeDirectory, *codes: str, token: str = "") -> Any:
    return json.loads(modules.run("with-codes.mjs", WITH_CODES, json.dumps(codes), token))


def test_page_of_the_guide_greets_whoever_is_signed_in(modules: NodeDirectory, doorcode: Doorcode) -> None:
    code = code_of(doorcode, "page-1", "page@example.com")

    assert modules.run("with-backend.mjs", WITH_BACKEND, code) == "Hello, page@example.com"


def test_session_goes_on_with_the_same_token(modules: NodeDirectory, doorcode: Doorcode) -> None:
    code = code_of(doorcode, "crm-1")
    first = sign_in(modules, code)["grant"]
    again = sign_in(modules, code, token=first["token"])["grant"]

    assert (first["newUser"], again["newUser"]) == (True, False)
    assert again["token"] == first["token"]
    assert again["session"] == first["session"]


@pytest.fixture
def codes_refused(doorcode: Doorcode) -> dict[str, str]:
    """A code that the server refuses, by how it refuses it; the states that hold for single users are made here."""
    for user_id in ("gone", "taken"):
        doorcode.ask(EXCHANGE, {"code": code_of(doorcode, user_id, f"{user_id}@example.com")})
    doorcode.ask('mutation { deactivateUser(id: "gone") { id } }')
    now = int(time.time())
    return {
        "MALFORMED_CODE": "no-code",
        "INVALID_SIGNATURE": jwt.encode({"user": {"id": "x"}}, "another secret of 32 bytes or more"),
        "CODE_EXPIRED": code_of(doorcode, "x", exp=now - 3600),
        "CODE_NOT_YET_VALID": code_of(doorcode, "x", nbf=now + 3600),
        "INVALID_CLAIMS": code_of(doorcode, "undefined"),
        "UNKNOWN_USER": code_of(doorcode, "x", user=None, id="nobody"),
        "EMAIL_TAKEN": code_of(doorcode, "another", "taken@example.com"),
        "USER_DEACTIVATED": code_of(doorcode, "gone"),
    }


def test_real_server_refuses_and_the_function_does_what_it_should(
    modules: NodeDirectory, doorcode: Doorcode, codes_refused: Mapping[str, str]
) -> None:
    good = code_of(doorcode, "crm-1")
    for error, code in codes_refused.items():
        outcome = sign_in(modules, code, good)
        if REMEDIES[error] == "fresh":
            assert (outcome["grant"]["user"]["id"], outcome["asked"]) == ("crm-1", 2), error
        else:
            assert (outcome["screen"]["button"], outcome["asked"]) == (BUTTONS[REMEDIES[error]], 1), error
            assert outcome["screen"]["message"], error


def test_full_instance_offers_to_try_again(modules: NodeDirectory, doorcode: Doorcode) -> None:
    doorcode.ask("mutation { setSeatLimit(limit: 0) { used } }")
    outcome = sign_in(modules, code_of(doorcode, "one-too-many"))
    doorcode.ask("mutation { setSeatLimit(limit: null) { used } }")

    assert outcome["screen"]["button"] == "Try again"


def test_where_codes_are_off_another_way_is_offered(modules: NodeDirectory, doorcode: Doorcode) -> None:
    doorcode.ask("mutation { disableJwtAuth { enabled } }")
    outcome = sign_in(modules, code_of(doorcode, "crm-1"))
    doorcode.ask("mutation { enableJwtAuth { secret } }")

    assert outcome["screen"]["button"] == "Sign in another way"


def test_used_code_is_replaced_by_a_fresh_one(modules: NodeDirectory, doorcode: Doorcode) -> None:
    doorcode.set_policy(singleUse=True)
    used, fresh = (code_of(doorcode, "crm-1", jti=f"{time.time()}-{number}") for number in range(2))
    sign_in(modules, used)
    outcome = sign_in(modules, used, fresh)
    doorcode.set_policy(singleUse=False)

    assert (outcome["grant"]["user"]["id"], outcome["asked"]) == ("crm-1", 2)


def test_too_many_attempts_say_how_long_to_wait(modules: NodeDirectory, tmp_path: Path) -> None:
    strict = Doorcode(tmp_path, {"DOORCODE_FAILED_SIGN_INS": "1/hour"})
    wrong = jwt.encode({"user": {"id": "x"}}, "another secret of 32 bytes or more")
    text = programs()["sign-in.mjs"].text.replace(ADDRESS, strict.url.removeprefix("http://"))
    (modules.path / "sign-in-strict.mjs").write_text(text)
    driver = WITH_CODES.replace("./sign-in.mjs", "./sign-in-strict.mjs")
    outcome = json.loads(modules.run("with-codes-strict.mjs", driver, json.dumps([wrong])))
    strict.server.close()

    assert outcome["asked"] == 2
    assert outcome["screen"]["button"] == "Try again"
    assert 0 < outcome["screen"]["waitSeconds"] <= 3600
