"""The query of the audit log, for admins."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.audit import listing
from service.audit.models import AuditEvent as AuditEventRow
from service.database import Row
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.paging import Slice


@strawberry.type(description="An audit event: something that was done or refused.")
class AuditEvent:
    row: strawberry.Private[AuditEventRow]
    id: strawberry.ID = strawberry.field(description="The ID of the event.")
    action: str = strawberry.field(description="What was done, such as `user.deactivated`.")
    actor: str = strawberry.field(
        description=(
            "Who did it: `user:ID`, `api-key:ID`, `code:SECRET_ID` (a code signed with this secret), `email` (a "
            "user who signs in by email), `setup` (the holder of the set-up link) or `cli` (the command line)."
        )
    )
    user_id: strawberry.ID | None = strawberry.field(
        description="The ID of the affected user. Null if the event does not concern a user."
    )
    ip_address: str | None = strawberry.field(
        description="The client address of the request. Null if unknown, and for the command line."
    )
    reference: str | None = strawberry.field(
        description=(
            "The reference of the first refusal in this event, which the log and the page of the user also show. "
            "Null for other events."
        )
    )
    created_at: datetime = strawberry.field(
        description="When it happened. For refusals, the first time within that hour."
    )

    @strawberry.field(
        description=(
            "The details. Refusals of one user for one reason within an hour are one event; `count` is their number."
        )
    )
    def detail(self) -> JSON:
        return JSON(listing.detail_of(self.row))

    @classmethod
    def of_row(cls, values: Row) -> "AuditEvent":
        """Return the GraphQL type of a row of the table."""
        row = AuditEventRow._init_from_db(**dict(values))
        return cls(
            row=row,
            id=strawberry.ID(row.id),
            action=row.action,
            actor=row.actor,
            user_id=strawberry.ID(row.user_id) if row.user_id else None,
            ip_address=row.ip_address,
            reference=row.reference,
            created_at=row.created_at,
        )


@strawberry.input(description="Selects events. All given conditions must hold.")
class AuditFilter:
    action: str | None = strawberry.field(default=None, description="Events with exactly this action.")
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Events that concern this user.")
    secret_id: strawberry.ID | None = strawberry.field(
        default=None, description="Events that concern this signing secret or codes signed with it."
    )
    after: datetime | None = strawberry.field(default=None, description="Events after this time.")
    before: datetime | None = strawberry.field(default=None, description="Events before this time.")

    def as_wanted(self) -> listing.AuditFilter:
        """Return the filter for the audit log."""
        return listing.AuditFilter(self.action, self.user_id, self.secret_id, self.after, self.before)


@strawberry.type
class AuditQueries:
    @strawberry.field(description="The audit log, newest first, in pages. For admins and API keys.")
    async def audit_log(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="The number of events: 0 to 200. Default 50.")
        ] = None,
        after: Annotated[str | None, strawberry.argument(description="Return what follows this cursor.")] = None,
        filter: Annotated[
            AuditFilter | None, strawberry.argument(description="Selects events. Default: all events.")
        ] = None,
    ) -> Connection[AuditEvent] | None:
        info.context.caller.require_reader()
        events = listing.list_events(filter.as_wanted() if filter else listing.AuditFilter())
        page = await events.page(Slice(first=first, after=after))
        return Connection(page=page, node_of=AuditEvent.of_row, counter=events.count)
