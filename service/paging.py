"""Keyset pagination: a page begins after a row, not after a number of rows, so changes of other rows do not shift it.

The rules are those of Relay (https://relay.dev/graphql/connections.htm) and of contract §4: 50 rows by default, 200 at
most, nulls last, ties by ID.

SQL by hand: beyond the ORM. Pages are read by key and put nulls last, which Tortoise cannot build.
"""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

import orjson

from service.database import Row, Statement, fetch, fetch_short
from service.errors import BadUserInput

DEFAULT_PAGE = 50
MAX_PAGE_SIZE = 200
_TO_BASE64URL = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class Order:
    """A column to order by. Ties are ordered by ID. `name` is part of each cursor: a cursor is valid for one order.

    With an `expression` the rows are ordered by its value, which each row of a page has under the name `column`.
    """

    name: str
    column: str
    descending: bool = False
    nullable: bool = False
    is_time: bool = False
    id_column: str = "id"
    id_descending: bool = False
    expression: str | None = None

    @property
    def value(self) -> str:
        """What conditions and the order name: the expression or the column."""
        return self.expression or self.column


@dataclass(frozen=True, slots=True)
class Position:
    """A place between rows: directly after or before the row with this value and ID."""

    value: str | None
    id: str


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a list that is requested. Raises `BadUserInput` if the four values contradict each other."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise BadUserInput("`first` and `last` cannot be used together.")
        for name, size in (("first", self.first), ("last", self.last)):
            if size is not None and not 0 <= size <= MAX_PAGE_SIZE:
                raise BadUserInput(f"`{name}` must be between 0 and {MAX_PAGE_SIZE}.")

    @property
    def size(self) -> int:
        """The maximum number of rows."""
        return next((size for size in (self.first, self.last) if size is not None), DEFAULT_PAGE)

    @property
    def backwards(self) -> bool:
        """Whether the page is counted from the end."""
        return self.last is not None


@dataclass(slots=True)
class Conditions:
    """The conditions of a query, joined by AND, with their values."""

    clauses: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, clause: str, *values: object) -> None:
        """Add a condition. Each `{}` in it is replaced by the placeholder of the next value."""
        first = len(self.values) + 1
        self.clauses.append("(" + clause.format(*(f"${n}" for n in range(first, first + len(values)))) + ")")
        self.values.extend(values)

    def copy(self) -> "Conditions":
        """Return a copy that can be extended on its own."""
        return Conditions(list(self.clauses), list(self.values))

    @property
    def where(self) -> str:
        """The WHERE clause; empty if there are no conditions."""
        return " WHERE " + " AND ".join(self.clauses) if self.clauses else ""


StatementFor: TypeAlias = Callable[[Conditions], Statement]
"""Returns the statement of a page or a count under these conditions."""

