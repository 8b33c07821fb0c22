"""`doorcode api-key …`: keys for machines."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from service.api_keys.keys import create_api_key, list_api_keys, revoke_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.running import print_result, run, stderr
from service.cli.tables import format_time, print_table
from service.clock import now
from service.instance import Instance
from service.tokens import API_KEY_PREFIX

app = command_group("API keys for machines.")


class Scope(StrEnum):
    """What a key may do, as the command line writes it."""

    READ = "read"
    USERS = "users"
    ADMIN = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        Scope, typer.Option(help="read: every admin query. users: manages members, too. admin: all but admins.")
    ] = Scope.READ,
    days: Annotated[
        int | None, typer.Option(help="Days until it ends; left out: until it is revoked.", min=1, max=36500)
    ] = None,
) -> None:
    """Make an API key and print it."""
    expires_at = None if days is None else now() + timedelta(days=days)
    made = run(lambda _: create_api_key(name, ApiKeyScope(scope.upper()), expires_at, COMMAND_LINE), creates=True)
    stderr.print(f"API key {made.row.id}, scope {made.row.scope}. Store it now: it is shown only once.")
    print_result(made.token)


@app.command("list")
def list_() -> None:
    """List API keys, newest first, also those that are revoked or expired."""

    async def show(_: Instance) -> None:
        table = Table("id", "name", "begins", "scope", "created", "ends", "revoked", "last used")
        for key in await list_api_keys():
            table.add_row(
                key.id,
                key.name,
                f"{API_KEY_PREFIX}{key.hint}…",
                key.scope,
                format_time(key.created_at),
                format_time(key.expires_at),
                format_time(key.revoked_at),
                format_time(key.last_used_at) or "not used yet",
            )
        print_table(table)

    run(show)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's ID, from: doorcode api-key list")],
) -> None:
    """Revoke an API key. It is refused from the next request on."""
    run(lambda _: revoke_api_key(key_id, COMMAND_LINE))
    stderr.print(f"Revoked {key_id}.")
