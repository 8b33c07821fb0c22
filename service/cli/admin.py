"""`doorcode admin …`: the first admin, and the way back in."""

from typing import Annotated

import typer
from rich.table import Table

from service.accounts.admins import list_admins, remove_admin
from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.running import print_result, program, run, stderr
from service.cli.tables import format_time, print_table
from service.email_login.invitations import AdminInvitation, invite_admin
from service.email_login.links import INVITATION_LIFETIME
from service.instance import Instance
from service.settings import DEFAULT_PUBLIC_URL

app = command_group("Admins of this service.")


@app.command()
def invite(email: Annotated[str, typer.Argument(metavar="EMAIL", help="The admin's address.")]) -> None:
    """Make an admin, or raise the user with this email, and print a link that signs in once. No mail is sent."""

    async def invite_on(instance: Instance) -> AdminInvitation:
        if instance.settings.public_url == DEFAULT_PUBLIC_URL:
            stderr.print(f"The link is for {DEFAULT_PUBLIC_URL}. Is the service elsewhere? Set DOORCODE_PUBLIC_URL.")
        return await invite_admin(email, COMMAND_LINE, instance.email_login.page_urls)

    invitation = run(invite_on, creates=True)
    hours = int(INVITATION_LIFETIME.total_seconds() // 3600)
    stderr.print(f"{invitation.user.email} is an admin. This link signs in once, within {hours} hours:")
    if invitation.user.external_id is not None:
        stderr.print(
            f"Note: this is the existing user {invitation.user.id} with the external ID {invitation.user.external_id}."
            " Codes for this ID sign in as this user too, without admin rights. If you did not expect that, take the"
            f" admin role back: {program()} admin remove {invitation.user.email}",
        )
    print_result(invitation.url)


@app.command("list")
def list_() -> None:
    """List the admins, oldest first."""

    async def show(_: Instance) -> None:
        table = Table("id", "email", "status", "created", "last seen")
        for user in await list_admins():
            seen = format_time(user.last_seen_at) or "never"
            table.add_row(user.id, user.email or "", user.status, format_time(user.created_at), seen)
        print_table(table)

    run(show)


@app.command()
def remove(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The admin's address.")],
    force: Annotated[bool, typer.Option("--force", help="Remove the last active admin, too.")] = False,
) -> None:
    """Make an admin a member, and end the sessions of this user."""
    user = run(lambda _: remove_admin(email, COMMAND_LINE, force=force))
    stderr.print(f"{user.email} is a member now. All sessions of this user are ended.")
