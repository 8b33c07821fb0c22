"""`doorcode check`: looks for what must never be, such as counters that are wrong and texts that no key decrypts."""

import typer

from service.cli.running import fail, finish, print_result, read_settings, stderr
from service.encryption import KEY_FILE, has_key, open_cipher
from service.instance import open_checked_database
from service.invariants import broken_invariants
from service.logs import configure_logs
from service.settings import Settings


def check() -> None:
    """Verify the database: counters, references, and that every secret decrypts. Changes nothing.

    One line on stdout for each fault, and exit status 1.
    """
    settings = read_settings()
    configure_logs(settings)
    if settings.uses_sqlite and not settings.sqlite_path.exists():
        fail(f"There is no database at {settings.sqlite_path.resolve()}.")
    if not has_key(settings):
        fail(f"There is no encryption key: neither DOORCODE_ENCRYPTION_KEYS nor {settings.data_dir / KEY_FILE}.")
    faults = finish(_faults_of(settings))
    for fault in faults:
        print_result(fault)
    if faults:
        raise typer.Exit(1)
    stderr.print("No fault was found.")


async def _faults_of(settings: Settings) -> list[str]:
    async with open_checked_database(settings):
        return [fault async for fault in broken_invariants(open_cipher(settings))]
