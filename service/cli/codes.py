"""`doorcode code …`: sign a code to try things with, and find out why one is refused."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from service.cli.running import print_result, run
from service.clock import now
from service.errors import BadUserInput, Conflict
from service.external_auth.codes import sign as sign_code
from service.external_auth.inspection import Inspection
from service.external_auth.inspection import inspect as inspect_code
from service.external_auth.models import ExternalAuth
from service.external_auth.secrets import current_secret
from service.ids import new_id
from service.instance import Instance
from service.text import JsonObject

DEFAULT_LIFETIME = 3600  # seconds

app = typer.Typer(help="Codes: sign one, or see why one is refused.", no_args_is_help=True)


@app.command()
def sign(
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Sign in this user, creating it the first time.")
    ] = None,
    existing_id: Annotated[str | None, typer.Option("--id", help="Sign in an existing user by user ID.")] = None,
    email: Annotated[
        str | None, typer.Option(help="With --user-id the user's email; alone: sign in an existing user by email.")
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(help="Seconds until the code expires; left out: an hour, or what the policy allows.")
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Metadata of the user; may be given several times.")
    ] = None,
) -> None:
    """Sign a code with the current secret, as your backend would, and print it."""
    if user_id is None and existing_id is None and email is None:
        raise typer.BadParameter("Say whom to sign in: --user-id, --id or --email.")
    if meta and user_id is None:
        raise typer.BadParameter("Metadata belongs to a user: it goes with --user-id.", param_hint="--meta")
    subject = _subject(user_id, existing_id, email, dict(_pair(item) for item in meta or []))

    async def sign_on(instance: Instance) -> str:
        return await _sign(instance, subject, expires_in)

    print_result(run(sign_on))


@app.command()
def inspect(code: Annotated[str, typer.Argument(help="The code, or - to read it from standard input.")]) -> None:
    """Say check by check what an exchange of the code would do. Nothing is done; exit status 1 where it would be refused."""
    text = sys.stdin.buffer.read().decode(errors="replace").strip() if code == "-" else code

    async def inspect_on(instance: Instance) -> Inspection:
        return await inspect_code(text, instance.external_auth)

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
    """With all that the policy may ask for, so that what is tried out works."""
    secret = await current_secret(instance.cipher)
    if secret is None:
        raise Conflict("There is no current secret. Make one with: doorcode jwt enable")
    if expires_in is not None and expires_in < 1:
        raise BadUserInput("--expires-in must be 1 second or more.")
    auth = await ExternalAuth.get(id=1)
    lifetime = expires_in or min(DEFAULT_LIFETIME, auth.max_lifetime_seconds or DEFAULT_LIFETIME)
    issued_at = int(now().timestamp())
    claims: JsonObject = {**subject, "iat": issued_at, "exp": issued_at + lifetime, "jti": new_id()}
    named: JsonObject = {"iss": auth.issuer, "aud": auth.audience}
    return sign_code(
        claims | {name: value for name, value in named.items() if value is not None}, secret.text, secret.row.id
    )


def _show(found: Inspection) -> None:
    """Plain lines on stdout: a mark, the check, what was found."""
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
