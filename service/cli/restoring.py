"""`doorcode after-restore`: makes a restored backup safe to serve."""

import json

from rich.table import Table

from service.after_restore import Restored, prepare_restored_database
from service.audit.log import COMMAND_LINE
from service.audit.models import AuditEvent
from service.cli.running import program, run, stderr
from service.cli.tables import format_time, print_table


def after_restore() -> None:
    """After restoring a backup: end all sessions, forget links, codes and mails, and disable JWT sign-in.

    Lists what admins, API keys and commands did in the last day of the backup. Later changes are not in it.
    """
    restored = run(lambda _: prepare_restored_database(COMMAND_LINE))
    if restored.changes:
        _print_changes(restored.changes)
    _explain(restored)


def _print_changes(changes: list[AuditEvent]) -> None:
    table = Table("time", "action", "actor", "user", "secret", "detail")
    for event in changes:
        detail = json.dumps(json.loads(event.detail), ensure_ascii=False)
        table.add_row(format_time(event.created_at), event.action, event.actor, event.user_id, event.secret_id, detail)
    print_table(table)


def _explain(restored: Restored) -> None:
    stderr.print("All sessions are ended. One-time links, email codes and waiting mails are deleted.")
    if restored.ends_at is None:
        stderr.print("The audit log of the backup is empty.")
    else:
        stderr.print(
            f"The audit log of the backup ends at {format_time(restored.ends_at)}. "
            f"The day before has {len(restored.changes)} changes, which the table lists. "
            "Later changes are lost: repeat them, above all revoked secrets and API keys, removed admins, and users "
            "that were deactivated or deleted."
        )
    if restored.codes_were_enabled:
        stderr.print(
            "JWT sign-in is disabled. Revoke the secrets that have leaked, or replace the current one:\n\n"
            f"    {program()} jwt rotate --grace 0\n\nThen enable it:\n\n    {program()} jwt enable\n",
        )
    else:
        stderr.print("JWT sign-in was disabled already, and stays disabled.")
