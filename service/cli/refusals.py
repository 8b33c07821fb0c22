"""`doorcode refusal` and `doorcode refusals`: why a person could not sign in."""

from typing import Annotated

import typer
from rich.table import Table

from service.audit.models import RefusedSignIn
from service.audit.refusals import RefusalFilter, find_refusal, list_refusals
from service.cli.running import run, stderr
from service.cli.tables import format_time, print_table
from service.errors import NotFound
from service.instance import Instance
from service.paging import Slice
from service.refusal_texts import REFUSAL_TEXTS, SignInErrorCode


def refusal(reference: Annotated[str, typer.Argument(help="The reference that the person saw.")]) -> None:
    """Show the refused sign-in with this reference, of the last 30 days."""

    async def find(_: Instance) -> RefusedSignIn:
        found = await find_refusal(reference)
        if found is None:
            raise NotFound(f"There is no refusal of the last 30 days with the reference {reference.strip().upper()}.")
        return found

    found = run(find)
    text = REFUSAL_TEXTS[SignInErrorCode(found.code)]
    table = Table("field", "value", show_header=False)
    for name, value in (*_values(found), ("the person saw", text.message), ("it means", text.for_programs)):
        table.add_row(name, value)
    print_table(table)


def refusals(
    code: Annotated[
        SignInErrorCode | None, typer.Option(help="Refusals for this reason.", case_sensitive=False, show_choices=False)
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Refusals of this user.")] = None,
    ip: Annotated[str | None, typer.Option(help="Refusals from this IP address.")] = None,
    first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 50,
) -> None:
    """List refused sign-ins of the last 30 days, newest first."""

    async def show(_: Instance) -> None:
        page = await list_refusals(RefusalFilter(code, user, ip)).page(Slice(first=first))
        table = Table("when", "reference", "reason", "cause", "user", "email", "secret", "address")
        for row in page.rows:
            table.add_row(*(value for _, value in _values(RefusedSignIn._init_from_db(**dict(row)))))
        print_table(table)
        if page.has_more:
            stderr.print("There are older refusals. Show more with --first, or choose some with the other options.")

    run(show)


def _values(found: RefusedSignIn) -> list[tuple[str, str]]:
    return [
        ("when", format_time(found.created_at)),
        ("reference", found.reference),
        ("reason", found.code),
        ("cause", found.cause or ""),
        ("user", found.user_id or ""),
        ("email", found.email or ""),
        ("secret", found.secret_id or ""),
        ("address", found.ip_address or ""),
    ]
