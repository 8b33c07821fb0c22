"""`doorcode users …`: the users, as the directory lists them."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.table import Table

from service.accounts.administration import deactivate_user, delete_user, reactivate_user
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.directory import UserFilter, UserOrder, count_users, list_users
from service.accounts.groups import group_names, set_user_groups
from service.accounts.lookup import user_from_row
from service.accounts.models import User, UserOrigin, UserStatus
from service.audit.log import COMMAND_LINE, Actor
from service.cli import users_files
from service.cli.groups import command_group
from service.cli.running import print_result, run, stderr
from service.cli.tables import format_time, print_table
from service.clock import to_the_second
from service.email_login.wrong_codes import unlock_email_sign_in
from service.erasing import erase_user
from service.external_auth.sign_in_links import DEFAULT_LIFETIME, SignInLink, create_sign_in_link
from service.instance import Instance
from service.paging import Slice
from service.sessions.administration import end_user_sessions

app = command_group("Users.")
app.command("create")(users_files.create)
app.command("import")(users_files.import_)
app.command("export")(users_files.export)


@app.command("list")
def list_(
    search: Annotated[str | None, typer.Option(help="Anywhere in id, external id or email.")] = None,
    origin: Annotated[UserOrigin | None, typer.Option(help="How they came to be.", case_sensitive=False)] = None,
    status: Annotated[UserStatus | None, typer.Option(help="Whether they are active.", case_sensitive=False)] = None,
    group: Annotated[str | None, typer.Option(help="In the group with exactly this name.")] = None,
    first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 50,
) -> None:
    """List users, newest first."""

    async def show(_: Instance) -> None:
        await _show(UserFilter(search=search, origin=origin, status=status, group=group), first)

    run(show)


_Ids = Annotated[
    list[str], typer.Argument(metavar="ID…", help="IDs or external IDs of users, from: doorcode users list")
]
_Id = Annotated[str, typer.Argument(metavar="ID", help="The ID or external ID of a user, from: doorcode users list")]


@app.command()
def deactivate(user_ids: _Ids) -> None:
    """Deactivate users: end their sessions, free their seats, and refuse their sign-ins."""
    run(lambda _: _each(user_ids, deactivate_user, "Deactivated"))


@app.command()
def reactivate(user_ids: _Ids) -> None:
    """Reactivate users, who take seats."""
    run(lambda _: _each(user_ids, reactivate_user, "Reactivated"))


@app.command()
def delete(
    user_ids: _Ids,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    revoke_codes: Annotated[
        bool, typer.Option("--revoke-codes", help="Codes issued before now cannot create the users again.")
    ] = False,
) -> None:
    """Delete users. A code that is still valid creates a user again: to keep a user out, deactivate it."""
    _confirm(yes, f"Delete for good: {', '.join(user_ids)}?")

    async def delete_them(instance: Instance) -> None:
        for user_id in user_ids:
            await delete_user(user_id, COMMAND_LINE, instance.subject_hashes, revoke_codes=revoke_codes)
            stderr.print(f"Deleted {user_id}.")

    run(delete_them)


@app.command()
def erase(
    user_id: _Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    revoke_codes: Annotated[
        bool, typer.Option("--revoke-codes", help="Codes issued before now cannot create the user again.")
    ] = False,
) -> None:
    """Delete a user and everything that names the person. The audit log keeps a pseudonym, which is printed."""
    _confirm(yes, f"Erase for good: {user_id}?")
    print_result(
        run(
            lambda instance: erase_user(
                user_id,
                COMMAND_LINE,
                instance.subject_hashes,
                instance.cipher,
                instance.pending_events,
                revoke_codes=revoke_codes,
            )
        )
    )


@app.command("set-groups")
def set_groups(
    user_id: _Id,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="All groups. None: remove all.")] = None,
) -> None:
    """Replace the groups that admins gave a user. Groups that came by codes stay."""
    user = run(lambda _: set_user_groups(user_id, names or [], COMMAND_LINE))
    stderr.print(f"{user.id} is in these groups now: {', '.join(group_names(user)) or 'none'}.")


@app.command("end-sessions")
def end_sessions(user_id: _Id) -> None:
    """End all sessions of a user."""
    live = run(lambda _: end_user_sessions(user_id, COMMAND_LINE))
    stderr.print(f"Ended {live} sessions of {user_id}.")


@app.command("revoke-codes")
def revoke_codes(
    user_id: _Id,
    keep_sessions: Annotated[
        bool, typer.Option("--keep-sessions", help="Do not end the sessions that the user's codes opened.")
    ] = False,
) -> None:
    """Refuse the codes of a user that were issued before now. Codes issued from now on work."""
    run(lambda _: revoke_user_codes(user_id, COMMAND_LINE, end_sessions=not keep_sessions))
    stderr.print(f"Codes of {user_id} that were issued before now are refused.")


@app.command("sign-in-link")
def sign_in_link(
    user_id: _Id,
    lifetime: Annotated[
        int, typer.Option(help="Seconds that the link works: 300 (5 minutes) to 604800 (7 days).")
    ] = DEFAULT_LIFETIME,
) -> None:
    """Make a link that signs in a member with an external ID, and print it."""

    async def make(instance: Instance) -> SignInLink:
        public_url = instance.settings.public_url
        return await create_sign_in_link(user_id, COMMAND_LINE, instance.cipher, public_url, lifetime=lifetime)

    made = run(make)
    print_result(made.url)
    stderr.print(f"It signs in as {user_id} until {to_the_second(made.expires_at)}.")


@app.command()
def unlock(user_id: _Id) -> None:
    """Accept email codes of a user again, after too many wrong ones."""
    run(lambda instance: unlock_email_sign_in(user_id, COMMAND_LINE, instance.cipher))
    stderr.print(f"{user_id} can sign in by email again.")


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("There is no terminal to ask on. Give --yes.", param_hint="--yes")
        typer.confirm(question, abort=True, err=True)


async def _each(user_ids: list[str], change: Callable[[str, Actor], Awaitable[User]], done: str) -> None:
    for user_id in user_ids:
        await change(user_id, COMMAND_LINE)
        stderr.print(f"{done} {user_id}.")


async def _show(wanted: UserFilter, first: int) -> None:
    listing = list_users(wanted, UserOrder.CREATED_AT_DESC)
    page = await listing.page(Slice(first=first))
    table = Table("id", "external id", "email", "groups", "origin", "role", "status", "created", "last seen")
    for user in map(user_from_row, page.rows):
        table.add_row(
            user.id,
            user.external_id or "",
            _email_of(user),
            ", ".join(group_names(user)),
            user.origin,
            user.role,
            user.status,
            format_time(user.created_at),
            format_time(user.last_seen_at) or "never",
        )
    print_table(table)
    stderr.print(f"{len(page.rows)} of {await count_users(wanted, listing)} users.")


def _email_of(user: User) -> str:
    if user.shown_email is None:
        return ""
    return user.shown_email if user.email_verified else f"{user.shown_email} (not verified)"
