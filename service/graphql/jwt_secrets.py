"""The signing secrets of codes, as admins see them."""

from datetime import datetime

import strawberry

from service.clock import now
from service.external_auth import secrets
from service.external_auth.models import JwtSecret as JwtSecretRow
from service.graphql.enums import JwtSecretStatus


@strawberry.type(description="A signing secret for codes. Its text cannot be read again.")
class JwtSecret:
    id: strawberry.ID = strawberry.field(
        description="The ID of the secret, which a code may name in its header as `kid`."
    )
    hint: str = strawberry.field(description="The first 4 characters of the secret, to tell secrets apart.")
    name: str = strawberry.field(description="The name that an admin gave it. Empty if it has none.")
    note: str = strawberry.field(description="A note of an admin, such as where the secret is used. May be empty.")
    status: JwtSecretStatus = strawberry.field(description="The state of the secret now.")
    created_at: datetime = strawberry.field(description="When it was created.")
    retires_at: datetime | None = strawberry.field(
        description="Until when the secret verifies codes after it was replaced. Null if it was not replaced."
    )
    revoked_at: datetime | None = strawberry.field(description="When it was revoked. Null if it was not.")
    last_used_at: datetime | None = strawberry.field(
        description=(
            "When a code signed with this secret last signed in a user, rounded down to the minute. Null if it "
            "never did."
        )
    )

    @classmethod
    def of(cls, row: JwtSecretRow) -> "JwtSecret":
        """Return the GraphQL type of a secret."""
        return cls(
            id=strawberry.ID(row.id),
            hint=row.hint,
            name=row.name,
            note=row.note,
            status=secrets.status_of(row, now()),
            created_at=row.created_at,
            retires_at=row.retires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )
