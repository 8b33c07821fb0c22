"""Runs a command on an open instance. A refusal is one line on stderr and exit status 1."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from tortoise.exceptions import OperationalError

from service.database import cause_of_outage
from service.database.connection import SQLITE_BUSY_TIMEOUT
from service.encryption import KEY_FILE, has_key
from service.errors import Refusal
from service.instance import Instance, open_instance
from service.logs import configure_logs
from service.setting_sources import read_environment, variable_of
from service.settings import Settings, SettingsError, load_settings

Result = TypeVar("Result")
_PUBLIC_URL = variable_of("public_url")
_ADDRESS_FILE = "served-at"  # in the data directory

stderr = Console(stderr=True, highlight=False, markup=False, soft_wrap=True, emoji=False)
"""The console for messages to people. Results go to stdout."""


def run(command: Callable[[Instance], Awaitable[Result]], *, creates: bool = False) -> Result:
    """Run a command on the instance of these settings. A server may run at the same time.

    `creates`: the command may be the first of a new instance. Any other one ends if there is none, because an empty
    answer about a new database would be taken for an answer about the database that was meant.
    """
    settings = read_settings()
    configure_logs(settings)
    if not creates:
        require_instance(settings)
    elif _has_no_database(settings):
        stderr.print(f"Creating a new database: {settings.sqlite_path.resolve()}")

    async def on_instance() -> Result:
        async with open_instance(settings) as instance:
            return await command(instance)

    return finish(on_instance())


def require_instance(settings: Settings) -> None:
    """Exit with status 1 if there is no database or no encryption key yet. Creates neither."""
    require_database(settings)
    if not has_key(settings):
        fail(
            f"There is no encryption key at {(settings.data_dir / KEY_FILE).resolve()}. Run the command in the directory "
            f"and with the settings of the server: {variable_of('data_dir')} or {variable_of('encryption_keys')}."
        )


def require_database(settings: Settings) -> None:
    """Exit with status 1 if there is no SQLite database yet. Creates none."""
    if _has_no_database(settings):
        fail(
            f"There is no database at {settings.sqlite_path.resolve()}. Run the command in the directory and with the "
            f"settings of the server: {variable_of('data_dir')} or {variable_of('database_url')}. "
            f"For a new instance, run: {program()} serve"
        )


def _has_no_database(settings: Settings) -> bool:
    return settings.uses_sqlite and not settings.sqlite_path.exists()


def finish(work: Awaitable[Result]) -> Result:
    """Wait for the work. A refusal ends the process with its message and exit status 1."""

    async def main() -> Result:
        return await work

    try:
        return asyncio.run(main())
    except (Refusal, SettingsError) as error:
        fail(str(error))
    except Exception as error:
        if message := _message_of(error):
            fail(message)
        raise


def _message_of(error: Exception) -> str | None:
    """Return one line for an error that the operator can do something about; None for any other."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    cause = cause_of_outage(error)
    if cause == "locked":
        return (
            f"Another program is writing to the database and did not finish within {SQLITE_BUSY_TIMEOUT // 1000} "
            "seconds. Nothing was changed; try again."
        )
    if cause is not None:
        return f"The database cannot be reached: {_first_line(error)}"
    return f"The database refused: {_first_line(error)}" if isinstance(error, OperationalError) else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_settings(host: str | None = None, port: int | None = None) -> Settings:
    """Return the settings. If one is wrong, print the reason and exit with status 1.

    A command without a public URL takes the one at which `doorcode serve` listens or last listened.
    """
    try:
        if host is not None and port is not None:
            return load_settings(host=host, port=port)
        settings = load_settings()
        address = None if is_public_url_given() else _read_address(settings)
        return settings if address is None else load_settings({**read_environment(), _PUBLIC_URL: address})
    except SettingsError as error:
        fail(str(error))


def is_public_url_given() -> bool:
    """Return whether the environment or `.env` names the public URL, so that host and port do not decide it."""
    return bool(read_environment().get(_PUBLIC_URL, "").strip())


def remember_address(settings: Settings) -> None:
    """Let commands know the address at which this server listens, if no setting names it."""
    file = settings.data_dir / _ADDRESS_FILE
    with suppress(OSError):  # a directory that cannot be written: the commands then have to be told
        if is_public_url_given():
            file.unlink(missing_ok=True)
        else:
            file.write_text(f"{settings.public_url}\n")


def _read_address(settings: Settings) -> str | None:
    try:
        return (settings.data_dir / _ADDRESS_FILE).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


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
