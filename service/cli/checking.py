"""`doorcode check`: looks for what must never be, such as counters that are wrong and texts that no key decrypts."""

import typer

from service.cli.running import finish, print_result, read_settings, require_instance, stderr
from service.encryption import open_cipher
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
    require_instance(settings)
    faults = finish(_faults_of(settings))
    for fault in faults:
        print_result(fault)
    if faults:
        raise typer.Exit(1)
    stderr.print("No fault was found.")


async def _faults_of(settings: Settings) -> list[str]:
    async with open_checked_database(settings):
        return [fault async for fault in broken_invariants(open_cipher(settings))]
