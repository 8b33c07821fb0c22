"""Relay cursor connections over keyset pages, with `nodes` and `edges`. The total is counted only if selected."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import strawberry

from service.database import Row
from service.paging import Page

Node = TypeVar("Node")


@strawberry.type(description="The position of a page in its list (Relay Cursor Connections).")
class PageInfo:
    page: strawberry.Private[Page]

    @strawberry.field(description="Whether rows follow this page.")
    def has_next_page(self) -> bool:
        # No coroutine if the value is known: plans take none (`answer_plans.py`).
        known = self.page.known_next
        return self.page.has_next() if known is None else known  # type: ignore[return-value]

    @strawberry.field(description="Whether rows precede this page.")
    def has_previous_page(self) -> bool:
        known = self.page.known_previous
        return self.page.has_previous() if known is None else known  # type: ignore[return-value]

    @strawberry.field(description="The cursor of the first row. Null on an empty page.")
    def start_cursor(self) -> str | None:
        return self.page.listing.cursor(self.page.rows[0]) if self.page.rows else None

    @strawberry.field(description="The cursor of the last row, for the argument `after`. Null on an empty page.")
    def end_cursor(self) -> str | None:
        return self.page.listing.cursor(self.page.rows[-1]) if self.page.rows else None


@strawberry.type(description="A row and its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description=(
            "The cursor, for the arguments `after` and `before` in the same order. It stays valid after the row "
            "was deleted."
        )
    )
    node: Node = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list: 50 rows by default, 200 at most.")
class Connection(Generic[Node]):
    page: strawberry.Private[Page]
    node_of: strawberry.Private[Callable[[Row], Node]]
    counter: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The rows with their cursors.")
    def edges(self) -> list[Edge[Node]]:
        cursor, node_of = self.page.listing.cursor, self.node_of
        return [Edge(cursor=cursor(row), node=node_of(row)) for row in self.page.rows]

    @strawberry.field(description="The rows without cursors.")
    def nodes(self) -> list[Node]:
        return [self.node_of(row) for row in self.page.rows]

    @strawberry.field(description="The position of the page.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page)

    @strawberry.field(description="The number of rows in the whole list. Counted only if this field is selected.")
    async def total_count(self) -> int:
        return await self.counter()
