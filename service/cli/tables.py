"""Tables on stdout. On a terminal they have its width, elsewhere the width that they need."""

import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table

from service.clock import to_the_second

_MAX_WIDTH = 2_000  # columns; in a file or a pipe nothing may be cut off


def print_table(table: Table) -> None:
    """Print a table as a result. Texts are printed as they are, also if they look like rich markup."""
    width = None if sys.stdout.isatty() else _MAX_WIDTH
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def format_time(moment: datetime | None) -> str:
    """Return a time as text in UTC. Empty for None."""
    return to_the_second(moment) if moment else ""
