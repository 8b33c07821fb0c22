"""A user's metadata: any JSON object, kept as text."""

import json

from service.text import JsonObject

EMPTY = "{}"


def dump_metadata(metadata: JsonObject) -> str:
    """Compact ASCII JSON: a NUL or any other control character stands escaped, so every database takes it."""
    return json.dumps(metadata, separators=(",", ":"))


def is_same_metadata(text: str, metadata: JsonObject) -> bool:
    """Whether the kept text says the same. Several languages write the members of an object in another order each time."""
    return text == dump_metadata(metadata) or _in_order(load_metadata(text)) == _in_order(metadata)


def _in_order(metadata: JsonObject) -> str:
    """As text, in which `1`, `1.0` and `true` differ as they do in JSON."""
    return json.dumps(metadata, sort_keys=True)


def load_metadata(text: str) -> JsonObject:
    """The object again; integers keep every digit."""
    metadata: JsonObject = json.loads(text)
    return metadata
