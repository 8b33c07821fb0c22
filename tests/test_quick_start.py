"""What makes a start quick changes nothing else. `scripts/bench` measures it."""

import gc
import subprocess
import sys

import pytest

from service.quick_imports import quick_imports
from tests.processes import ROOT

LATE = [
    "defusedxml",
    "email_validator",
    "jinja2",
    "limits",
    "markdown_it",
    "service.web.admin",
    "service.web.guide",
    "ua_parser",
]
MODELS = """
import json
from tortoise import Tortoise
from service.database.connection import MODELS
from service.quick_imports import quick_imports
Tortoise.init_models(MODELS, "models")
print(json.dumps(Tortoise.describe_models(), default=str))
"""


def output_of(program: str) -> str:
    """What this program prints, in a new process."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    ).stdout


@pytest.mark.usefixtures("programs")
def test_start_imports_nothing_that_the_first_answer_does_not_need() -> None:
    imported = output_of(
        "import sys\n"
        "from service.app import create_app\n"
        "from service.settings import load_settings\n"
        "create_app(load_settings({}))\n"
        "print(*sys.modules)"
    ).split()

    assert "service.graphql.schema" in imported
    assert [module for module in LATE if module in imported] == []


@pytest.mark.usefixtures("programs")
def test_version_is_told_without_the_commands() -> None:
    imported = output_of(
        "import sys\n"
        "sys.argv = ['doorcode', '--version']\n"
        "from service.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules)"
    ).split()

    assert "service.cli" in imported
    assert [module for module in ("service.settings", "tortoise", "strawberry") if module in imported] == []


@pytest.mark.usefixtures("programs")
def test_models_are_the_same_after_quick_imports() -> None:
    slow = output_of(MODELS)
    quick = output_of(MODELS.replace("Tortoise.init_models", "with quick_imports(): Tortoise.init_models"))

    assert '"name": "models.User"' in slow
    assert quick == slow


@pytest.mark.parametrize("was_on", [True, False])
def test_collector_is_as_before_after_quick_imports(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with quick_imports():
            assert not gc.isenabled()
        assert gc.isenabled() is was_on
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()
