"""Progress of long commands on stderr: bars on a terminal, else a line for every 50,000 rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from service.cli.running import stderr

_TOLD_EVERY = 50_000  # rows
_DRAWN_EVERY = 100  # rows

Tell = Callable[[str, int, int | None], None]
"""Is told what is done, how many rows of it, and how many there are, if that is known."""


@contextmanager
def progress() -> Iterator[Tell]:
    """Yield what shows the progress while the context is open."""
    if not stderr.is_terminal:
        yield _Lines().tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(done: str, rows: int, total: int | None) -> None:
            if done not in tasks:
                tasks[done] = bars.add_task(done, total=total)
            if rows % _DRAWN_EVERY == 0 or rows == total:  # an import tells every row
                bars.update(tasks[done], completed=rows, total=total)

        yield tell


class _Lines:
    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def tell(self, done: str, rows: int, total: int | None) -> None:
        if rows // _TOLD_EVERY > self._told.get(done, 0):
            self._told[done] = rows // _TOLD_EVERY
            stderr.print(f"{done}: {rows:,} rows" + ("." if total is None else f" of {total:,}."))
