"""The audit log, for administrators."""

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


@strawberry.type(description="Something that was done, or refused.")
class AuditEvent:
    row: strawberry.Private[AuditEventRow]
    id: strawberry.ID = strawberry.field(description="The event's id.")
    action: str = strawberry.field(description="What was done, as `user.deactivated`.")
    actor: str = strawberry.field(
        description="Who did it: `user:ID`, `api-key:ID`, `code:SECRET_ID` (whoever signs with it), `email`"
        " (whoever reads the mailbox), `setup` (whoever has the set-up link), `cli` or `system`."
    )
    user_id: strawberry.ID | None = strawberry.field(description="To which user, where to one.")
    ip_address: str | None = strawberry.field(description="From where.")
    reference: str | None = strawberry.field(
        description="Of a refusal: the first one's reference, which stands in the log and was shown to the person."
    )
    created_at: datetime = strawberry.field(description="When; of refusals, the first time in that hour.")

    @strawberry.field(
        description="The particulars. Refusals of one person, reason and hour are one event, with their `count`."
    )
    def detail(self) -> JSON:
        return JSON(listing.detail_of(self.row))

    @classmethod
    def of_row(cls, values: Row) -> "AuditEvent":
        """The event of a row of the table."""
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


@strawberry.input(description="Which events: all conditions that are given hold.")
class AuditFilter:
    action: str | None = strawberry.field(default=None, description="Exactly this action.")
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Of this user.")
    secret_id: strawberry.ID | None = strawberry.field(
        default=None, description="Of this JWT secret, or of codes signed with it."
    )
    after: datetime | None = strawberry.field(default=None, description="Later than this.")
    before: datetime | None = strawberry.field(default=None, description="Earlier than this.")

    def as_wanted(self) -> listing.AuditFilter:
        """The filter as the log takes it."""
        return listing.AuditFilter(self.action, self.user_id, self.secret_id, self.after, self.before)


@strawberry.type
class AuditQueries:
    @strawberry.field(description="The audit log, newest first, in pages. For admins and API keys.")
    async def audit_log(
        self,
        info: Info,
        first: Annotated[int | None, strawberry.argument(description="How many, 200 at most; 50 unless said.")] = None,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
        filter: Annotated[AuditFilter | None, strawberry.argument(description="Which events; left out: all.")] = None,
    ) -> Connection[AuditEvent] | None:
        info.context.caller.require_reader()
        events = listing.list_events(filter.as_wanted() if filter else listing.AuditFilter())
        page = await events.page(Slice(first=first, after=after))
        return Connection(page=page, node_of=AuditEvent.of_row, counter=events.count)
