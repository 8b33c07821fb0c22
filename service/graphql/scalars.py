"""The scalars of the schema: `DateTime` and `JSON`. Hand `SCALAR_MAP` to `StrawberryConfig(scalar_map=…)`."""

from collections.abc import Mapping
from datetime import UTC, datetime

import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from service.clock import WrittenTime, parse_time

__all__ = ["JSON", "SCALAR_MAP"]

_WANTED = "DateTime takes a time with its offset from UTC, as in 2030-01-31T12:00:00Z or 2030-01-31T13:00:00+01:00"


def _format_datetime(moment: datetime | WrittenTime) -> str:
    """Return the time in UTC, with `Z`. Raises `ValueError` for a time without a zone, which is a bug of the service."""
    if isinstance(moment, WrittenTime):
        return moment
    if moment.tzinfo is UTC:  # nearly always; `astimezone` would take as long as the rest
        return moment.isoformat()[: -len("+00:00")] + "Z"
    if moment.tzinfo is None:
        raise ValueError("a time in an answer must have a zone")
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _read(value: object) -> datetime:
    """Return the time in UTC, cut off to microseconds. Raises `GraphQLError` for any other value.

    The message does not repeat the value, because the client may have sent a code or a token.
    """
    if not isinstance(value, str):
        raise GraphQLError(f"{_WANTED}.")
    try:
        return parse_time(value)
    except ValueError as problem:
        raise GraphQLError(f"The value {problem}. {_WANTED}.") from None


def _read_literal(node: ValueNode, _variables: dict[str, object] | None = None) -> datetime:
    """Read a time that is written into the document. The error has its location."""
    try:
        return _read(node.value if isinstance(node, StringValueNode) else None)
    except GraphQLError as error:
        raise GraphQLError(error.message, node) from None


def _unchanged(value: object) -> object:
    return value


SCALAR_MAP: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "A time in RFC 3339 format. Answers are in UTC, with `Z`. Arguments must have an offset from UTC."
        ),
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339#section-5.6",
        serialize=_format_datetime,
        parse_value=_read,
        parse_literal=_read_literal,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
        serialize=_unchanged,
        parse_value=_unchanged,
    ),
}
"""The scalars of `datetime` and `JSON`."""
