"""`doorcode sessions …`: ends sessions on a bad day, whatever else is out of order."""

from enum import StrEnum
from typing import Annotated

import typer

from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.running import run, stderr
from service.email_login.configuration import end_email_sessions
from service.external_auth.secrets import end_code_sessions
from service.instance import Instance
from service.sessions.administration import end_user_sessions

app = command_group("Sessions.")


class Method(StrEnum):
    """A sign-in method, as the command line writes it."""

    EMAIL = "email"
    JWT = "jwt"


_END = {Method.EMAIL: end_email_sessions, Method.JWT: end_code_sessions}


@app.command()
def end(
    user: Annotated[str | None, typer.Option(metavar="ID", help="All sessions of this user.")] = None,
    method: Annotated[Method | None, typer.Option(help="All sessions that this sign-in method opened.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
) -> None:
    """End the sessions of a user or of a sign-in method, or all. Exactly one of the options is needed."""
    if [user is not None, method is not None, all_].count(True) != 1:
        raise typer.BadParameter("Give exactly one of --user, --method and --all.", param_hint="--user/--method/--all")

    async def end_them(_: Instance) -> str:
        if user is not None:
            return f"Ended {await end_user_sessions(user, COMMAND_LINE)} sessions of {user}."
        for one in [method] if method else list(Method):
            await _END[one](COMMAND_LINE)
        return f"Ended all sessions that {method} sign-in opened." if method else "Ended all sessions."

    stderr.print(run(end_them))
