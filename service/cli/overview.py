"""`doorcode overview`: sign-ins by day, the state of the mails, and refused origins."""

from typing import Annotated

import typer
from rich.table import Table

from service.audit.daily_counts import MAX_DAYS, Counted, sign_in_days, totals
from service.cli.running import print_result, run
from service.cli.tables import format_time, print_table
from service.email_login.mail_status import DAYS, mail_status
from service.instance import Instance


def overview(
    days: Annotated[int, typer.Option(help="The days of the sign-ins, today included.", min=1, max=MAX_DAYS)] = 30,
) -> None:
    """Show sign-ins and refusals by day, and the mails and refused origins of the last 7 days."""

    async def show(_: Instance) -> None:
        sign_ins = Table("day (UTC)", "signed in", "refused", "reasons")
        for day in await sign_in_days(days):
            reasons = ", ".join(f"{code} {count}" for code, count in day.refusals.items())
            sign_ins.add_row(str(day.day), str(day.sign_ins), str(sum(day.refusals.values())), reasons)
        print_table(sign_ins)
        mail = await mail_status()
        print_result(
            f"Mails: {mail.waiting} waiting, {mail.sent} sent, {mail.retried} tried again, {mail.dropped} given up."
        )
        print_result(f"Last sent: {format_time(mail.last_sent_at) or 'none'}")
        print_result(f"Last failure: {format_time(mail.last_failed_at) or 'none'}")
        for origin in await totals(Counted.REFUSED_ORIGIN, DAYS):
            print_result(f"Refused origin: {origin.name}, {origin.count} requests, last {format_time(origin.last_at)}")

    run(show)
