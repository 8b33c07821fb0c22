"""The map, `service/README.md`: its names resolve, and its layers are those that import-linter checks."""

import re
import tomllib
from importlib.util import find_spec

import pytest

from tests.processes import ROOT

MAP = (ROOT / "service" / "README.md").read_text()
LINES_OF_CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", MAP, flags=re.DOTALL))
RULES = re.findall(r"^\| (.+?) \| `(service\.[\w.]+)` \|$", MAP, re.MULTILINE)
FILES = sorted({word for word in LINES_OF_CODE if re.fullmatch(r"(service|tests|scripts)/[\w./-]+", word)})
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]


def test_the_tables_of_the_map_are_found() -> None:
    assert len(RULES) > 30
    assert len(FILES) > 30


@pytest.mark.parametrize(("rule", "module"), RULES)
def test_each_rule_names_a_module_that_exists(rule: str, module: str) -> None:
    assert find_spec(module) is not None, rule


def test_each_rule_is_listed_once() -> None:
    assert len({rule for rule, _ in RULES}) == len({module for _, module in RULES}) == len(RULES)


@pytest.mark.parametrize("name", FILES)
def test_each_file_that_the_map_names_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_each_link_of_the_map_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", MAP):
        assert (ROOT / "service" / target).exists(), target
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", MAP, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", MAP)) == headings


def test_the_picture_shows_every_layer_of_the_import_contract() -> None:
    picture = MAP.split("```mermaid\n")[1].split("```")[0]
    modules = {module for layer in LAYERS for module in layer.split(" | ")} - {"__main__"}
    assert {module for module in modules if not re.search(rf"\b{module}\b", picture)} == set()


def test_the_map_states_the_import_rule_in_the_order_of_the_contract() -> None:
    picture = MAP.split("```mermaid\n")[1].split("```")[0]
    first = [layer.split(" | ")[0] for layer in LAYERS if layer != "__main__"]
    places = [re.search(rf"\b{name}\b", picture.split("subgraph")[1]) for name in first[1:]]
    found = [place.start() for place in places if place]
    assert found == sorted(found)
