"""The filter of lists of users."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from service.accounts import directory
from service.graphql.enums import UserOrigin, UserRole, UserStatus


@strawberry.input(description="A member of the metadata of a user.")
class MetadataFilter:
    name: str = strawberry.field(description="The name of the member.")
    value: JSON = strawberry.field(
        description="Its exact value: a string, a number, a boolean or null. `1`, `1.0` and `true` differ."
    )


@strawberry.input(description="Selects users. All given conditions must hold.")
class UserFilter:
    origin: UserOrigin | None = strawberry.field(default=None, description="Users that were created in this way.")
    status: UserStatus | None = strawberry.field(default=None, description="Users with this status.")
    role: UserRole | None = strawberry.field(default=None, description="Users with this role.")
    email: str | None = strawberry.field(
        default=None,
        description=(
            "Users with exactly this address, in any spelling of it, verified or claimed. At most one of them has it "
            "verified. BAD_USER_INPUT if it is not an address."
        ),
    )
    external_id: str | None = strawberry.field(default=None, description="The user with exactly this external ID.")
    group: str | None = strawberry.field(
        default=None, description="Users in the group with exactly this name, whatever put them there."
    )
    metadata: MetadataFilter | None = strawberry.field(
        default=None,
        description=(
            "Users whose metadata object has this member. Reads all users. BAD_USER_INPUT for a value that is an array or "
            "an object."
        ),
    )
    search: str | None = strawberry.field(
        default=None,
        description=(
            "Users whose ID, external ID or email contains this text, in upper or lower case. A text of 1 or 2 "
            "characters is searched at the start only. BAD_USER_INPUT for more than 255 characters, and for a search "
            "that takes longer than 2 seconds. TOO_MANY_ATTEMPTS while too many long searches run."
        ),
    )
    created_after: datetime | None = strawberry.field(default=None, description="Users created after this time.")
    created_before: datetime | None = strawberry.field(default=None, description="Users created before this time.")

    def as_wanted(self) -> directory.UserFilter:
        """Return the filter for the directory."""
        return directory.UserFilter(
            origin=self.origin,
            status=self.status,
            role=self.role,
            email=self.email,
            external_id=self.external_id,
            search=self.search,
            group=self.group,
            metadata=directory.MetadataMember(self.metadata.name, self.metadata.value) if self.metadata else None,
            created_after=self.created_after,
            created_before=self.created_before,
        )
