"""How a command runs: on an open instance, with its refusals as one line on stderr and exit status 1."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from tortoise.exceptions import OperationalError

from service.database import is_unreachable
from service.errors import Refusal
from service.instance import Instance, open_instance
from service.logs import configure_logs
from service.settings import Settings, SettingsError, load_settings

Result = TypeVar("Result")

stderr = Console(stderr=True, highlight=False, markup=False, soft_wrap=True, emoji=False)
"""For what a person reads; never for a result."""


def run(command: Callable[[Instance], Awaitable[Result]]) -> Result:
    """Run a command on this machine's Doorcode, beside a running server or without one."""
    settings = read_settings()
    configure_logs(settings)
    if settings.uses_sqlite and not settings.sqlite_path.exists():
        stderr.print(f"A new database: {settings.sqlite_path.resolve()}")

    async def on_instance() -> Result:
        async with open_instance(settings) as instance:
            return await command(instance)

    return finish(on_instance())


def finish(work: Awaitable[Result]) -> Result:
    """Wait for the work; a refusal ends the process with its message."""

    async def main() -> Result:
        return await work

    try:
        return asyncio.run(main())
    except (Refusal, SettingsError) as error:
        fail(str(error))
    except OperationalError as error:  # SQLite's "database is locked", for one
        fail(f"The database refused: {error}")
    except Exception as error:
        if not is_unreachable(error):
            raise
        fail(f"The database is out of reach: {str(error) or type(error).__name__}")


def read_settings(host: str | None = None, port: int | None = None) -> Settings:
    """The settings, or exit status 1 with the line that says what is wrong."""
    try:
        return load_settings() if host is None or port is None else load_settings(host=host, port=port)
    except SettingsError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say why, and end with exit status 1: the answer is no."""
    stderr.print(message, style="red")
    raise typer.Exit(1)


def program() -> str:
    """How this very program is called from here, for advice that can be copied."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m service"
    if shutil.which("doorcode") == str(called):
        return "doorcode"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def print_result(text: str) -> None:
    """A result, alone on stdout, so that `$(doorcode …)` works in a shell."""
    typer.echo(text)
