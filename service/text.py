"""Text and decoded JSON: their types, what JSON calls them, and the characters that the service refuses."""

import re
from typing import TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, JsonValue]

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")  # Unicode's category Cs: UTF-8 cannot encode them

_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def find_unsafe_characters(text: str) -> str | None:
    """Return the reason why no identifier may hold these characters, or None if the text is clean."""
    if _CONTROL_CHARACTERS.search(text):
        return "has control characters"
    if has_lone_surrogates(text):
        return "has a lone surrogate, which is half a character"
    return None


def has_lone_surrogates(text: str) -> bool:
    """Return whether the text has a lone surrogate, which JSON can spell (`"\\ud800"`) and UTF-8 cannot encode."""
    return _LONE_SURROGATES.search(text) is not None


def name_type(value: object) -> str:
    """Return the JSON name of the value's type with its article, for messages that must not show the value."""
    return _TYPE_NAMES.get(type(value), "of another type")
