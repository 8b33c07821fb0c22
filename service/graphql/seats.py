"""Seats: how many are used, of how many."""

from datetime import UTC, datetime, time
from typing import Annotated

import strawberry

from service.accounts import seats
from service.errors import BadUserInput
from service.graphql.context import Info
from service.graphql.enums import UserOrigin


@strawberry.type(description="The seats of one origin.")
class OriginSeats:
    origin: UserOrigin = strawberry.field(description="How the users came to be.")
    used: int = strawberry.field(description="Active users of this origin.")


@strawberry.type(description="A day's last count.")
class SeatSample:
    date: datetime = strawberry.field(description="The beginning of the day, in UTC.")
    used: int = strawberry.field(description="Active users at the day's end; of today, now.")
    limit: int | None = strawberry.field(description="The limit at the day's end; null: none.")


@strawberry.type(description="How many seats are used.")
class SeatUsage:
    count: strawberry.Private[seats.SeatCount]
    used: int = strawberry.field(description="Active users, of every origin.")
    limit: int | None = strawberry.field(description="How many may be active; null: any number.")
    available: int | None = strawberry.field(description="Free seats, never below 0; null: any number.")

    @strawberry.field(description="Used seats by the users' origin; every origin is there.")
    def by_origin(self) -> list[OriginSeats]:
        return [OriginSeats(origin=origin, used=self.count.active(origin)) for origin in UserOrigin]

    @strawberry.field(description="One sample a day, oldest first, today last. 1 to 3,660 days.")
    async def history(
        self, days: Annotated[int, strawberry.argument(description="How many days.")] = 30
    ) -> list[SeatSample]:
        return [
            SeatSample(date=datetime.combine(day.day, time.min, UTC), used=day.used, limit=day.limit)
            for day in await seats.seat_history(days)
        ]

    @classmethod
    def of(cls, count: seats.SeatCount) -> "SeatUsage":
        """The count as the schema shows it."""
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
        description="Set the limit; null: no limit. Below what is used, it evicts nobody and lets nobody in."
    )
    async def set_seat_limit(
        self,
        info: Info,
        limit: Annotated[
            strawberry.Maybe[int | None],
            strawberry.argument(description="Seats, 0 to 2,147,483,647; null for no limit. Has to be given."),
        ] = None,
    ) -> SeatUsage | None:
        by = info.context.caller.require_admin()
        if limit is None:
            raise BadUserInput("Give `limit`: a number of seats, or null for no limit.")
        return SeatUsage.of(await seats.set_seat_limit(limit.value, by))
