"""Runs a command on an open instance. A refusal is one line on stderr and exit status 1."""

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
"""The console for messages to people. Results go to stdout."""


def run(command: Callable[[Instance], Awaitable[Result]]) -> Result:
    """Run a command on the instance of these settings. A server may run at the same time."""
    settings = read_settings()
    configure_logs(settings)
    if settings.uses_sqlite and not settings.sqlite_path.exists():
        stderr.print(f"Creating a new database: {settings.sqlite_path.resolve()}")

    async def on_instance() -> Result:
        async with open_instance(settings) as instance:
            return await command(instance)

    return finish(on_instance())


def finish(work: Awaitable[Result]) -> Result:
    """Wait for the work. A refusal ends the process with its message and exit status 1."""

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
        fail(f"The database cannot be reached: {str(error) or type(error).__name__}")


def read_settings(host: str | None = None, port: int | None = None) -> Settings:
    """Return the settings. If one is wrong, print the reason and exit with status 1."""
    try:
        return load_settings() if host is None or port is None else load_settings(host=host, port=port)
    except SettingsError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print the reason and exit with status 1."""
    stderr.print(message, style="red")
    raise typer.Exit(1)


def program() -> str:
    """Return how this program is called from the current directory, so that printed commands can be copied."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m service"
    if shutil.which("doorcode") == str(called):
        return "doorcode"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def print_result(text: str) -> None:
    """Print a result, alone on stdout, so that `$(doorcode …)` works in a shell."""
    typer.echo(text)
