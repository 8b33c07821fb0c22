"""`doorcode admin …`: the first admin, and the way back in."""

from typing import Annotated

import typer

from service.audit.log import COMMAND_LINE
from service.cli.running import people, print_result, run
from service.email_login.invitations import invite_admin
from service.email_login.links import INVITATION_LIFETIME

app = typer.Typer(help="Admins of this service.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes `invite` a command of its own, although it is the only one."""


@app.command()
def invite(email: Annotated[str, typer.Argument(metavar="EMAIL", help="The admin's address.")]) -> None:
    """Make an admin, or raise the user with this email, and print a link that signs in once. No mail is sent."""
    invitation = run(lambda instance: invite_admin(email, COMMAND_LINE, instance.settings.public_url))
    hours = int(INVITATION_LIFETIME.total_seconds() // 3600)
    people.print(f"{invitation.user.email} is an admin. This link signs in once, within {hours} hours:")
    print_result(invitation.url)
