"""Relay cursor connections over keyset pages, with `nodes` beside `edges`. What is not selected is not counted."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import strawberry

from service.database import Row
from service.paging import Page

Node = TypeVar("Node")


@strawberry.type(description="Where a page stands in its list (Relay, Cursor Connections).")
class PageInfo:
    page: strawberry.Private[Page]

    @strawberry.field(description="Whether rows follow this page.")
    async def has_next_page(self) -> bool:
        return await self.page.has_next()

    @strawberry.field(description="Whether rows come before this page.")
    async def has_previous_page(self) -> bool:
        return await self.page.has_previous()

    @strawberry.field(description="The first row's cursor; null on an empty page.")
    def start_cursor(self) -> str | None:
        return self.page.listing.cursor(self.page.rows[0]) if self.page.rows else None

    @strawberry.field(description="The last row's cursor, to go on from; null on an empty page.")
    def end_cursor(self) -> str | None:
        return self.page.listing.cursor(self.page.rows[-1]) if self.page.rows else None


@strawberry.type(description="A row and its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description="The row's place: good for `after` and `before` in the same order, also once the row is gone."
    )
    node: Node = strawberry.field(description="The row itself.")


@strawberry.type(description="A page of a list: 50 rows unless said, 200 at most.")
class Connection(Generic[Node]):
    page: strawberry.Private[Page]
    node_of: strawberry.Private[Callable[[Row], Node]]
    counter: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The rows with their cursors.")
    def edges(self) -> list[Edge[Node]]:
        return [Edge(cursor=self.page.listing.cursor(row), node=self.node_of(row)) for row in self.page.rows]

    @strawberry.field(description="The rows alone.")
    def nodes(self) -> list[Node]:
        return [self.node_of(row) for row in self.page.rows]

    @strawberry.field(description="Where the page stands.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page)

    @strawberry.field(description="How many rows the whole list has; counted only where it is asked for.")
    async def total_count(self) -> int:
        return await self.counter()
