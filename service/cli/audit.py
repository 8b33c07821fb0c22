"""`doorcode audit …`: the audit log."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.table import Table

from service.audit.actions import Action
from service.audit.listing import AuditFilter, all_events, detail_of, list_events, record_export
from service.audit.log import COMMAND_LINE
from service.audit.models import AuditEvent
from service.cli.groups import command_group
from service.cli.running import run, stderr
from service.cli.tables import format_time, print_table
from service.csv_lines import BYTE_ORDER_MARK, csv_line
from service.database import as_time
from service.errors import BadUserInput
from service.instance import Instance
from service.paging import Slice

app = command_group("The audit log.")

_COLUMNS = ("id", "createdAt", "action", "actor", "userId", "secretId", "ipAddress", "reference", "detail")
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z"]


_Action = Annotated[Action | None, typer.Option(help="Events with this action.", show_choices=False)]
_User = Annotated[str | None, typer.Option(metavar="ID", help="Events that concern this user.")]
_Secret = Annotated[
    str | None, typer.Option(metavar="ID", help="Events of this signing secret and of codes signed with it.")
]
_Actor = Annotated[str | None, typer.Option(help="Events with this actor, such as user:ID or cli.")]
_Ip = Annotated[str | None, typer.Option(help="Events from this IP address or IPv6 /64.")]
_Reference = Annotated[str | None, typer.Option(help="The refusal with this reference.")]
_After = Annotated[datetime | None, typer.Option(formats=_DATES, help="Events after this time, in UTC.")]
_Before = Annotated[datetime | None, typer.Option(formats=_DATES, help="Events before this time, in UTC.")]


class ExportFormat(StrEnum):
    """CSV for spreadsheets, or one JSON object on each line."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917  # one for each option
    action: _Action = None,
    user: _User = None,
    secret: _Secret = None,
    actor: _Actor = None,
    ip: _Ip = None,
    reference: _Reference = None,
    after: _After = None,
    before: _Before = None,
    first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 50,
) -> None:
    """List audit events, newest first."""
    wanted = AuditFilter(action, user, secret, actor, ip, reference, _in_utc(after), _in_utc(before))

    async def show(_: Instance) -> None:
        await _show(wanted, first)

    run(show)


@app.command()
def export(  # noqa: PLR0913, PLR0917  # one for each option
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is stdout.", allow_dash=True)],
    file_format: Annotated[ExportFormat, typer.Option("--format", help="The format of the file.")] = ExportFormat.CSV,
    action: _Action = None,
    user: _User = None,
    secret: _Secret = None,
    actor: _Actor = None,
    ip: _Ip = None,
    reference: _Reference = None,
    after: _After = None,
    before: _Before = None,
) -> None:
    """Write all audit events that the options select to a file, newest first. Any number needs little memory."""
    wanted = AuditFilter(action, user, secret, actor, ip, reference, _in_utc(after), _in_utc(before))
    number = run(lambda _: _export(file, file_format, wanted))
    stderr.print(f"{number} audit events were written.")


async def _export(file: Path, file_format: ExportFormat, wanted: AuditFilter) -> int:
    list_events(wanted)  # raises for a filter that is not valid, before the export is recorded
    filters = {name: str(value) for name, value in asdict(wanted).items() if value is not None}
    await record_export(file_format, filters, COMMAND_LINE)
    number = 0
    with _opened(file) as out:
        if file_format is ExportFormat.CSV:
            out.write(BYTE_ORDER_MARK + csv_line(_COLUMNS))
        async for event in all_events(wanted):
            values = _values(event)
            is_csv = file_format is ExportFormat.CSV
            out.write(csv_line(values.values()) if is_csv else json.dumps(values, ensure_ascii=False) + "\n")
            number += 1
    return number


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdout
        return
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            yield out
    except OSError as error:
        raise BadUserInput(f"{file} cannot be written: {error.strerror}.") from None


def _values(event: AuditEvent) -> dict[str, object]:
    moment = event.created_at.isoformat()
    known = (event.user_id, event.secret_id, event.ip_address, event.reference)
    return dict(zip(_COLUMNS, (event.id, moment, event.action, event.actor, *known, detail_of(event)), strict=True))


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
