"""The command line (contract §6), one file for each noun. Results go to stdout; messages for people go to stderr.

It may import every feature and the instance. It imports neither `service.web` nor `service.graphql`, except for the
two commands that print the schema and serve the application.
"""

import io
import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from service.cli import (
    admin,
    api_keys,
    audit,
    backing_up,
    checking,
    codes,
    encryption_keys,
    jwt,
    overview,
    refusals,
    restoring,
    schema,
    seats,
    serving,
    sessions,
    settings,
    signing_keys,
    user_groups,
    users,
)
from service.cli.groups import Group

app = typer.Typer(
    name="doorcode",
    help="Self-hosted sign-in by signed codes.",
    cls=Group,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(metadata.version("doorcode"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("serve")(serving.serve)
app.command("migrate")(serving.migrate)
app.command("backup")(backing_up.backup)
app.command("restore")(backing_up.restore)
app.command("after-restore")(restoring.after_restore)
app.command("check")(checking.check)
app.command("schema")(schema.print_schema)
app.command("seats")(seats.seats)
app.command("overview")(overview.overview)
app.command("refusal")(refusals.refusal)
app.command("refusals")(refusals.refusals)
app.command("settings")(settings.settings)
app.command("groups")(user_groups.groups)
app.add_typer(admin.app, name="admin")
app.add_typer(audit.app, name="audit")
app.add_typer(api_keys.app, name="api-key")
app.add_typer(jwt.app, name="jwt")
app.add_typer(codes.app, name="code")
app.add_typer(users.app, name="users")
app.add_typer(sessions.app, name="sessions")
app.add_typer(signing_keys.app, name="signing-key")
app.add_typer(encryption_keys.app, name="keys")


def main() -> None:
    """Run the command line: the entry point of `doorcode`."""
    os.umask(0o077)  # only the owner may read what a command writes, above all the database
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # IDs and claims may be in any script, also one that the terminal cannot show
    app()
