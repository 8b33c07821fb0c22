"""`doorcode groups`: the groups that users are in."""

from typing import Annotated

import typer
from rich.table import Table

from service.accounts.groups import list_groups
from service.cli.running import run, stderr
from service.cli.tables import print_table
from service.instance import Instance
from service.paging import Slice


def groups(
    first: Annotated[int, typer.Option(help="How many, by name.", min=1, max=200)] = 50,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Those that follow this cursor.")] = None,
) -> None:
    """List the groups that users are in, and how many active members each has."""

    async def show(_: Instance) -> None:
        listing = list_groups()
        page = await listing.page(Slice(first=first, after=after))
        table = Table("group", "active members")
        for row in page.rows:
            table.add_row(str(row["name"]), str(row["member_count"]))
        print_table(table)
        onward = f" Those that follow: --after {listing.cursor(page.rows[-1])}" if await page.has_next() else ""
        stderr.print(f"{len(page.rows)} of {await listing.count()} groups.{onward}")

    run(show)
