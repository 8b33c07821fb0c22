"""The scalars of the schema: `DateTime` and `JSON`. Hand `SCALAR_MAP` to `StrawberryConfig(scalar_map=…)`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

__all__ = ["JSON", "SCALAR_MAP"]

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-5][0-9])", re.IGNORECASE
)
"""RFC 3339, section 5.6. Python's own parser takes a good deal more, times without an offset among it."""

_WANTED = "DateTime takes a time with its offset from UTC, as in 2030-01-31T12:00:00Z or 2030-01-31T13:00:00+01:00"


def _format_datetime(moment: datetime) -> str:
    """In UTC, with `Z`; raises `ValueError` for a time of no known zone, which is a bug here."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no place in an answer")
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _read(value: object) -> datetime:
    """In UTC; fractions finer than a microsecond are cut off. Raises `GraphQLError` where it is no such time.

    The value is not repeated in the message: it is whatever the client sent.
    """
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise GraphQLError(f"{_WANTED}.")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(f"There is no such time, or its year in UTC is not one of 1 to 9999. {_WANTED}.") from None


def _read_literal(node: ValueNode, _variables: dict[str, object] | None = None) -> datetime:
    """The same for a time written into the document; the error points at it."""
    try:
        return _read(node.value if isinstance(node, StringValueNode) else None)
    except GraphQLError as error:
        raise GraphQLError(error.message, node) from None


def _as_it_is(value: object) -> object:
    return value


SCALAR_MAP: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339 writes it. Answers are in UTC, with `Z`; arguments have to carry an offset.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339#section-5.6",
        serialize=_format_datetime,
        parse_value=_read,
        parse_literal=_read_literal,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
        serialize=_as_it_is,
        parse_value=_as_it_is,
    ),
}
"""What `datetime` and `JSON` are in the schema."""
