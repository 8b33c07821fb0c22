"""`doorcode admin …`: the first admin, and the way back in."""

from typing import Annotated

import typer

from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, run, stderr
from service.email_login.invitations import AdminInvitation, invite_admin
from service.email_login.links import INVITATION_LIFETIME
from service.instance import Instance
from service.settings import DEFAULT_PUBLIC_URL

app = typer.Typer(help="Admins of this service.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes `invite` a command of its own, although it is the only one."""


@app.command()
def invite(email: Annotated[str, typer.Argument(metavar="EMAIL", help="The admin's address.")]) -> None:
    """Make an admin, or raise the user with this email, and print a link that signs in once. No mail is sent."""

    async def invite_on(instance: Instance) -> AdminInvitation:
        if instance.settings.public_url == DEFAULT_PUBLIC_URL:
            stderr.print(f"The link is for {DEFAULT_PUBLIC_URL}. Is the service elsewhere? Set DOORCODE_PUBLIC_URL.")
        return await invite_admin(email, COMMAND_LINE, instance.email_login.page_urls)

    invitation = run(invite_on)
    hours = int(INVITATION_LIFETIME.total_seconds() // 3600)
    stderr.print(f"{invitation.user.email} is an admin. This link signs in once, within {hours} hours:")
    print_result(invitation.url)
