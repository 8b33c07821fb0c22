"""`doorcode backup` and `doorcode restore`: the embedded database with its encryption key, in one file."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.cli.restoring import after_restore
from service.cli.running import fail, read_settings, require_database, stderr
from service.database.backup import put_in_place, read_backup, write_backup
from service.settings import SettingsError


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write. It must not exist.")],
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Leave the encryption key out: keep it elsewhere.")
    ] = False,
) -> None:
    """Write a backup of the SQLite database and the encryption key. The server may run."""
    settings = read_settings()
    require_database(settings)
    try:
        write_backup(settings, file, with_key=not without_key)
    except SettingsError as error:
        fail(str(error))
    key = "without the encryption key" if without_key else "with the encryption key: keep it secret"
    stderr.print(f"Wrote {file} ({file.stat().st_size:,} bytes), {key}.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that doorcode backup has written.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Replace the SQLite database and the encryption key by a backup, then do what `after-restore` does.

    The server must not run. The replaced files are kept beside the new ones.
    """
    settings = read_settings()
    if not yes and settings.sqlite_path.exists():
        if not sys.stdin.isatty():
            raise typer.BadParameter("There is no terminal to ask on. Give --yes.", param_hint="--yes")
        typer.confirm(f"Replace {settings.sqlite_path.resolve()} by the backup {file}?", abort=True, err=True)
    try:
        settings.sqlite_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore.", dir=settings.sqlite_path.parent) as directory:
            replaced = put_in_place(settings, read_backup(settings, file, Path(directory)))
    except (SettingsError, OSError) as error:
        fail(str(error))
    for path in replaced:
        stderr.print(f"The replaced file is {path}. Delete it when you do not need it any more.")
    after_restore()
