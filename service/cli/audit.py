"""`doorcode audit …`: the audit log."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from service.audit.actions import Action
from service.audit.listing import AuditFilter, detail_of, list_events
from service.audit.models import AuditEvent
from service.cli.groups import command_group
from service.cli.running import run, stderr
from service.cli.tables import format_time, print_table
from service.database import as_time
from service.instance import Instance
from service.paging import Slice

app = command_group("The audit log.")

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z"]


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917  # one for each option
    action: Annotated[Action | None, typer.Option(help="Events with this action.", show_choices=False)] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Events that concern this user.")] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="ID", help="Events of this signing secret and of codes signed with it.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Events with this actor, such as user:ID or cli.")] = None,
    ip: Annotated[str | None, typer.Option(help="Events from this IP address or IPv6 /64.")] = None,
    reference: Annotated[str | None, typer.Option(help="The refusal with this reference.")] = None,
    after: Annotated[datetime | None, typer.Option(formats=_DATES, help="Events after this time, in UTC.")] = None,
    before: Annotated[datetime | None, typer.Option(formats=_DATES, help="Events before this time, in UTC.")] = None,
    first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 50,
) -> None:
    """List audit events, newest first."""
    wanted = AuditFilter(action, user, secret, actor, ip, reference, _in_utc(after), _in_utc(before))

    async def show(_: Instance) -> None:
        await _show(wanted, first)

    run(show)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


async def _show(wanted: AuditFilter, first: int) -> None:
    page = await list_events(wanted).page(Slice(first=first))
    table = Table("when", "what", "user", "actor", "secret", "address", "reference", "details")
    for row in page.rows:
        event = AuditEvent._init_from_db(**dict(row))
        table.add_row(
            format_time(event.created_at),
            event.action,
            event.user_id or "",
            event.actor,
            event.secret_id or "",
            event.ip_address or "",
            event.reference or "",
            json.dumps(detail_of(event), ensure_ascii=False),
        )
    print_table(table)
    if page.has_more:
        last = as_time(page.rows[-1]["created_at"])
        stderr.print(f"There are older events. Show them with: --before {last:%Y-%m-%dT%H:%M:%S.%f}")
