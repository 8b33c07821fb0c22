"""`doorcode users create|import|export`: users from the command line and from files."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from service.accounts.administration import UNCHANGED
from service.accounts.creation import create_user
from service.accounts.directory import record_export
from service.accounts.exporting import export_rows
from service.accounts.import_plan import Refused
from service.accounts.import_rows import COLUMNS
from service.accounts.importing import import_users
from service.accounts.models import User
from service.audit.log import COMMAND_LINE
from service.cli.progress import progress
from service.cli.running import fail, run, stderr
from service.clock import parse_time
from service.instance import Instance


def create(
    external_id: Annotated[str, typer.Argument(metavar="ID", help="The ID in your own system, as in codes.")],
    email: Annotated[str | None, typer.Option(help="The email address. It counts as verified.")] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A metadata member. Can be given several times.")
    ] = None,
    access_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the access ends, such as 2030-01-31T12:00:00Z.")
    ] = None,
) -> None:
    """Create a user before the first sign-in, on a seat. Repeating it does no harm."""
    until = UNCHANGED if access_until is None else _time(access_until)
    metadata = dict(_pair(item) for item in meta) if meta else None

    async def create_it(instance: Instance) -> User:
        return await create_user(
            external_id, COMMAND_LINE, instance.subject_hashes, email=email, metadata=metadata, access_until=until
        )

    stderr.print(f"The user {run(create_it, creates=True).id} exists.")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a header.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    skip_bad: Annotated[
        Path | None, typer.Option(metavar="REJECTS", help="Write refused rows with reasons to this file.")
    ] = None,
) -> None:
    """Create and update users from a file: all or nothing, unless --skip-bad is given."""
    with _rejects(skip_bad) as refuse, progress() as tell:
        result = run(
            lambda instance: import_users(
                file,
                COMMAND_LINE,
                instance.subject_hashes,
                lambda done, rows: tell(done, rows, None),
                skip_bad=refuse,
                dry_run=dry_run,
            ),
            creates=not dry_run,
        )
    would = "would be " if dry_run else ""
    stderr.print(
        f"{result.created} users {would}created, {result.updated} {would}updated, {result.unchanged} unchanged,"
        f" {result.refused} rows refused."
    )


def export(file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")]) -> None:
    """Write all users to a file that `users import` reads."""

    async def write(_: Instance) -> int:
        await record_export("csv", {}, COMMAND_LINE)
        number, total = 0, await User.all().count()
        with file.open("w", encoding="utf-8", newline="") as out, progress() as tell:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            async for rows in export_rows():
                writer.writerows(rows)
                number += len(rows)
                tell("Exported", number, total)
        return number

    stderr.print(f"{run(write)} users are in {file}.")


@contextmanager
def _rejects(path: Path | None) -> Iterator[Refused | None]:
    """Yield what writes a refused row to the file, with the line and the reason. None without a file."""
    if path is None:
        yield None
        return
    try:
        out = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    with out:
        writer = csv.DictWriter(out, ["line", "reason", *COLUMNS])
        writer.writeheader()
        yield lambda line, cells, reason: writer.writerow({"line": line, "reason": reason, **cells})


def _time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as problem:
        raise typer.BadParameter(f"This {problem}.", param_hint="--access-until") from None


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"'{item}' is not of the form name=value.", param_hint="--meta")
    return name, value
