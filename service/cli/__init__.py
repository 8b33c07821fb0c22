"""The command line (contract §6), one file for each noun. Results go to stdout; messages for people go to stderr.

It may import every feature and the instance. It imports neither `service.web` nor `service.graphql`, except for the
two commands that print the schema and serve the application.
"""

import io
import os
import sys
from collections.abc import Collection
from importlib import import_module, metadata
from typing import Annotated

import typer

from service.cli.groups import Group
from service.quick_imports import quick_imports

# Where each command is: the module of this package, and the function or, for a group of commands, the `Typer`.
# A module is imported only if its command is used: all of them take a third of a second.
COMMANDS = {
    "serve": "serving.serve",
    "migrate": "serving.migrate",
    "backup": "backing_up.backup",
    "restore": "backing_up.restore",
    "after-restore": "restoring.after_restore",
    "check": "checking.check",
    "move": "moving.move",
    "health": "health.health",
    "schema": "schema.print_schema",
    "seats": "seats.seats",
    "overview": "overview.overview",
    "refusal": "refusals.refusal",
    "refusals": "refusals.refusals",
    "branding": "branding.branding",
    "settings": "settings.settings",
    "groups": "user_groups.groups",
    "admin": "admin.app",
    "audit": "audit.app",
    "api-key": "api_keys.app",
    "jwt": "jwt.app",
    "code": "codes.app",
    "users": "users.app",
    "sessions": "sessions.app",
    "signing-key": "signing_keys.app",
    "keys": "encryption_keys.app",
}


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(metadata.version("doorcode"))
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def command_line(names: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the command line with these commands, and import their modules."""
    app = typer.Typer(
        name="doorcode",
        help="Self-hosted sign-in by signed codes.",
        cls=Group,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_options)
    for name in names:
        module, _, attribute = COMMANDS[name].partition(".")
        command = getattr(import_module(f"service.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line: the entry point of `doorcode`."""
    os.umask(0o077)  # only the owner may read what a command writes, above all the database
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # IDs and claims may be in any script, also one that the terminal cannot show
    with quick_imports():
        app = command_line(_needed(sys.argv[1:]))
    app()


def _needed(arguments: list[str]) -> Collection[str]:
    """Return the commands that these arguments may use: all of them for the help and for a misspelled name."""
    first = arguments[0] if arguments else ""
    if first == "--version":
        return ()
    return (first,) if first in COMMANDS else tuple(COMMANDS)
