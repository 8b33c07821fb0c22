"""GraphQL tools over `schema.graphql` with the guide's operations: Code Generator and urql on Node.js, gql in Python."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from anyio.from_thread import BlockingPortal
from gql.transport.exceptions import TransportQueryError
from graphql import build_schema, parse, validate

from tests.libraries.node import ADDRESS, HERE, SAMPLES, NodeDirectory
from tests.processes import ROOT
from tests.programs import Programs
from tests.site import Site, new_user_id, served

SCHEMA = ROOT / "schema.graphql"


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), background) as site:
        yield site


@pytest.fixture(scope="module")
def project(site: Site, tmp_path_factory: pytest.TempPathFactory) -> NodeDirectory:
    """A frontend's directory, with the types that were generated for it."""
    project = NodeDirectory(tmp_path_factory.mktemp("project"))
    samples = [SAMPLES / name for name in ("operations.graphql", "codegen.json", "client.ts")]
    own = [HERE / name for name in ("codegen.mjs", "signing-in.mjs", "tsconfig.json")]
    project.add(SCHEMA, *samples, *own, address=site.server.url)
    project.run("codegen.mjs")
    return project


def test_operations_are_valid() -> None:
    operations = parse((SAMPLES / "operations.graphql").read_text())

    assert validate(build_schema(SCHEMA.read_text()), operations) == []


def test_generated_types_fit_their_use(project: NodeDirectory) -> None:
    project.run("node_modules/typescript/bin/tsc", "--project", "tsconfig.json")


def test_generated_types_know_what_is_wrong(project: NodeDirectory) -> None:
    client = (project.path / "client.ts").read_text()
    wrong = {
        'answer.__typename === "SignInError"': 'answer.__typename === "SignInProblem"',
        "SignInDocument, { code }": "SignInDocument, { code: 5 }",
        "token = answer.token": "token = answer.tokens",
    }
    for right, mistake in wrong.items():
        assert right in client
        (project.path / "mistaken.ts").write_text(client.replace(right, mistake))
        (project.path / "mistaken.json").write_text('{"extends": "./tsconfig.json", "include": ["mistaken.ts"]}')
        with pytest.raises(AssertionError, match=r"error TS"):
            project.run("node_modules/typescript/bin/tsc", "--project", "mistaken.json")


def test_urql_signs_in_and_out(project: NodeDirectory, site: Site) -> None:
    user_id = new_user_id()
    code = site.sign({"user": {"id": user_id, "email": f"{user_id}@example.com", "plan": "gold"}})

    told = json.loads(project.run("signing-in.mjs", environ={"CODE": code, "NODE_NO_WARNINGS": "1"}))

    person = {"id": user_id, "externalId": user_id, "email": f"{user_id}@example.com", "metadata": {"plan": "gold"}}
    for name in ("user", "meanwhile"):
        assert {**told.pop(name), "__typename": None} == {**person, "__typename": None}
    assert told.pop("refusal").startswith("This sign-in link is damaged")
    assert told == {"before": None, "ended": True, "after": None}


@pytest.fixture
def sign_in_py(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The guide's sample for Python, in a directory as it expects it."""
    monkeypatch.chdir(tmp_path)
    for file in (SCHEMA, SAMPLES / "operations.graphql"):
        shutil.copy(file, tmp_path)
    path = tmp_path / "sign_in.py"
    path.write_text((SAMPLES / path.name).read_text().replace(ADDRESS, site.server.url))
    spec = importlib.util.spec_from_file_location("sign_in", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_gql_signs_in_and_out(site: Site, sign_in_py: ModuleType) -> None:
    user_id = new_user_id()

    grant = await sign_in_py.sign_in(site.code_for(user_id))

    assert (grant["user"]["id"], grant["newUser"]) == (user_id, True)
    asked = await sign_in_py.run("WhoIsSignedIn", grant["token"])
    assert asked["currentSession"]["user"]["id"] == user_id
    assert (await sign_in_py.run("RenewAccessToken", grant["token"]))["issueAccessToken"]["token"].count(".") == 2
    assert await sign_in_py.run("SignOut", grant["token"]) == {"endSession": True}
    assert await sign_in_py.run("WhoIsSignedIn", grant["token"]) == {"currentSession": None}


async def test_gql_is_told_of_refusals(sign_in_py: ModuleType) -> None:
    with pytest.raises(PermissionError, match=r"damaged or incomplete\..* \([2-9A-Z]{10}\)"):
        await sign_in_py.sign_in("no code")
    with pytest.raises(TransportQueryError) as refused:
        await sign_in_py.run("Users", after=None)
    assert refused.value.errors
    assert refused.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"
