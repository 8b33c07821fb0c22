"""Pages by keyset: a page begins behind a row, not behind a number of rows, so it stays right while rows come and go.

The rules are those of Relay (https://relay.dev/graphql/connections.htm) and of contract §4: 50 rows unless said, 200 at most,
nulls last, ties by id.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.database import Row, Statement, as_time, fetch
from service.errors import BadUserInput

DEFAULT_PAGE = 50
MAX_PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Order:
    """A column to order by; ties are broken by id, upwards. `name` stands in the cursors, which are good for one order."""

    name: str
    column: str
    descending: bool = False
    nullable: bool = False
    is_time: bool = False
    id_column: str = "id"
    id_descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """A place between rows: right behind or before the row with this value and id."""

    value: str | None
    id: str


@dataclass(frozen=True, slots=True)
class Slice:
    """What part of a list is wanted. Raises `BadUserInput` where the four do not go together."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise BadUserInput("`first` and `last` cannot be asked together.")
        for name, size in (("first", self.first), ("last", self.last)):
            if size is not None and not 0 <= size <= MAX_PAGE_SIZE:
                raise BadUserInput(f"`{name}` must be between 0 and {MAX_PAGE_SIZE}.")

    @property
    def size(self) -> int:
        """How many rows at most."""
        return next((size for size in (self.first, self.last) if size is not None), DEFAULT_PAGE)

    @property
    def backwards(self) -> bool:
        """Whether it is counted from the end."""
        return self.last is not None


@dataclass(slots=True)
class Conditions:
    """Conditions of a query, all of which must hold, with their values."""

    clauses: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, clause: str, *values: object) -> None:
        """Add one; each `{}` in it stands for the next value."""
        first = len(self.values) + 1
        self.clauses.append("(" + clause.format(*(f"${n}" for n in range(first, first + len(values)))) + ")")
        self.values.extend(values)

    def copy(self) -> "Conditions":
        """The same, to be added to apart."""
        return Conditions(list(self.clauses), list(self.values))

    @property
    def where(self) -> str:
        """The WHERE clause, or nothing."""
        return " WHERE " + " AND ".join(self.clauses) if self.clauses else ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of a table under conditions, in an order."""

    source: str
    order: Order
    conditions: Conditions

    async def page(self, wanted: Slice) -> "Page":
        """One page, in one query."""
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
        """How many rows there are in all."""
        statement = Statement(f"SELECT COUNT(*) AS total FROM {self.source}{self.conditions.where}")
        return int((await fetch(statement, *self.conditions.values))[0]["total"])

    async def has_rows(self, cursor: str, *, behind: bool) -> bool:
        """Whether any row stands behind (or before) this cursor."""
        conditions = self.conditions.copy()
        self._add_bound(conditions, self._position_at(cursor), behind=behind)
        return bool(await self._rows(conditions, 1, backwards=not behind))

    def cursor(self, row: Row) -> str:
        """The opaque cursor of a row."""
        value = row[self.order.column]
        if value is not None and self.order.is_time:
            value = as_time(value).isoformat()
        parts = json.dumps([self.order.name, value, row[self.order.id_column]], separators=(",", ":"))
        return base64.urlsafe_b64encode(parts.encode()).rstrip(b"=").decode()

    def _position_at(self, cursor: str) -> Position:
        try:
            name, value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name == self.order.name and isinstance(row_id, str) and row_id.encode() and self._is_value(value):
                return Position(value, row_id)
        except (ValueError, TypeError, OverflowError, RecursionError):
            pass  # no cursor of ours
        raise BadUserInput(
            "This cursor does not belong to this list and order. Use one from its `pageInfo` or `edges`."
        )

    def _is_value(self, value: object) -> bool:
        """Whether a cursor's value is one that the column can have; raises for half a character, and for what is no time."""
        if value is None:
            return self.order.nullable
        if not isinstance(value, str):
            return False
        if self.order.is_time:
            moment = datetime.fromisoformat(value)
            moment.astimezone(UTC)  # raises for a time that is before all times in UTC
            return moment.tzinfo is not None
        value.encode()  # raises for half a character
        return True

    async def _rows(self, conditions: Conditions, limit: int, backwards: bool) -> list[Row]:
        order = self.order
        direction, nulls = ("DESC", "LAST") if order.descending else ("ASC", "LAST")
        id_direction = "DESC" if order.id_descending else "ASC"
        if backwards:
            direction, nulls = ("ASC" if direction == "DESC" else "DESC"), "FIRST"
            id_direction = "ASC" if id_direction == "DESC" else "DESC"
        null_order = f" NULLS {nulls}" if order.nullable else ""
        statement = Statement(
            f"SELECT * FROM {self.source}{conditions.where}"
            f" ORDER BY {order.column} {direction}{null_order}, {order.id_column} {id_direction} LIMIT {limit}"
        )
        return list(await fetch(statement, *conditions.values))

    def _add_bound(self, conditions: Conditions, position: Position, *, behind: bool) -> None:
        """The rows behind (or before) a position; nulls come last whichever way the order runs."""
        order, column, row_id = self.order, self.order.column, self.order.id_column
        beyond = ">" if behind != order.descending else "<"
        id_beyond = ">" if behind != order.id_descending else "<"
        if position.value is None:
            nulls = f"{column} IS NULL AND {row_id} {id_beyond} {{}}"
            conditions.add(nulls if behind else f"{column} IS NOT NULL OR ({nulls})", position.id)
            return
        value: object = datetime.fromisoformat(position.value) if order.is_time else position.value
        # The first part is implied by the second; it is what lets an index be entered in the middle.
        bound = f"{column} {beyond}= {{}} AND ({column} {beyond} {{}} OR {row_id} {id_beyond} {{}})"
        conditions.add(
            f"({bound}) OR {column} IS NULL" if order.nullable and behind else bound, value, value, position.id
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a listing, in its order."""

    listing: Listing
    rows: Sequence[Mapping[str, object]]
    has_more: bool
    """Whether the query found rows beyond the page, in the direction that it ran."""
    wanted: Slice

    async def has_next(self) -> bool:
        """Whether rows follow. No query where the page's own has told it."""
        if not self.wanted.backwards and (self.has_more or self.wanted.before is None):
            return self.has_more
        return bool(self.rows) and await self.listing.has_rows(self.listing.cursor(self.rows[-1]), behind=True)

    async def has_previous(self) -> bool:
        """Whether rows come before."""
        if self.wanted.backwards and (self.has_more or self.wanted.after is None):
            return self.has_more
        if not self.wanted.backwards and self.wanted.after is None:
            return False
        return bool(self.rows) and await self.listing.has_rows(self.listing.cursor(self.rows[0]), behind=False)
