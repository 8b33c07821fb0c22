"""The panel's operations: each is good against the published schema, and each is one that a page runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from service.web.admin import operations
from service.web.admin.operations import DOCUMENTS
from tests.processes import ROOT

PAGES = Path(operations.__file__).parent.parent
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())


def operations_run() -> Iterator[str]:
    """The first argument of every `….run("…")` in the panel's modules."""
    for path in PAGES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    yield str(name.value)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_operation_is_good_against_the_published_schema(name: str) -> None:
    assert validate(SCHEMA, parse(DOCUMENTS[name])) == []


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_file_holds_one_operation_that_is_named_as_it_is(name: str) -> None:
    [operation] = parse(DOCUMENTS[name]).definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None
    assert operation.name.value == "Admin" + name.title().replace("_", "")


def test_every_operation_is_run_by_a_page_and_no_other() -> None:
    assert set(operations_run()) == set(DOCUMENTS)
