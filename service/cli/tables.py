"""Tables on stdout: as wide as the terminal, or as they need where there is none."""

import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table

from service.clock import to_the_second

_WIDE = 2_000  # columns; a file or a pipe has no width, and nothing may be cut off in it


def print_table(table: Table) -> None:
    """Print a table as a result; its texts as they are, whatever they look like to rich."""
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def format_time(moment: datetime | None) -> str:
    """A time for stderr, in UTC; nothing for None."""
    return to_the_second(moment) if moment else ""
