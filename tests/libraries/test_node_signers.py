"""Codes that `jsonwebtoken` and `jose` sign on Node.js, let in by a real server on each database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.libraries.node import HERE, NodeDirectory
from tests.programs import Programs
from tests.site import Site

EXCHANGE = """
    mutation ($code: String!) {
      exchangeExternalAuthCode(externalAuthCode: $code) {
        ... on SessionGrant { newUser user { id externalId email metadata origin } }
        ... on SignInError { code message }
      }
    }
"""
# The examples of the product's documentation. The first makes the user that the others speak of.
PAYLOADS: dict[str, dict[str, Any]] = {
    "user": {"user": {"id": "1234", "email": "Someone@Example.com", "other": "data"}},
    "id": {"id": 1234},
    "email": {"email": "someone@example.com"},
}
SOMEONE = {
    "id": "1234",
    "externalId": "1234",
    "email": "someone@example.com",
    "metadata": {"other": "data"},
    "origin": "EXTERNAL_JWT",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> NodeDirectory:
    directory = NodeDirectory(tmp_path_factory.mktemp("node"))
    directory.add(HERE / "sign.mjs")
    return directory


@pytest.fixture
def site(database_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[Site]:
    site = Site.open(tmp_path, database_url, background, {})
    yield site
    site.server.close()


def exchange(client: httpx2.Client, code: str) -> Any:
    answer = client.post("/graphql", json={"query": EXCHANGE, "variables": {"code": code}}).json()
    return answer["data"]["exchangeExternalAuthCode"]


def test_codes_signed_on_node_are_let_in(site: Site, node: NodeDirectory) -> None:
    signed = node.run("sign.mjs", environ={"SECRET": site.secret.text, "PAYLOADS": json.dumps(PAYLOADS)})

    with site.client() as client:
        answers = {(way, name): exchange(client, code) for way, name, code in json.loads(signed)}

    assert len(answers) == 4 * len(PAYLOADS)
    assert [answer.get("newUser") for answer in answers.values()] == [True] + [False] * 11
    assert [answer.get("user") for answer in answers.values()] == [SOMEONE] * 12


def test_codes_signed_on_node_with_another_secret_are_not(site: Site, node: NodeDirectory) -> None:
    signed = node.run("sign.mjs", environ={"SECRET": site.secret.text[::-1], "PAYLOADS": json.dumps(PAYLOADS)})

    with site.client() as client:
        answers = [exchange(client, code).get("code") for _, _, code in json.loads(signed)]

    assert answers == ["INVALID_SIGNATURE"] * 12
