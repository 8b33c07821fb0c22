"""`doorcode jwt …`: the switch and the secrets."""

from typing import Annotated

import typer
from rich.table import Table

from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, program, run, stderr
from service.cli.tables import format_time, print_table
from service.clock import now
from service.external_auth import secrets
from service.external_auth.configuration import policy_of
from service.external_auth.models import ExternalAuth
from service.instance import Instance

app = typer.Typer(help="JWT sign-in: the switch and the secrets.", no_args_is_help=True)


@app.command()
def status() -> None:
    """Show whether JWT sign-in is on, the policy, and every secret's state."""
    run(_show_status)


@app.command()
def enable() -> None:
    """Switch JWT sign-in on; prints the secret where a new one was made."""
    made = run(lambda instance: secrets.enable(instance.cipher, COMMAND_LINE))
    if made:
        stderr.print("JWT sign-in is on. Keep this secret: it is shown this once.")
        print_result(made.text)
    else:
        stderr.print(f"JWT sign-in is on, with the secrets it had. For a new one: {program()} jwt rotate")


@app.command()
def disable(
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End every session that a code opened, too.")
    ] = False,
) -> None:
    """Switch JWT sign-in off; the secrets stay."""
    run(lambda _: secrets.disable(COMMAND_LINE, end_sessions=end_sessions))
    stderr.print("JWT sign-in is off.")


@app.command()
def rotate(
    grace: Annotated[
        int, typer.Option(help="Seconds for which the secret before still verifies; 0: not at all.")
    ] = secrets.DEFAULT_GRACE_PERIOD,
) -> None:
    """Make a new secret and print it. Ends no session: for a leak, revoke the old one."""
    made = run(lambda instance: secrets.rotate(instance.cipher, COMMAND_LINE, grace_period=grace))
    stderr.print(f"New secret {made.row.id}. Keep it: it is shown this once.")
    print_result(made.text)


@app.command()
def revoke(
    secret_id: Annotated[str, typer.Argument(metavar="ID", help="The secret's id, from: doorcode jwt status")],
    keep_sessions: Annotated[
        bool, typer.Option("--keep-sessions", help="Do not end the sessions that its codes opened.")
    ] = False,
) -> None:
    """Accept no code of a secret any more, and end the sessions that its codes opened."""
    run(lambda _: secrets.revoke(secret_id, COMMAND_LINE, end_sessions=not keep_sessions))
    stderr.print(f"Revoked {secret_id}.")


async def _show_status(_: Instance) -> None:
    auth = await ExternalAuth.get(id=1)
    print_result(f"JWT sign-in is {'on' if auth.enabled else 'off'}.")
    policy = policy_of(auth)
    print_result(
        "Policy: "
        + ", ".join(f"{name.replace('_', ' ')} {_in_words(getattr(policy, name))}" for name in policy.__slots__)
    )
    table = Table("id", "begins", "status", "created", "retires", "revoked", "last used")
    moment = now()
    for secret in await secrets.list_secrets():
        table.add_row(
            secret.id,
            f"{secret.hint}…",
            secrets.status_of(secret, moment),
            format_time(secret.created_at),
            format_time(secret.retires_at),
            format_time(secret.revoked_at),
            format_time(secret.last_used_at) or "not used yet",
        )
    print_table(table)


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
