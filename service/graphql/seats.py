"""The query and the mutation of seats."""

from datetime import UTC, datetime, time
from typing import Annotated

import strawberry

from service.accounts import seats
from service.errors import BadUserInput
from service.graphql.context import Info
from service.graphql.enums import UserOrigin
from service.graphql.server.node_count import ListLength


@strawberry.type(description="The seats that users of one origin take.")
class OriginSeats:
    origin: UserOrigin = strawberry.field(description="How the users came to be.")
    used: int = strawberry.field(description="The number of active users of this origin.")


@strawberry.type(description="The seats at the end of a day.")
class SeatSample:
    date: datetime = strawberry.field(description="The start of the day in UTC.")
    used: int = strawberry.field(description="The number of active users at the end of the day; for today, now.")
    limit: int | None = strawberry.field(description="The seat limit at the end of the day. Null if there was none.")


@strawberry.type(description="How many seats are used.")
class SeatUsage:
    count: strawberry.Private[seats.SeatCount]
    used: int = strawberry.field(description="The number of active users of all origins.")
    limit: int | None = strawberry.field(description="The seat limit. Null if there is none.")
    available: int | None = strawberry.field(
        description="The number of free seats, 0 or more. Null if there is no limit."
    )

    @strawberry.field(description="Used seats by origin. Every origin has an entry.")
    def by_origin(self) -> list[OriginSeats]:
        return [OriginSeats(origin=origin, used=self.count.active(origin)) for origin in UserOrigin]

    @strawberry.field(
        description=(
            "One sample for each day, oldest first, today last. Two samples count as one node. Errors: BAD_USER_INPUT."
        ),
        metadata=ListLength(seats.MAX_HISTORY_DAYS, argument="days", entries_per_node=2).metadata,
    )
    async def history(
        self, days: Annotated[int, strawberry.argument(description="The number of days: 1 to 3,660. Default 30.")] = 30
    ) -> list[SeatSample]:
        return [
            SeatSample(date=datetime.combine(day.day, time.min, UTC), used=day.used, limit=day.limit)
            for day in await seats.seat_history(days)
        ]

    @classmethod
    def of(cls, count: seats.SeatCount) -> "SeatUsage":
        """Return the GraphQL type of the count."""
        return cls(count=count, used=count.used, limit=count.limit, available=count.available)


@strawberry.type
class SeatQueries:
    @strawberry.field(description="How many seats are used. For admins and API keys.")
    async def seat_usage(self, info: Info) -> SeatUsage | None:
        info.context.caller.require_reader()
        return SeatUsage.of(await seats.count_seats())


@strawberry.type
class SeatMutations:
    @strawberry.mutation(
        description=(
            "Sets the seat limit. A limit below the used seats removes no user and admits no new one. Errors: "
            "BAD_USER_INPUT."
        )
    )
    async def set_seat_limit(
        self,
        info: Info,
        limit: Annotated[
            strawberry.Maybe[int | None],
            strawberry.argument(description="The number of seats: 0 to 2,147,483,647. Null: no limit. Required."),
        ] = None,
    ) -> SeatUsage | None:
        by = info.context.caller.require_admin()
        if limit is None:
            raise BadUserInput("Give `limit`: a number of seats, or null for no limit.")
        return SeatUsage.of(await seats.set_seat_limit(limit.value, by))
