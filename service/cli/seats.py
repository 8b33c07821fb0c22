"""`doorcode seats`: the used seats and the seat limit."""

from typing import Annotated

import typer

from service.accounts.models import UserOrigin
from service.accounts.seats import SeatCount, count_seats, set_seat_limit
from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, run
from service.instance import Instance

NO_LIMIT = "none"


def seats(
    limit: Annotated[str | None, typer.Option(metavar="N|none", help="Set the limit; none: no limit.")] = None,
) -> None:
    """Show how many seats are used. With --limit, set the seat limit first."""
    wanted = None if limit is None else _parse(limit)

    async def count(_: Instance) -> SeatCount:
        return await (count_seats() if limit is None else set_seat_limit(wanted, COMMAND_LINE))

    _show(run(count, creates=limit is not None))


def _parse(limit: str) -> int | None:
    if limit == NO_LIMIT:
        return None
    if not limit.isdecimal():
        raise typer.BadParameter("Write a number of seats, or none.", param_hint="--limit")
    return int(limit)


def _show(count: SeatCount) -> None:
    of, rest = ("", "no limit") if count.limit is None else (f" of {count.limit}", f"{count.available} free")
    print_result(f"{count.used}{of} used, {rest}")
    for origin in UserOrigin:
        print_result(f"  {origin:<12} {count.active(origin)}")