Reader: TypeAlias = Callable[[StatementFor, Conditions], Awaitable[Sequence[Row]]]
"""Runs the statement, if need be with more conditions."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a table that meet the conditions, in an order."""

    source: str
    order: Order
    conditions: Conditions
    columns: Sequence[str] | None = None
    """The columns of a page, with which its order and its IDs are read too. None for all columns."""
    reader: Reader | None = None
    """How the rows are read, for a list whose conditions need more than an index."""

    async def page(self, wanted: Slice) -> "Page":
        """Return one page, read by one query. Raises `BadUserInput` for a cursor of another list or order."""
        conditions = self.conditions.copy()
        if wanted.after is not None:
            self._add_bound(conditions, self._position_at(wanted.after), behind=True)
        if wanted.before is not None:
            self._add_bound(conditions, self._position_at(wanted.before), behind=False)
        rows = await self._rows(conditions, wanted.size + 1, wanted.backwards)
        has_more, rows = len(rows) > wanted.size, rows[: wanted.size]
        if wanted.backwards:
            rows.reverse()
        return Page(self, rows, has_more, wanted)

    async def count(self) -> int:
        """Return the number of rows in the list."""

        def count_of(conditions: Conditions) -> Statement:
            return Statement(f"SELECT COUNT(*) AS total FROM {self.source}{conditions.where}")

        if self.reader is not None:
            rows = await self.reader(count_of, self.conditions)
        else:
            statement = count_of(self.conditions)
            rows = await fetch(statement, *self.conditions.values)
        return int(rows[0]["total"])

    async def has_rows(self, cursor: str, *, behind: bool) -> bool:
        """Return whether a row follows (or precedes) this cursor."""
        conditions = self.conditions.copy()
        self._add_bound(conditions, self._position_at(cursor), behind=behind)
        return bool(await self._rows(conditions, 1, backwards=not behind))

    def cursor(self, row: Row) -> str:
        """Return the opaque cursor of a row."""
        # A time is written as the database returns it: SQLite's text and the RFC 3339 of orjson both can be read again.
        parts = orjson.dumps([self.order.name, row[self.order.column], row[self.order.id_column]])
        return binascii.b2a_base64(parts, newline=False).translate(_TO_BASE64URL, b"=").decode()

    def _position_at(self, cursor: str) -> Position:
        try:
            name, value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name == self.order.name and isinstance(row_id, str) and row_id.encode() and self._is_value(value):
                return Position(value, row_id)
        except (ValueError, TypeError, OverflowError, RecursionError):
            pass  # not a cursor that this service made
        raise BadUserInput(
            "This cursor does not belong to this list and order. Use one from its `pageInfo` or `edges`."
        )

    def _is_value(self, value: object) -> bool:
        """Return whether the column can have this value. Raises `ValueError` for a lone surrogate or an invalid time."""
        if value is None:
            return self.order.nullable
        if not isinstance(value, str):
            return False
        if self.order.is_time:
            moment = datetime.fromisoformat(value)
            moment.astimezone(UTC)  # raises for a time before the year 1 in UTC
            return moment.tzinfo is not None
        value.encode()  # raises for a lone surrogate
        return True

    async def _rows(self, conditions: Conditions, limit: int, backwards: bool) -> list[Row]:
        order = self.order
        direction, nulls = ("DESC", "LAST") if order.descending else ("ASC", "LAST")
        id_direction = "DESC" if order.id_descending else "ASC"
        if backwards:
            direction, nulls = ("ASC" if direction == "DESC" else "DESC"), "FIRST"
            id_direction = "ASC" if id_direction == "DESC" else "DESC"
        null_order = f" NULLS {nulls}" if order.nullable else ""
        keys = {order.id_column} if order.expression else {order.id_column, order.column}
        columns = "*" if self.columns is None else ", ".join(sorted({*keys, *self.columns}))
        if order.expression:
            columns += f", {order.expression} AS {order.column}"

        def page_of(conditions: Conditions) -> Statement:
            return Statement(
                f"SELECT {columns} FROM {self.source}{conditions.where}"
                f" ORDER BY {order.value} {direction}{null_order}, {order.id_column} {id_direction} LIMIT {limit}"
            )

        if self.reader is not None:
            return list(await self.reader(page_of, conditions))
        statement = page_of(conditions)
        return list(await fetch_short(statement, *conditions.values))

    def _add_bound(self, conditions: Conditions, position: Position, *, behind: bool) -> None:
        """Add the condition for the rows after (or before) a position. Nulls come last in both directions."""
        order, column, row_id = self.order, self.order.value, self.order.id_column
        beyond = ">" if behind != order.descending else "<"
        id_beyond = ">" if behind != order.id_descending else "<"
        if position.value is None:
            nulls = f"{column} IS NULL AND {row_id} {id_beyond} {{}}"
            conditions.add(nulls if behind else f"{column} IS NOT NULL OR ({nulls})", position.id)
            return
        value: object = datetime.fromisoformat(position.value) if order.is_time else position.value
        # The first part follows from the second, but only the first lets the database start in the middle of an index.
        bound = f"{column} {beyond}= {{}} AND ({column} {beyond} {{}} OR {row_id} {id_beyond} {{}})"
        conditions.add(
            f"({bound}) OR {column} IS NULL" if order.nullable and behind else bound, value, value, position.id
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A page: consecutive rows of a listing, in its order."""

    listing: Listing
    rows: Sequence[Mapping[str, object]]
    has_more: bool
    """Whether the query found more rows than the page holds, in its direction."""
    wanted: Slice

    @property
    def known_next(self) -> bool | None:
        """Whether rows follow. None if the query of the page did not tell."""
        if not self.wanted.backwards and (self.has_more or self.wanted.before is None):
            return self.has_more
        return None if self.rows else False

    @property
    def known_previous(self) -> bool | None:
        """Whether rows precede the page. None if the query of the page did not tell."""
        if self.wanted.backwards and (self.has_more or self.wanted.after is None):
            return self.has_more
        if not self.wanted.backwards and self.wanted.after is None:
            return False
        return None if self.rows else False

    async def has_next(self) -> bool:
        """Return whether rows follow. Runs a query only if the query of the page did not tell."""
        if (known := self.known_next) is not None:
            return known
        return await self.listing.has_rows(self.listing.cursor(self.rows[-1]), behind=True)

    async def has_previous(self) -> bool:
        """Return whether rows precede the page. Runs a query only if the query of the page did not tell."""
        if (known := self.known_previous) is not None:
            return known
        return await self.listing.has_rows(self.listing.cursor(self.rows[0]), behind=False)
