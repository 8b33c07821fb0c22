"""`doorcode api-key …`: keys for machines."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, run, stderr
from service.clock import now

app = typer.Typer(help="API keys for machines.", no_args_is_help=True)


class Scope(StrEnum):
    """What a key may do, as the command line writes it."""

    READ = "read"
    USERS = "users"
    ADMIN = "admin"


@app.callback()
def _group() -> None:
    """Makes `create` a command of its own, although it is the only one."""


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
    made = run(lambda _: create_api_key(name, ApiKeyScope(scope.upper()), expires_at, COMMAND_LINE))
    stderr.print(f"API key {made.row.id}, scope {made.row.scope}. Keep it: it is shown this once.")
    print_result(made.token)
