"""Decides what an import would do, without writing and without a lock (contract §6)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from service.accounts.import_matching import MatchedRow, match_rows
from service.accounts.import_rows import Source, UserRow, read_rows
from service.accounts.seats import SeatCount, count_seats

BATCH = 250
"""Rows that are looked up, and written in one transaction. It lasts a fraction of a second, which other writes wait."""

Refused = Callable[[int, dict[str, str], str], None]
"""Is called with the line, the cells and the reason of a refused row."""
Progress = Callable[[str, int], None]
"""Is called after each batch, with what was done and the number of rows so far."""


@dataclass(slots=True)
class ImportResult:
    """What an import did, or would do: numbers of rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    def count(self, matched: MatchedRow) -> None:
        """Count a row that is accepted."""
        self.created += matched.is_new
        self.updated += matched.changes
        self.unchanged += matched.user is not None and not matched.changes


@dataclass(slots=True)
class ImportPlan:
    """What an import would do, as the users are now."""

    seat_count: SeatCount
    result: ImportResult = field(default_factory=ImportResult)
    rows: int = 0
    """The rows that can be read, also those that are refused for what they say of users."""
    seats: int = 0
    """How many seats the import takes. Below 0 if it frees more than it takes."""
    refused_lines: set[int] = field(default_factory=set)

    @property
    def lack_of_seats(self) -> str | None:
        """Say how many seats are missing. None if there are enough."""
        return find_lack_of_seats(self.seats, self.seat_count)


async def plan_import(source: Source, refuse: Refused, progress: Progress) -> ImportPlan:
    """Decide every row, and count the seats. Raises `BadUserInput` for a file that is not CSV with the right columns."""
    plan, taken = ImportPlan(await count_seats()), set[int]()

    def note(line: int, cells: dict[str, str], reason: str) -> None:
        plan.result.refused += 1
        plan.refused_lines.add(line)
        refuse(line, cells, reason)

    for batch in in_batches(readable_rows(source, note)):
        for matched in await match_rows(batch, taken):
            if matched.problem is not None:
                note(matched.row.line, dict(matched.row.cells), matched.problem)
            else:
                plan.result.count(matched)
                plan.seats += matched.seats
        plan.rows += len(batch)
        progress("Checked", plan.rows)
    return plan


def find_lack_of_seats(seats: int, count: SeatCount) -> str | None:
    """Say that so many seats are more than are free. None if there are enough, or if none is taken."""
    if count.limit is None or seats <= 0 or count.used + seats <= count.limit:
        return None
    return f"The import takes {seats} seats, and {count.available} of {count.limit} are free."


def readable_rows(source: Source, refuse: Refused) -> Iterator[UserRow]:
    """Yield the rows of the file that can be read. `refuse` is called for each other."""
    for row in read_rows(source):
        if isinstance(row, UserRow):
            yield row
        else:
            line, cells, reason = row
            refuse(line, dict(cells), reason)


def in_batches(rows: Iterator[UserRow]) -> Iterator[Sequence[UserRow]]:
    """Yield the rows in batches of `BATCH`."""
    batch: list[UserRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
