"""A user's metadata: any JSON object, kept as text."""

import json
from typing import TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, JsonValue]
EMPTY = "{}"


def dump_metadata(metadata: JsonObject) -> str:
    """Compact ASCII JSON: a NUL or any other control character stands escaped, so every database takes it."""
    return json.dumps(metadata, separators=(",", ":"))


def load_metadata(text: str) -> JsonObject:
    """The object again; integers keep every digit."""
    metadata: JsonObject = json.loads(text)
    return metadata
