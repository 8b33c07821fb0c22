"""The schema itself: everything is described, the checkout holds what is served, and no change breaks a client unannounced."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import (
    build_schema,
    find_breaking_changes,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    print_schema,
)

from service.graphql.schema import schema
from tests.processes import ROOT

SDL = ROOT / "schema.graphql"
RELEASED = Path(__file__).with_name("released.graphql")


def _described() -> Iterator[tuple[str, str | None]]:
    """Everything that can have a description, and its description."""
    for name, type_ in schema._schema.type_map.items():
        if is_introspection_type(type_) or name in {"Boolean", "Float", "ID", "Int", "String"}:
            continue
        yield name, type_.description
        if is_enum_type(type_):
            for value_name, value in type_.values.items():
                yield f"{name}.{value_name}", value.description
        if is_object_type(type_) or is_interface_type(type_) or is_input_object_type(type_):
            for field_name, field in type_.fields.items():
                yield f"{name}.{field_name}", field.description
                arguments: dict[str, Any] = getattr(field, "args", {})
                for argument_name, argument in arguments.items():
                    yield f"{name}.{field_name}({argument_name})", argument.description


def test_everything_is_described() -> None:
    assert [name for name, description in _described() if not description] == []


def test_no_description_is_said_twice_where_two_things_are_meant() -> None:
    """Copied and not thought of: within one type, every field says something of its own."""
    fields: dict[tuple[str, str | None], list[str]] = {}
    for name, description in _described():
        if "(" not in name and "." in name:
            fields.setdefault((name.partition(".")[0], description), []).append(name)
    assert [names for names in fields.values() if len(names) > 1] == []


def test_checkout_holds_the_schema_that_is_served() -> None:
    """`doorcode schema > schema.graphql` mends it."""
    assert SDL.read_text().strip() == schema.as_str().strip()
    assert print_schema(build_schema(SDL.read_text())) == print_schema(build_schema(schema.as_str()))


def test_breaking_change_since_the_last_release_is_announced() -> None:
    """`released.graphql` is the schema of the last release. A release copies `schema.graphql` there."""
    changes = find_breaking_changes(build_schema(RELEASED.read_text()), build_schema(SDL.read_text()))
    assert changes == [] or "breaking" in _unreleased().lower(), [change.description for change in changes]


def _unreleased() -> str:
    """Returns what CHANGELOG.md says about the next release; empty if its newest section is about a release."""
    heading, _, changes = (ROOT / "CHANGELOG.md").read_text().split("\n## [")[1].partition("\n")
    return changes if heading.endswith("unreleased") else ""
