"""Ids that the service makes itself: time-ordered (UUIDv7, RFC 9562), so that inserting stays cheap and order means age."""

import re

from uuid_utils import uuid7

_ID = re.compile(r"[a-z0-9_]{1,36}", re.ASCII)  # as long as the columns are


def new_id(prefix: str = "") -> str:
    """A new id, never used before: 32 hex digits behind the prefix."""
    return prefix + uuid7().hex


def could_be_id(text: str) -> bool:
    """Whether a text could be such an id. Tortoise raises at what is longer than a column, PostgreSQL at a NUL."""
    return _ID.fullmatch(text) is not None
