"""Groups of commands, such as `doorcode jwt …`. A group without a command is a usage error."""

import contextlib
import sys

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Prints its help to stderr and ends with exit status 2, if no command is given (contract §6).

    Typer's `no_args_is_help` prints it to stdout, where results alone belong.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # Typer's own Context
        """Read the arguments, or print the help if there is none."""
        if not args and not ctx.resilient_parsing:
            with contextlib.redirect_stdout(sys.stderr):
                typer.echo(ctx.get_help())
            ctx.exit(2)
        return super().parse_args(ctx, args)


def command_group(help_text: str) -> typer.Typer:
    """Return an empty group of commands."""
    group = typer.Typer(cls=Group, help=help_text)

    @group.callback()
    def _group() -> None:
        """Keep a single command of a group a command of its own."""

    return group
