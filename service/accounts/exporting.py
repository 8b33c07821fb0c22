"""Reads all users as the rows of a file that an import reads (contract §6)."""

from collections.abc import AsyncIterator

from service.accounts.import_rows import cells_of
from service.accounts.models import User

_PAGE = 2_000  # rows that are in memory at a time


async def export_rows() -> AsyncIterator[list[list[str]]]:
    """Yield the cells of all users, in the order of `COLUMNS`, some thousand users at a time."""
    last = -1
    while page := await User.filter(serial__gt=last).order_by("serial").limit(_PAGE):
        yield [cells_of(user) for user in page]
        last = page[-1].serial
