"""`doorcode jwt …`: the configuration of JWT sign-in and its secrets."""

from typing import Annotated

import typer
from pydantic.alias_generators import to_camel
from rich.table import Table

from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.policy import describe_policy, policy
from service.cli.running import print_result, program, run, stderr
from service.cli.tables import format_time, print_table
from service.clock import now
from service.external_auth import secrets
from service.external_auth.configuration import policy_of, sign_in_of, update_sign_in
from service.external_auth.models import ExternalAuth
from service.external_auth.secret_names import describe_secret_as
from service.instance import Instance

_NONE = "none"

app = command_group("JWT sign-in: enable, disable, rotate and revoke secrets.")


app.command("policy")(policy)


@app.command()
def status() -> None:
    """Show whether JWT sign-in is enabled, the policy, and the state of every secret."""
    run(_show_status)


@app.command()
def enable() -> None:
    """Enable JWT sign-in. If there is no current secret, create one and print it."""
    made = run(lambda instance: secrets.enable(instance.cipher, COMMAND_LINE), creates=True)
    if made:
        stderr.print("JWT sign-in is enabled. Store this secret now: it is shown only once.")
        print_result(made.text)
    else:
        stderr.print(f"JWT sign-in is enabled, with the existing secrets. To create a new one: {program()} jwt rotate")


@app.command()
def disable(
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="Also end all sessions that codes opened.")
    ] = False,
) -> None:
    """Disable JWT sign-in. The secrets stay."""
    run(lambda _: secrets.disable(COMMAND_LINE, end_sessions=end_sessions))
    stderr.print("JWT sign-in is disabled.")


@app.command()
def rotate(
    grace: Annotated[
        int, typer.Option(help="Seconds for which the previous secret still verifies codes.")
    ] = secrets.DEFAULT_GRACE_PERIOD,
) -> None:
    """Create a new secret and print it. Ends no session. After a leak, revoke the old secret too."""
    made = run(lambda instance: secrets.rotate(instance.cipher, COMMAND_LINE, grace_period=grace))
    stderr.print(f"New secret {made.row.id}. Store it now: it is shown only once.")
    print_result(made.text)


@app.command()
def revoke(
    secret_id: Annotated[str, typer.Argument(metavar="ID", help="The ID of the secret, from: doorcode jwt status")],
    keep_sessions: Annotated[
        bool, typer.Option("--keep-sessions", help="Do not end the sessions that its codes opened.")
    ] = False,
) -> None:
    """Revoke a secret: refuse its codes, and end the sessions that they opened."""
    run(lambda _: secrets.revoke(secret_id, COMMAND_LINE, end_sessions=not keep_sessions))
    stderr.print(f"Revoked {secret_id}.")


@app.command("describe")
def describe(
    secret_id: Annotated[str, typer.Argument(metavar="ID", help="The ID of the secret, from: doorcode jwt status")],
    name: Annotated[str | None, typer.Option(help="The name of the secret; empty: none.")] = None,
    note: Annotated[str | None, typer.Option(help="A note, such as where the secret is used; empty: none.")] = None,
) -> None:
    """Give a secret a name and a note, to tell secrets apart."""
    changes = {field: text for field, text in (("name", name), ("note", note)) if text is not None}
    if not changes:
        raise typer.BadParameter("Give --name, --note or both.")
    run(lambda _: describe_secret_as(secret_id, changes, COMMAND_LINE))
    stderr.print(f"Saved for {secret_id}.")


@app.command("revoke-codes")
def revoke_codes(
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="Also end all sessions that codes opened.")
    ] = False,
) -> None:
    """Refuse all codes that were issued before now. The secrets stay, and codes issued from now on work."""
    run(lambda _: secrets.revoke_all_codes(COMMAND_LINE, end_sessions=end_sessions))
    stderr.print("Codes that were issued before now are refused.")


@app.command("sign-in-url")
def sign_in_url(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where a person without a code signs in, or: none")],
    start_automatically: Annotated[
        bool | None,
        typer.Option(
            "--start-automatically/--no-start-automatically",
            help="Whether /login goes there at once.",
            show_default=False,
        ),
    ] = None,
    require_state: Annotated[
        bool | None,
        typer.Option(
            "--require-state/--no-require-state",
            help="Whether a sign-in link needs a `state` that /login/start gave to this browser.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Let sign-in start at a page of your own system."""
    switches = {"start_automatically": start_automatically, "require_state": require_state}
    changes = {"sign_in_url": _url_or_none(url)} | {name: on for name, on in switches.items() if on is not None}
    run(lambda _: update_sign_in(changes, COMMAND_LINE), creates=True)
    stderr.print("Sign-in starts on pages of this service." if url == _NONE else f"Sign-in starts at {url}")


@app.command("sign-out-url")
def sign_out_url(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where signing out leads after a sign-in by a code, or: none")
    ],
) -> None:
    """Let signing out end at a page of your own system, for sessions that a code opened."""
    run(lambda _: update_sign_in({"sign_out_url": _url_or_none(url)}, COMMAND_LINE), creates=True)
    stderr.print("Signing out leads to the application." if url == _NONE else f"Signing out leads to {url}")


def _url_or_none(url: str) -> str | None:
    return None if url == _NONE else url


async def _show_status(_: Instance) -> None:
    auth = await ExternalAuth.get(id=1)
    print_result(f"JWT sign-in is {'enabled' if auth.enabled else 'disabled'}.")
    if auth.codes_valid_from:
        print_result(f"Codes issued before {format_time(auth.codes_valid_from)} are refused.")
    print_result(describe_policy(policy_of(auth)))
    sign_in = sign_in_of(auth)
    print_result("Sign-in: " + ", ".join(f"{to_camel(name)} {_as_text(value)}" for name, value in sign_in))
    table = Table("id", "name", "begins", "status", "created", "retires", "revoked", "last used")
    moment = now()
    for secret in await secrets.list_secrets():
        table.add_row(
            secret.id,
            secret.name,
            f"{secret.hint}…",
            secrets.status_of(secret, moment),
            format_time(secret.created_at),
            format_time(secret.retires_at),
            format_time(secret.revoked_at),
            format_time(secret.last_used_at) or "not used yet",
        )
    print_table(table)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
