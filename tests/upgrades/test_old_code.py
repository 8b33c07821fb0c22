"""The code of the last release serves on the schema of this version, so that servers can be upgraded one after another."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.database.migration import packaged_migrations
from tests.processes import Server, run_command
from tests.programs import Programs
from tests.upgrades.releases import last_release, unpack

EXCHANGE = (
    "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) {"
    " ... on SessionGrant { token user { id email } } ... on SignInError { code message } } }"
)
QUERIES = [
    '{ users(first: 10, filter: {search: "ada"}) { totalCount edges { node { id email status sessions { edges { node { id } } } } } } }',
    "{ auditLog(first: 10) { edges { node { action actor } } } }",
    "{ seatUsage { used limit } authentication { jwt { enabled secrets { id status } } } apiKeys { id scope } }",
    "mutation { setSeatLimit(limit: 50) { limit used } }",
    'mutation { createUser(externalId: "crm-made", email: "made@example.com") { id email } }',
    'mutation { updateUser(id: "crm-made", email: "other@example.com") { id email } }',
    'mutation { setUserGroups(id: "crm-made", names: ["staff"]) { id } }',
    'mutation { deactivateUser(id: "crm-made") { id status } }',
    'mutation { reactivateUser(id: "crm-made") { id status } }',
    'mutation { revokeUserCodes(id: "crm-made") { id } }',
    'mutation { inviteUser(email: "guest@example.com") { id email } }',
    'mutation { deleteUser(id: "crm-made") { id } }',
    "mutation { rotateJwtSecret { secret } }",
    "{ users(first: 10) { totalCount edges { node { id email metadata } } } }",
]
"""What an API key may ask: each table that requests write."""


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Path:
    """The package `service` of the last release."""
    directory = tmp_path_factory.mktemp("release")
    unpack(last_release(), directory)
    return directory


class OldServer:
    """A server and commands of the last release, with the packages that are installed now."""

    def __init__(self, code: Path, directory: Path, environ: dict[str, str], stack: ExitStack) -> None:
        self._directory, self._environ = directory, {**environ, "PYTHONPATH": str(code)}
        self.secret = self.run("jwt", "enable")
        self._key = self.run("api-key", "create", "upgrade", "--scope", "admin")
        self.server = Server(directory, self._environ)
        stack.callback(self.server.kill_if_running)
        self.server.wait_until_ready()

    def run(self, *arguments: str) -> str:
        ran = run_command(self._environ, self._directory, *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def ask(self, query: str, token: str | None = None, **variables: object) -> Any:
        answer = httpx2.post(
            f"{self.server.url}/graphql",
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {token or self._key}"},
            timeout=60,
        ).json()
        assert "errors" not in answer, (query, answer["errors"])
        return answer["data"]

    def sign_in(self, user_id: str, email: str) -> str:
        code = self.run("code", "sign", "--user-id", user_id, "--email", email)
        granted = self.ask(EXCHANGE, code=code)["exchangeExternalAuthCode"]
        assert granted.get("user") == {"id": user_id, "email": email}, granted
        token = str(granted["token"])
        assert self.ask("{ viewer { id email } }", token)["viewer"] == {"id": user_id, "email": email}
        return token


@pytest.fixture
def old(old_code: Path, empty_database_url: str, tmp_path: Path) -> Iterator[OldServer]:
    """A server of the last release that runs on a database of its own schema."""
    environ = {"DOORCODE_DATABASE_URL": empty_database_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    migrated = run_command({**environ, "PYTHONPATH": str(old_code)}, tmp_path, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    with ExitStack() as stack:
        yield OldServer(old_code, tmp_path, environ, stack)


def test_running_server_of_the_last_release_serves_on_the_schema_of_this_version(
    old: OldServer, old_code: Path, empty_database_url: str, tmp_path: Path
) -> None:
    environ = {"DOORCODE_DATABASE_URL": empty_database_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    token = old.sign_in("crm-1", "ada@example.com")
    # The commands of the old release are loaded before: they would refuse the newer database, as every start does.
    codes = {
        name: old.run("code", "sign", "--user-id", name, "--email", f"{name}@example.com")
        for name in ("crm-2", "crm-3")
    }
    again = old.run("code", "sign", "--user-id", "crm-1", "--email", "new@example.com")

    upgraded = run_command(environ, tmp_path, "migrate")
    assert upgraded.returncode == 0, upgraded.stderr

    assert old.ask("{ viewer { id } }", token)["viewer"] == {"id": "crm-1"}
    for name, code in codes.items():
        for _ in range(2):  # a new user, then a known one
            assert old.ask(EXCHANGE, code=code)["exchangeExternalAuthCode"]["user"]["id"] == name
    granted = old.ask(EXCHANGE, code=again)["exchangeExternalAuthCode"]
    assert granted["user"] == {"id": "crm-1", "email": "new@example.com"}
    for query in QUERIES:
        old.ask(query)
    old.ask("mutation { endSession }", granted["token"])
    assert httpx2.get(f"{old.server.url}/readyz", timeout=60).text == "ok\n"
    assert "internal_error" not in old.server.stderr_text()
    old.server.stop()

    checked = run_command(environ, tmp_path, "check")
    assert checked.returncode == 0, checked.stdout
    if packaged_migrations() > {path.stem for path in (old_code / "service" / "migrations").glob("[0-9]*.py")}:
        late = run_command({**environ, "PYTHONPATH": str(old_code)}, tmp_path, "jwt", "status")
        assert late.returncode != 0
        assert "this database is newer than this version of Doorcode" in late.stderr
