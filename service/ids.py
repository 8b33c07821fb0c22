"""IDs that the service generates: UUIDv7 (RFC 9562). They sort by time, which keeps inserts in an index cheap."""

import re

from uuid_utils import uuid7

_ID = re.compile(r"[a-z0-9_]{1,36}", re.ASCII)  # the columns hold 36 characters


def new_id(prefix: str = "") -> str:
    """Return a new unique ID: the prefix and 32 hex digits."""
    return prefix + uuid7().hex


def could_be_id(text: str) -> bool:
    """Return whether a text can be such an ID.

    Tortoise raises an error for a text that is longer than the column, PostgreSQL for a NUL.
    """
    return _ID.fullmatch(text) is not None
