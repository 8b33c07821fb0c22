"""`doorcode code …`: sign a code to try sign-in, and find out why a code is refused."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.running import print_result, run
from service.errors import BadUserInput
from service.external_auth.code_events import record_inspection
from service.external_auth.inspection import Inspection
from service.external_auth.inspection import inspect as inspect_code
from service.external_auth.signing import longest_lifetime, sign_code_for
from service.instance import Instance
from service.text import JsonObject

DEFAULT_LIFETIME = 3600  # seconds

app = command_group("Sign a code, or find out why a code is refused.")


@app.command()
def sign(
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Sign in this user; the first sign-in creates it.")
    ] = None,
    existing_id: Annotated[str | None, typer.Option("--id", help="Sign in an existing user by user ID.")] = None,
    email: Annotated[
        str | None, typer.Option(help="The email of the user of --user-id. Alone: sign in an existing user by email.")
    ] = None,
    expires_in: Annotated[
        int | None,
        typer.Option(help="Seconds until the code expires. Default: an hour, or less if the policy allows less."),
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A metadata member of the user. Can be given several times.")
    ] = None,
) -> None:
    """Sign a code with the current secret, as your backend would, and print it."""
    if user_id is None and existing_id is None and email is None:
        raise typer.BadParameter("Name the user to sign in: --user-id, --id or --email.")
    if meta and user_id is None:
        raise typer.BadParameter("Metadata belongs to a user. Use it together with --user-id.", param_hint="--meta")
    subject = _subject(user_id, existing_id, email, dict(_pair(item) for item in meta or []))

    async def sign_on(instance: Instance) -> str:
        return await _sign(instance, subject, expires_in)

    print_result(run(sign_on))


@app.command()
def inspect(code: Annotated[str, typer.Argument(help="The code, or - to read it from standard input.")]) -> None:
    """Show the result of every check of a code. Changes nothing. Exit status 1 if an exchange would be refused."""
    text = sys.stdin.buffer.read().decode(errors="replace").strip() if code == "-" else code

    async def inspect_on(instance: Instance) -> Inspection:
        found = await inspect_code(text, instance.external_auth)
        await record_inspection(found, COMMAND_LINE, instance.pending_events)
        return found

    found = run(inspect_on)
    _show(found)
    if not found.accepted:
        raise typer.Exit(1)


def _subject(user_id: str | None, existing_id: str | None, email: str | None, metadata: dict[str, str]) -> JsonObject:
    if user_id is not None:
        user: JsonObject = {"id": user_id, **metadata}
        return {"user": user | {"email": email} if email is not None else user}
    return {"id": existing_id} if existing_id is not None else {"email": email}


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or name in ("", "id", "email"):
        raise typer.BadParameter(
            f"'{item}' is not of the form name=value with a name other than id and email.", param_hint="--meta"
        )
    return name, value


async def _sign(instance: Instance, subject: JsonObject, expires_in: int | None) -> str:
    if expires_in is not None and expires_in < 1:
        raise BadUserInput("--expires-in must be 1 second or more.")
    lifetime = expires_in or await longest_lifetime(DEFAULT_LIFETIME)
    return (await sign_code_for(subject, COMMAND_LINE, instance.cipher, lifetime=lifetime)).text


def _show(found: Inspection) -> None:
    """Print one line for each check: a mark, its name and what it found."""
    console = Console(highlight=False, markup=False, soft_wrap=True, emoji=False)
    for check in found.checks:
        mark, style = ("ok ", "green") if check.passed else ("NO ", "red")
        console.print(f"{mark} {check.name:<10} {check.detail}", style=style)
    if found.refusal:
        console.print(
            f"An exchange answers {found.refusal.code}: {found.refusal.message}", style="bold red", markup=False
        )
    elif found.creates_user:
        console.print("An exchange creates the user and signs it in.", style="bold green")
    else:
        console.print(
            f"An exchange signs in the user {found.user.id if found.user else ''}.", style="bold green", markup=False
        )
