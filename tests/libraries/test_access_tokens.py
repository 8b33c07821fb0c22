"""Access tokens at other services, with the guide's samples: PyJWT's and jose's key sets, through a rotation."""

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
from anyio.from_thread import BlockingPortal

from service.sessions.access_tokens import rotate_signing_key
from tests.actions import TESTER
from tests.libraries.node import ADDRESS, HERE, SAMPLES, NodeDirectory, node_program
from tests.programs import Programs
from tests.site import Site, new_user_id, served

TOKEN = """
    mutation ($code: String!) {
      exchangeExternalAuthCode(externalAuthCode: $code) { ... on SessionGrant { accessToken { token } } }
    }
"""


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background) as site:
        yield site


class NodeService:
    """The guide's sample for Node.js, in a process that keeps its key set as a service does."""

    def __init__(self, directory: NodeDirectory, site: Site) -> None:
        directory.add(HERE / "verifying.mjs", SAMPLES / "who-is-it.mjs", address=site.server.url)
        command = [node_program("node"), "verifying.mjs"]
        self._process = subprocess.Popen(
            command, cwd=directory.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def who_is(self, access_token: str) -> Any:
        """The claims, or `{"error": …}`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{access_token}\n")
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def on_node(site: Site, tmp_path: Path) -> Iterator[NodeService]:
    service = NodeService(NodeDirectory(tmp_path), site)
    yield service
    service.close()


@pytest.fixture
def in_python(site: Site, tmp_path: Path) -> ModuleType:
    """The guide's sample for Python, with a key set that no other test has filled."""
    path = tmp_path / "who_is_it.py"
    path.write_text((SAMPLES / path.name).read_text().replace(ADDRESS, site.server.url))
    spec = importlib.util.spec_from_file_location("who_is_it", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def access_token(site: Site, user_id: str, **claims: Any) -> str:
    with site.client() as client:
        asked = client.post("/graphql", json={"query": TOKEN, "variables": {"code": site.code_for(user_id, **claims)}})
    return str(asked.json()["data"]["exchangeExternalAuthCode"]["accessToken"]["token"])


def rotate(site: Site) -> str:
    return site.call(lambda instance: rotate_signing_key(instance.cipher, TESTER))


def test_both_say_who_it_is(site: Site, on_node: NodeService, in_python: ModuleType) -> None:
    user_id = new_user_id()
    token = access_token(site, user_id)

    claims = in_python.who_is(token)

    assert on_node.who_is(token) == claims
    assert {name: claims[name] for name in ("sub", "email", "origin", "role", "aud", "iss")} == {
        "sub": user_id,
        "email": None,
        "origin": "EXTERNAL_JWT",
        "role": "MEMBER",
        "aud": "doorcode",
        "iss": site.server.url,
    }
    assert claims["exp"] - claims["iat"] == 600


def test_rotation_is_not_noticed(site: Site, on_node: NodeService, in_python: ModuleType) -> None:
    """Not even by those who keep their key set as it was: they need not ask for it at the moment of the rotation."""
    user_id = new_user_id()
    before = access_token(site, user_id)
    assert in_python.who_is(before)["sub"] == on_node.who_is(before)["sub"] == user_id
    in_python.KEYS.fetch_data = None  # it would fail

    kid = rotate(site)
    after = access_token(site, user_id)

    assert jwt.get_unverified_header(after)["kid"] == kid != jwt.get_unverified_header(before)["kid"]
    for token in (after, before):
        assert in_python.who_is(token)["sub"] == on_node.who_is(token)["sub"] == user_id


def test_whoever_starts_after_a_rotation_verifies_what_was_signed_before(
    site: Site, on_node: NodeService, in_python: ModuleType
) -> None:
    user_id = new_user_id()
    before = access_token(site, user_id)
    rotate(site)
    rotate(site)
    after = access_token(site, user_id)

    for token in (before, after):
        assert in_python.who_is(token)["sub"] == on_node.who_is(token)["sub"] == user_id


def test_key_that_is_unknown_is_looked_up(site: Site, in_python: ModuleType) -> None:
    """As after a leak, when the key is rotated twice. PyJWT and jose do so every 30 seconds at most."""
    in_python.KEYS.cooldown_duration = 0
    user_id = new_user_id()
    in_python.who_is(access_token(site, user_id))
    rotate(site)
    rotate(site)

    assert in_python.who_is(access_token(site, user_id))["sub"] == user_id


def test_what_is_no_access_token_is_refused(site: Site, on_node: NodeService, in_python: ModuleType) -> None:
    genuine = access_token(site, new_user_id())
    header, payload, signature = genuine.split(".")
    kid = jwt.get_unverified_header(genuine)["kid"]
    claims = jwt.decode(genuine, options={"verify_signature": False})
    hostile = [
        f"{header}.{payload}.{signature[::-1]}",
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": kid}),
        site.code_for(new_user_id()),
        "dcs_" + "A" * 43,
    ]

    for token in hostile:
        with pytest.raises(jwt.PyJWTError):
            in_python.who_is(token)
        assert set(on_node.who_is(token)) == {"error"}


def test_token_for_another_audience_or_of_another_issuer_is_refused(
    site: Site, on_node: NodeService, in_python: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = access_token(site, new_user_id())
    key = in_python.KEYS.get_signing_key_from_jwt(token)

    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["ES256"], audience="another")
    monkeypatch.setattr(in_python, "DOORCODE", "https://another.example")
    with pytest.raises(jwt.InvalidIssuerError):
        in_python.who_is(token)
    assert "sub" in on_node.who_is(token)
