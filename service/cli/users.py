"""`doorcode users …`: the users, as the directory lists them."""

from typing import Annotated

import typer
from rich.table import Table

from service.accounts.directory import UserFilter, UserOrder, count_users, list_users
from service.accounts.lookup import user_from_row
from service.accounts.models import UserOrigin, UserStatus
from service.cli.running import run, stderr
from service.cli.tables import format_time, print_table
from service.instance import Instance
from service.paging import Slice

app = typer.Typer(help="Users.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes `list` a command of its own, although it is the only one."""


@app.command("list")
def list_(
    search: Annotated[str | None, typer.Option(help="Anywhere in id, external id or email.")] = None,
    origin: Annotated[UserOrigin | None, typer.Option(help="How they came to be.", case_sensitive=False)] = None,
    status: Annotated[UserStatus | None, typer.Option(help="Whether they are active.", case_sensitive=False)] = None,
    first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 50,
) -> None:
    """List users, newest first."""

    async def show(_: Instance) -> None:
        await _show(UserFilter(search=search, origin=origin, status=status), first)

    run(show)


async def _show(wanted: UserFilter, first: int) -> None:
    listing = list_users(wanted, UserOrder.CREATED_AT_DESC)
    page = await listing.page(Slice(first=first))
    table = Table("id", "external id", "email", "origin", "role", "status", "created", "last seen")
    for user in map(user_from_row, page.rows):
        table.add_row(
            user.id,
            user.external_id or "",
            user.email or "",
            user.origin,
            user.role,
            user.status,
            format_time(user.created_at),
            format_time(user.last_seen_at) or "never",
        )
    print_table(table)
    stderr.print(f"{len(page.rows)} of {await count_users(wanted, listing)} users.")
