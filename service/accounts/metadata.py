"""A user's metadata: any JSON object, stored as text."""

import json

from service.text import JsonObject

EMPTY = "{}"


def dump_metadata(metadata: JsonObject) -> str:
    """Return compact ASCII JSON. Control characters are escaped, because PostgreSQL refuses a NUL in text."""
    return json.dumps(metadata, separators=(",", ":"))


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
