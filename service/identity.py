"""Ids that the service makes itself: time-ordered (UUIDv7, RFC 9562), so that inserting stays cheap and order means age."""

from uuid_utils import uuid7


def new_id(prefix: str = "") -> str:
    """A new id, never used before: 32 hex digits behind the prefix."""
    return prefix + uuid7().hex
