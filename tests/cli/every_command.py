"""Every command with arguments that it accepts, by what it may do to an instance. A test compares them with the program."""

from collections.abc import Iterator

import typer.main

from service.cli import command_line

CREATING = [
    ["admin", "invite", "boss@example.com"],
    ["api-key", "create", "x"],
    ["jwt", "enable"],
    ["jwt", "policy", "trustEmails=false"],
    ["jwt", "sign-in-url", "none"],
    ["jwt", "sign-out-url", "none"],
    ["migrate"],
    ["seats", "--limit", "5"],
    ["users", "create", "crm-42"],
    ["users", "import", "users.csv"],
]
"""May be the first command of a new instance."""

CHANGING = [
    ["admin", "remove", "boss@example.com", "--force"],
    ["after-restore"],
    ["api-key", "revoke", "ID"],
    ["audit", "export", "export.jsonl"],
    ["code", "sign", "--user-id", "crm-42"],
    ["jwt", "describe", "ID", "--name", "x"],
    ["jwt", "disable"],
    ["jwt", "revoke", "ID"],
    ["jwt", "revoke-codes"],
    ["jwt", "rotate"],
    ["keys", "rotate"],
    ["sessions", "end", "--all"],
    ["signing-key", "rotate"],
    ["users", "deactivate", "ID"],
    ["users", "delete", "--yes", "ID"],
    ["users", "end-sessions", "ID"],
    ["users", "erase", "--yes", "ID"],
    ["users", "export", "export.csv"],
    ["users", "reactivate", "ID"],
    ["users", "revoke-codes", "ID"],
    ["users", "sign-in-link", "ID"],
    ["users", "set-groups", "ID", "staff"],
    ["users", "unlock", "ID"],
]
"""Change an instance that there is."""

READING = [
    ["admin", "list"],
    ["api-key", "list"],
    ["audit", "list"],
    ["backup", "backup.tar"],
    ["branding"],
    ["check"],
    ["code", "inspect", "x"],
    ["groups"],
    ["jwt", "policy"],
    ["jwt", "status"],
    ["overview"],
    ["refusal", "K7XA249Z5R"],
    ["refusals"],
    ["seats"],
    ["users", "import", "--dry-run", "users.csv"],
    ["users", "list"],
]
"""Read an instance that there is."""

OTHERS = [["health"], ["move"], ["restore"], ["schema"], ["serve"], ["settings"]]
"""Have tests of their own, or open no database."""


def commands_of_the_program() -> Iterator[tuple[str, ...]]:
    """The names of every command, such as `("jwt", "enable")`."""

    def below(command: object, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield names
            return
        for name, child in inner.items():
            yield from below(child, (*names, name))

    return below(typer.main.get_command(command_line()), ())
