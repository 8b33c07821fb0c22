"""A user's metadata: any JSON object, stored as text."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from service.text import JsonObject, JsonValue, has_lone_surrogates

EMPTY = "{}"
MAX_LEVELS: Final = 8
LONGEST_DISPLAY_NAME: Final = 200  # characters; a longer name is cut

_NAME = "name"
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_COMPACT: Final = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` would make an encoder for each call


def dump_metadata(metadata: JsonObject) -> str:
    """Return ASCII JSON. Control characters are escaped, because PostgreSQL refuses a NUL in text.

    Only the object itself is compact: the separators inside its arrays and objects are followed by a space. So the text
    of `member_text` occurs only where the object itself has that member.
    """
    if any(isinstance(value, (dict, list)) for value in metadata.values()):
        return "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in metadata.items()) + "}"
    return _COMPACT(metadata)


def member_text(name: str, value: str | float | bool | None) -> str:
    """Return how `dump_metadata` writes a member of the object, between commas."""
    return f",{json.dumps(name)}:{json.dumps(value)},"


def shared_members(text: str, names: Sequence[str]) -> JsonObject:
    """Return the members of the stored metadata that have one of the names, in the order of the names."""
    metadata = load_metadata(text) if names else {}
    return {name: metadata[name] for name in names if name in metadata}


def display_name(text: str) -> str | None:
    """Return the name to show for a user: the member `name` of the stored metadata, on one line. None if it is no text."""
    if f'"{_NAME}"' not in text:
        return None  # spares the parsing for most users who have no name
    name = load_metadata(text).get(_NAME)
    return (_BLANKS.sub(" ", name).strip()[:LONGEST_DISPLAY_NAME] or None) if isinstance(name, str) else None


def is_same_metadata(text: str, metadata: JsonObject) -> bool:
    """Whether the stored text equals the metadata, in any order of members: some languages write a random order."""
    return text == dump_metadata(metadata) or _in_order(load_metadata(text)) == _in_order(metadata)


def changed_members(before: str, after: str) -> list[str]:
    """Return the names of the members that were added, changed or removed between two stored texts, sorted."""
    if before == after:
        return []
    old, new = load_metadata(before), load_metadata(after)
    return sorted(
        name
        for name in old.keys() | new.keys()
        if (name in old) is not (name in new) or _in_order({"": old[name]}) != _in_order({"": new[name]})
    )


def _in_order(metadata: JsonObject) -> str:
    """Return the metadata as text with sorted members.

    As text, `1`, `1.0` and `true` differ; in Python they are equal.
    """
    return json.dumps(metadata, sort_keys=True)


def load_metadata(text: str) -> JsonObject:
    """Return the object. Integers keep every digit."""
    metadata: JsonObject = json.loads(text)
    return metadata


def check_metadata(metadata: JsonObject) -> None:
    """Raise `ValueError` with the reason unless the metadata can be stored. The object itself is level 1 of 8.

    Walks level by level, because recursion could exhaust the stack.
    """
    containers: list[JsonValue] = [metadata]
    for _ in range(MAX_LEVELS):
        values = [value for container in containers for value in _contents(container)]
        for value in values:
            _check_value(value)
        containers = [value for value in values if isinstance(value, (dict, list))]
        if not containers:
            return
    raise ValueError(f"is nested more than {MAX_LEVELS} levels deep")


def _contents(container: JsonValue) -> Iterable[JsonValue]:
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return container if isinstance(container, list) else ()


def _check_value(value: JsonValue) -> None:
    """Reject values that parse but cannot be serialised again: `1e400`, which becomes infinity, and lone surrogates."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("has a number that is too large")
    if isinstance(value, str) and has_lone_surrogates(value):
        raise ValueError("has a lone surrogate, which is half a character")
