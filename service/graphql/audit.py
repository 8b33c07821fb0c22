"""The query of the audit log, for admins."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from service.audit import listing
from service.audit.log import Actor
from service.audit.models import AuditEvent as AuditEventRow
from service.database import Row
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.graphql.users import User
from service.paging import Slice


@strawberry.type(description="An audit event: something that was done or refused.")
class AuditEvent:
    row: strawberry.Private[AuditEventRow]
    id: strawberry.ID = strawberry.field(description="The ID of the event.")
    action: str = strawberry.field(description="What was done, such as `user.deactivated`.")
    actor: str = strawberry.field(
        description=(
            "Who did it: `user:ID`, `api-key:ID`, `code:SECRET_ID` (a code signed with this secret), `email` (a "
            "user who signs in by email), `setup` (the holder of the set-up link), `cli` (the command line) "
            "or `clock` (a time that was set before)."
        )
    )
    user_id: strawberry.ID | None = strawberry.field(
        description="The ID of the affected user. Null if the event does not concern a user."
    )
    secret_id: strawberry.ID | None = strawberry.field(
        description=(
            "The ID of the signing secret that the event concerns, or whose code caused it. Null for other events."
        )
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
        description="When it happened. For events that are counted by the hour, the first time within that hour."
    )

    @strawberry.field(
        description=(
            "The details. `changes` has the old and the new value of each field that was changed. Refusals of one user "
            "for one reason within an hour, from one network and by codes of one secret, are one event; `count` is their "
            "number. Sign-ins of a member are counted in the same way."
        )
    )
    def detail(self) -> JSON:
        return JSON(listing.detail_of(self.row))

    @strawberry.field(
        description="The affected user as it is now. Null if the event does not concern a user who still exists."
    )
    async def user(self, info: Info) -> User | None:
        return await _user(info, self.row.user_id)

    @strawberry.field(
        description="The user who did it, as it is now. Null if the actor is not a user who still exists."
    )
    async def actor_user(self, info: Info) -> User | None:
        return await _user(info, Actor(self.row.actor).user_id)

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
            secret_id=strawberry.ID(row.secret_id) if row.secret_id else None,
            ip_address=row.ip_address,
            reference=row.reference,
            created_at=row.created_at,
        )


async def _user(info: Info, user_id: str | None) -> User | None:
    found = await info.context.find_user(user_id) if user_id else None
    return User.of(found) if found else None


@strawberry.input(description="Selects events. All given conditions must hold.")
class AuditFilter:
    action: str | None = strawberry.field(default=None, description="Events with exactly this action.")
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Events that concern this user.")
    secret_id: strawberry.ID | None = strawberry.field(
        default=None,
        description=(
            "Events that concern this signing secret, codes signed with it, or sessions that such codes opened."
        ),
    )
    actor: str | None = strawberry.field(
        default=None, description="Events with exactly this actor, such as `user:ID` or `cli`."
    )
    ip_address: str | None = strawberry.field(
        default=None,
        description=(
            "Events from this IP address, or from this IPv6 network of 64 bits, such as `2001:db8::/64`. An event that "
            "is counted by the hour has the first of the addresses of one network."
        ),
    )
    reference: str | None = strawberry.field(
        default=None, description="The event whose first refusal has this reference."
    )
    after: datetime | None = strawberry.field(default=None, description="Events after this time.")
    before: datetime | None = strawberry.field(default=None, description="Events before this time.")

    def as_wanted(self) -> listing.AuditFilter:
        """Return the filter for the audit log."""
        return listing.AuditFilter(**vars(self))


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
        await info.context.instance.pending_events.write()
        events = listing.list_events(filter.as_wanted() if filter else listing.AuditFilter())
        page = await events.page(Slice(first=first, after=after))
        return Connection(page=page, node_of=AuditEvent.of_row, counter=events.count)
