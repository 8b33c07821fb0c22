"""A change in one process applies to the next request of every other (contract §2 and §3), on both databases."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.accounts import administration
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.models import UserRole
from service.accounts.seats import set_seat_limit
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.administration import end_user_sessions
from service.sessions.lifecycle import end_session
from tests.actions import HASHES, TESTER, admin, code_of, enable, member, open_for, set_policy
from tests.processes import Server, run_command

EXCHANGE = "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){... on SessionGrant{token}... on SignInError{code}}}"
ENOUGH = 6  # requests, each on a new connection, so that they reach every worker


class Everywhere:
    """Asks a server so often that each of its workers has been asked, and takes only one answer from all."""

    def __init__(self, server: Server) -> None:
        self._url = f"{server.url}/graphql"

    def ask(self, document: str, variables: dict[str, object] | None = None, token: str | None = None) -> Any:
        headers = {"Connection": "close", **({"Authorization": f"Bearer {token}"} if token else {})}
        body = {"query": document, "variables": variables or {}}
        with httpx2.Client(timeout=60) as http:
            payloads = [http.post(self._url, json=body, headers=headers).json() for _ in range(ENOUGH)]
        assert all("errors" not in payload for payload in payloads), payloads
        return [payload["data"] for payload in payloads]

    def exchange(self, code: str) -> str:
        """The error's code, or "ok"."""
        answers = [data["exchangeExternalAuthCode"] for data in self.ask(EXCHANGE, {"code": code})]
        [answer] = {answer.get("code", "ok") for answer in answers}
        return str(answer)

    def token_for(self, code: str) -> str:
        [token, *_] = [data["exchangeExternalAuthCode"]["token"] for data in self.ask(EXCHANGE, {"code": code})]
        return str(token)

    def viewer(self, token: str) -> str | None:
        [viewer] = {data["viewer"] and str(data["viewer"]["id"]) for data in self.ask("{viewer{id}}", token=token)}
        return viewer if viewer is None else str(viewer)


@pytest.fixture
def everywhere(server: Callable[..., Server], environ: dict[str, str], instance: Instance) -> Everywhere:
    """A server next to this process, with two workers if the database allows it."""
    return Everywhere(server(environ, *([] if instance.settings.uses_sqlite else ["--workers", "2"])))


def run(environ: dict[str, str], directory: Path, *arguments: str) -> str:
    """What a command prints that succeeds."""
    ran = run_command(environ, directory, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


async def test_secrets_changed_by_commands_beside_a_running_server(
    everywhere: Everywhere, environ: dict[str, str], tmp_path: Path
) -> None:
    claims = {"user": {"id": "crm-42"}}
    assert everywhere.exchange(code_of("x" * 43, claims)) == "EXTERNAL_AUTH_DISABLED"
    old = run(environ, tmp_path, "jwt", "enable")
    assert everywhere.exchange(code_of(old, claims)) == "ok"
    token = everywhere.token_for(code_of(old, claims))
    new = run(environ, tmp_path, "jwt", "rotate", "--grace", "3600")
    assert everywhere.exchange(code_of(old, claims)) == everywhere.exchange(code_of(new, claims)) == "ok"
    old_id = (await secrets.list_secrets())[-1].id
    assert everywhere.viewer(token) == "crm-42"
    run(environ, tmp_path, "jwt", "revoke", old_id)
    assert everywhere.viewer(token) is None
    assert everywhere.exchange(code_of(old, claims)) == "INVALID_SIGNATURE"
    assert everywhere.exchange(code_of(new, claims)) == "ok"
    newer = run(environ, tmp_path, "jwt", "rotate", "--grace", "0")
    assert everywhere.exchange(code_of(new, claims)) == "INVALID_SIGNATURE"
    assert everywhere.exchange(code_of(newer, claims)) == "ok"
    run(environ, tmp_path, "jwt", "disable")
    assert everywhere.exchange(code_of(newer, claims)) == "EXTERNAL_AUTH_DISABLED"
    assert run(environ, tmp_path, "jwt", "enable") == ""
    assert everywhere.exchange(code_of(newer, claims)) == "ok"
    code = run(environ, tmp_path, "code", "sign", "--id", "crm-42")
    assert everywhere.exchange(code) == "ok"


async def test_everything_else_that_another_process_changes(everywhere: Everywhere, instance: Instance) -> None:
    secret = await enable(instance)
    ada = code_of(secret, {"user": {"id": "ada"}})
    token = everywhere.token_for(ada)

    await set_policy(require_expiry=True)
    assert everywhere.exchange(ada) == "INVALID_CLAIMS"
    await set_policy(require_expiry=False)
    assert everywhere.exchange(ada) == "ok"

    await set_seat_limit(1, TESTER)
    assert everywhere.exchange(code_of(secret, {"user": {"id": "bob"}})) == "SEAT_LIMIT_REACHED"
    await set_seat_limit(None, TESTER)
    assert everywhere.exchange(code_of(secret, {"user": {"id": "bob"}})) == "ok"

    assert everywhere.viewer(token) == "ada"
    await end_user_sessions("ada", TESTER)
    assert everywhere.viewer(token) is None

    token = everywhere.token_for(ada)
    await administration.deactivate_user("ada", TESTER)
    assert everywhere.viewer(token) is None
    assert everywhere.exchange(ada) == "USER_DEACTIVATED"
    await administration.reactivate_user("ada", TESTER)
    assert everywhere.viewer(token) is None

    token = everywhere.token_for(ada)
    await administration.delete_user("ada", TESTER, HASHES)
    assert everywhere.viewer(token) is None

    assert everywhere.exchange(ada) == "ok"
    await revoke_user_codes("ada", TESTER)
    assert everywhere.exchange(ada) == "CODE_EXPIRED"
    assert everywhere.exchange(code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time())})) == "ok"
    await secrets.revoke_all_codes(TESTER)
    bob = {"user": {"id": "bob"}}
    assert everywhere.exchange(code_of(secret, bob)) == "CODE_EXPIRED"
    assert everywhere.exchange(code_of(secret, {**bob, "iat": int(time.time())})) == "ok"

    ada = code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time())})
    token = everywhere.token_for(ada)
    await secrets.disable(TESTER, end_sessions=True)
    assert everywhere.viewer(token) is None
    assert everywhere.exchange(ada) == "EXTERNAL_AUTH_DISABLED"

    grace = await open_for(await member("grace@example.com"))
    assert everywhere.viewer(grace.token) == grace.session.user.id
    await end_session(grace.session.id)
    assert everywhere.viewer(grace.token) is None


async def test_rights_that_another_process_takes_away(everywhere: Everywhere) -> None:
    await admin("stays@example.com")
    boss = await admin("boss@example.com")
    token = (await open_for(boss)).token
    rights = "{currentSession{adminRights}}"
    assert {data["currentSession"]["adminRights"] for data in everywhere.ask(rights, token=token)} == {True}
    await administration.set_role(boss.id, UserRole.MEMBER, TESTER)
    assert [data["currentSession"] for data in everywhere.ask(rights, token=token)] == [None] * ENOUGH
