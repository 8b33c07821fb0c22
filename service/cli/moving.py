"""`doorcode move`: the embedded database to PostgreSQL."""

from typing import Annotated

import typer

from service.cli.progress import progress
from service.cli.running import finish, read_settings, require_database, stderr
from service.database.moving import move as move_database
from service.logs import configure_logs


def move(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="An empty, migrated PostgreSQL database.")],
) -> None:
    """Copy the embedded database to PostgreSQL. Stop the server first. A move that was interrupted goes on."""
    settings = read_settings()
    configure_logs(settings)
    require_database(settings)
    with progress() as tell:
        rows = finish(move_database(settings, to, tell))
    key = "DOORCODE_ENCRYPTION_KEYS" if settings.encryption_keys else f"the file encryption.key in {settings.data_dir}"
    stderr.print(
        f"Moved {rows:,} rows, and compared them. Set DOORCODE_DATABASE_URL to the new database, and keep the encryption key: {key}. "
        "The old file is as it was, and no server starts on it any more."
    )
